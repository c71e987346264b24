"""A model that answers by an angle, turned by hand; random planes move nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GPT2LMHeadModel

from helpers.models import load_model
from helpers.steering import steered_parts
from helpers.steering.effects import CircleMovement, CirclePlane, move_along_circle, swap_words
from helpers.steering.effects.row_edits import AddRows
from tests.steering.conftest import D_MODEL, HOOK, config_of, prompts_of
from tests.steering.effects.conftest import rejected

N_WORDS = 7
WORDS = np.arange(10, 10 + N_WORDS)  # token ids
RADIUS, ASIDE = 3.0, 2.0
ANGLES = 2 * np.pi * np.arange(N_WORDS) / N_WORDS + np.array([0, 0.1, -0.1, 0.2, 0, -0.2, 0.1])  # not evenly spaced


@pytest.fixture(scope="module")
def basis():
    return np.linalg.qr(np.random.default_rng(6).normal(size=(D_MODEL, 2)))[0].T


@pytest.fixture(scope="module")
def circle_model(tmp_path_factory, tokenizer, basis):
    """Every block hands on the token's embedding; a word's answer is the word whose place is nearest in angle."""
    folder = tmp_path_factory.mktemp("circle")
    torch.manual_seed(3)
    hugging_face = GPT2LMHeadModel(config_of("gpt2"))
    places = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) @ basis
    with torch.no_grad():
        hugging_face.transformer.wpe.weight.zero_()
        for block in hugging_face.transformer.h:
            for parameter in (*block.attn.c_proj.parameters(), *block.mlp.c_proj.parameters()):
                parameter.zero_()
        hugging_face.transformer.wte.weight[WORDS] = torch.from_numpy(places).float()
    hugging_face.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = load_model(folder, device="cpu")
    centre = torch.from_numpy(centre_of(basis)).float()
    model.ln_final.register_forward_hook(lambda _, arguments, __: 20 * (arguments[0] - centre))
    model.embed.register_forward_hook(lambda _, __, embedded: RADIUS * embedded + centre)
    return model


def centre_of(basis):
    """Off the origin, in the plane and aside of it."""
    rest = np.random.default_rng(9).normal(size=D_MODEL)
    return ASIDE * (basis[0] + rest - (rest @ basis.T) @ basis)


@pytest.fixture
def plane(basis):
    return CirclePlane(hook_name=HOOK, basis=basis, centre=centre_of(basis), angles=ANGLES)


@pytest.fixture
def questions():
    rows = [[5] * (number % 3) + [int(word)] for number, word in enumerate(WORDS)]
    return prompts_of(*rows)


def test_answers_move_as_far_as_the_word_is_turned(circle_model, plane, questions):
    words = np.arange(N_WORDS)
    found = move_along_circle(circle_model, questions, plane, words=words, answer_ids=WORDS, n_random=19)
    assert found.shifts.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(found.moved, np.tile(np.arange(1, 7)[:, None], (1, N_WORDS)))
    assert (found.as_expected == 1).all() and (found.errors == 0).all() and found.plain_in_circle == 1
    assert found.random.shape == (19, 6, N_WORDS)
    assert found.random_as_expected.mean() < 0.4  # the answer mostly stays, and does not know the way
    assert found.p_value == 1 / 20
    few = {"words": words, "answer_ids": WORDS, "shifts": [2, 5], "n_random": 2}
    whole = move_along_circle(circle_model, questions, plane, **few)
    for batch_size in (1, 4):
        parts = move_along_circle(circle_model, questions.padded("right"), plane, **few, batch_size=batch_size)
        assert np.array_equal(parts.moved, whole.moved) and np.array_equal(parts.random, whole.random)
    assert np.array_equal(whole.moved, found.moved[[1, 4]])


def test_a_plane_beside_the_circle_moves_nothing(circle_model, plane, questions, basis):
    """The trap: a plane that holds none of the words turns nothing that the answer reads."""
    rest = np.random.default_rng(3).normal(size=(2, D_MODEL))
    aside = np.linalg.qr((rest - (rest @ basis.T) @ basis).T)[0].T
    wrong = replace(plane, basis=aside, centre=np.zeros(D_MODEL))
    found = move_along_circle(circle_model, questions, wrong, words=np.arange(N_WORDS), answer_ids=WORDS, n_random=19)
    assert (found.moved == 0).all() and found.as_expected.max() == 0 and found.p_value > 0.3
    assert found.errors.tolist() == [1, 2, 3, 3, 2, 1]


def test_steps_are_a_rotation_about_the_centre(plane):
    rng = np.random.default_rng(2)
    rows, turns = rng.normal(size=(5, D_MODEL)), rng.normal(size=5)
    moved = rows + plane.steps(rows, turns) @ plane.basis
    for row, turn, after in zip(rows, turns, moved, strict=True):
        rotation = np.eye(D_MODEL) + plane.basis.T @ (
            np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) - np.eye(2)
        ) @ plane.basis  # fmt: skip
        assert np.allclose(after - plane.centre, rotation @ (row - plane.centre))
    assert np.allclose(np.linalg.norm(moved - plane.centre, axis=1), np.linalg.norm(rows - plane.centre, axis=1))


def test_every_row_gets_its_own_step(model, prompts):
    """Rows are counted prompt by prompt, column by column, wherever the padding is."""
    amounts = torch.arange(1.0, 11.0)[:, None]
    direction = torch.randn((1, D_MODEL), generator=torch.Generator().manual_seed(1))
    edit = AddRows(hook_name=HOOK, amounts=amounts, directions=direction)
    for side in ("left", "right"):
        here = prompts.padded(side)
        streams = [part.activations[HOOK] for part in steered_parts(model, here, [(), edit], hook_names=[HOOK])]
        keep = torch.from_numpy(here.keep_mask)
        # float32 rounding of numbers of up to 40
        assert torch.allclose((streams[1] - streams[0])[keep], amounts @ direction, atol=1e-5)
    with rejected("one step a row, 10; got"):
        list(steered_parts(model, prompts, [edit], batch_size=2))


def test_random_planes_move_rows_as_far(circle_model, plane, questions, monkeypatch):
    seen = []
    edit = AddRows._edited
    monkeypatch.setattr(
        AddRows, "_edited", lambda self, rows: seen.append((edit(self, rows) - rows).norm(dim=1)) or edit(self, rows)
    )
    move_along_circle(
        circle_model, questions, plane, words=np.arange(N_WORDS), answer_ids=WORDS, shifts=[2], n_random=3
    )
    assert len(seen) == 4 and seen[0].min() > 1  # one setting a plane, the circle's first
    assert all(torch.allclose(each, seen[0], atol=1e-4) for each in seen)


def test_saved_and_read(circle_model, plane, questions, tmp_path):
    found = move_along_circle(
        circle_model, questions, plane, words=np.arange(N_WORDS), answer_ids=WORDS, shifts=[-1], n_random=2
    )
    assert found.shifts.tolist() == [6] and (found.as_expected == 1).all()
    found.save(tmp_path / "circle.npz")
    again = CircleMovement.load(tmp_path / "circle.npz")
    for name, value in vars(found).items():
        assert np.array_equal(vars(again)[name], value)


def test_bad_input(circle_model, plane, questions, basis):
    def run(**changes):
        given = {"plane": plane, "words": np.arange(N_WORDS), "answer_ids": WORDS, "n_random": 1} | changes
        move_along_circle(circle_model, questions, **given)

    with rejected("a word of the circle, 0 to 6"):
        run(words=np.arange(1, N_WORDS + 1))
    with rejected("different answer token"):
        run(answer_ids=np.full(N_WORDS, 3))
    with rejected("answers are token ids"):
        run(answer_ids=WORDS + 1000)
    for shifts in ([], [7], [1, 0]):
        with rejected("move a word to another"):
            run(shifts=shifts)
    with rejected("n_random and batch_size"):
        run(n_random=0)
    with rejected("a token at 'new' in every prompt"):
        run(at="new")
    with rejected("hook of the model"):
        run(plane=replace(plane, hook_name="blocks.9.hook_resid_post"))
    with rejected(f"width of the hook's rows, {D_MODEL}; got {D_MODEL + 1}"):
        run(plane=replace(plane, basis=np.eye(2, D_MODEL + 1), centre=np.zeros(D_MODEL + 1)))
    with rejected("orthonormal"):
        replace(plane, basis=2 * basis)
    with rejected("three words or more"):
        replace(plane, angles=ANGLES[:2])
    with rejected("three words or more"):
        replace(plane, centre=np.zeros(3))
    with rejected("finite"):
        replace(plane, angles=ANGLES * np.nan)
    with rejected("nothing to turn"):
        one = prompts_of(*[[10]] * N_WORDS)
        row = next(steered_parts(circle_model, one, [()], hook_names=[HOOK])).activations[HOOK][0, -1]
        move_along_circle(
            circle_model, one, replace(plane, centre=row.double().numpy()), words=np.arange(N_WORDS), answer_ids=WORDS,
            n_random=1,
        )  # fmt: skip


def test_exchanged_words_move_answers_wherever_the_circle_is(circle_model, questions):
    found = swap_words(circle_model, questions, hook_name=HOOK, words=np.arange(N_WORDS), answer_ids=WORDS)
    assert np.array_equal(found, np.tile(np.arange(1, 7)[:, None], (1, N_WORDS)))
    few = {"words": np.arange(N_WORDS), "answer_ids": WORDS, "shifts": [2]}
    parts = swap_words(circle_model, questions.padded("right"), hook_name=HOOK, batch_size=2, **few)
    assert np.array_equal(parts, found[[1]])
    elsewhere = swap_words(circle_model, questions, hook_name=HOOK, at=(0,), **few)  # BOS, which no answer reads
    assert (elsewhere == 0).all()


def test_every_word_needs_a_row_to_be_exchanged_for(circle_model, questions):
    with rejected("got none for word 6"):
        swap_words(circle_model, questions, hook_name=HOOK, words=np.arange(N_WORDS) % 6, answer_ids=WORDS)
    with rejected("shifts move a word to another one"):
        swap_words(circle_model, questions, hook_name=HOOK, words=np.arange(N_WORDS), answer_ids=WORDS, shifts=[7])
