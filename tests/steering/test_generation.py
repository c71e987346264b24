"""Writing on under interventions: with a cache and without, padded and not, one by one and together, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.steering import add, clamp, generate, intervening, project_out
from tests.steering.conftest import CONTEXT, HOOK, prompts_of
from tests.steering.test_interventions import LOGIT_ATOL, NAMES, cases, is_untouched

N_NEW = 6


def written_by_hand(model, ids, n_new, change, steered):
    """Greedy tokens after one unpadded prompt; `steered(column, length of the prompt)` says which columns are changed."""
    ids, length = list(ids), len(ids)
    for _ in range(n_new):

        def hook_function(stream, hook):
            stream = stream.clone()
            for column in range(stream.shape[1]):
                if steered(column, length):
                    stream[0, column] = change(stream[0, column])
            return stream

        with torch.no_grad():
            logits = model.run_with_hooks(torch.tensor([ids]), fwd_hooks=[(HOOK, hook_function)], prepend_bos=False)
        ids.append(int(logits[0, -1].argmax()))
    return ids[length:]


STEERED = {
    "last": lambda column, length: column == length - 1,
    "new": lambda column, length: column >= length,
    "from_last": lambda column, length: column >= length - 1,
    "everywhere": lambda column, _: column >= 1,
    (1,): lambda column, _: column == 1,
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_tokens_are_those_of_a_hand_written_hook(model, prompts, vector, loaded, use_cache, side):
    step = torch.from_numpy(vector).float()
    kinds = {
        "add": (add(vector, hook_name=HOOK), lambda x: x + step),
        "clamp": (clamp(loaded, 3, 9.0), lambda x: x + (9.0 - loaded.sae.encode(x)[3]) * loaded.sae.W_dec[3]),
    }
    settings = [(), *(replace(each, at=at) for each, _ in kinds.values() for at in STEERED)]
    found = generate(model, prompts.padded(side), settings, n_new=N_NEW, use_cache=use_cache)
    words = [prompts.input_ids[row][prompts.attention_mask[row]] for row in range(3)]
    plain = [written_by_hand(model, ids, N_NEW, step.add, lambda *_: False) for ids in words]
    expected = [plain] + [
        [written_by_hand(model, ids, N_NEW, change, steered) for ids in words]
        for _, change in kinds.values()
        for steered in STEERED.values()
    ]
    assert np.array_equal(found, expected)
    assert len({found[number].tobytes() for number in range(len(settings))}) > 6  # places and kinds differ


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_logits_with_a_cache_are_those_of_a_hand_written_hook(model, prompts, vector, loaded, name, padded):
    """Two tokens after each prompt, with keys and values kept: every step against one whole pass of one unpadded row."""
    intervention, change = cases(vector, loaded)[name]
    new = torch.tensor([[4, 9], [13, 2], [30, 31]])
    rows = [range(3)] if padded else [[row] for row in range(3)]
    places = {at: STEERED[at] for at in ("last", "new", "everywhere")}
    for at, steered in places.items():
        for numbers in rows:
            here = prompts.part(numbers[0], numbers[-1] + 1).padded("left")
            found = cached_logits(model, here, replace(intervention, at=at), new[list(numbers)])
            for place, number in enumerate(numbers):
                ids = prompts.input_ids[number][prompts.attention_mask[number]]
                expected = whole_logits(model, [*ids, *new[number].tolist()], change, steered, len(ids))
                assert np.allclose(found[place], expected[len(ids) - 1 :], atol=LOGIT_ATOL), (at, number)


@torch.no_grad()
def cached_logits(model, prompts, intervention, new):
    """Logits after the prompts and after each of their new tokens, (n_prompts, 1 + n_new, d_vocab)."""
    ids, real, found, cache = torch.from_numpy(prompts.input_ids), torch.from_numpy(prompts.attention_mask), [], None
    with intervening(model, prompts, intervention, cached=True):
        for step in range(1 + new.shape[1]):
            tokens = ids if step == 0 else new[:, step - 1 : step]
            mask = torch.cat([real, torch.ones((len(ids), step), dtype=torch.bool)], dim=1).long()
            logits, cache = model(
                tokens, return_type="logits_and_cache", use_cache=True, past_key_values=cache, attention_mask=mask,
                prepend_bos=False,
            )  # fmt: skip
            found.append(logits[:, -1])
    return torch.stack(found, dim=1).numpy()


@torch.no_grad()
def whole_logits(model, ids, change, steered, length):
    """Logits at every token of one unpadded row under a hand-written hook."""

    def hook_function(stream, hook):
        stream = stream.clone()
        for column in range(stream.shape[1]):
            if steered(column, length):
                stream[0, column] = change(stream[0, column])
        return stream

    return model.run_with_hooks(torch.tensor([ids]), fwd_hooks=[(HOOK, hook_function)], prepend_bos=False)[0].numpy()


@pytest.mark.parametrize("use_cache", [True, False])
def test_strength_0_writes_the_plain_text(model, prompts, vector, loaded, use_cache):
    nothing = [replace(each, strength=0.0) for each, _ in cases(vector, loaded).values()]
    plain, *still = generate(model, prompts, [(), *nothing], n_new=3, temperature=1.0, seed=2, use_cache=use_cache)
    assert all(np.array_equal(plain, each) for each in still)


def test_new_tokens_only_leaves_the_first_prediction_alone(model, prompts, vector):
    """The first new token is predicted from the prompt: "new" cannot move it, "from_last" can."""
    settings = [(), *(add(vector, hook_name=HOOK, strength=3, at=at) for at in ("new", "from_last"))]
    plain, new, from_last = generate(model, prompts, settings, n_new=N_NEW)
    assert np.array_equal(plain[:, 0], new[:, 0])
    assert (plain[:, 1:] != new[:, 1:]).any() and (plain[:, 0] != from_last[:, 0]).any()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_neither_cache_nor_padding_nor_batches_change_a_token(model, prompts, vector, temperature):
    settings = [(), add(vector, hook_name=HOOK, at="from_last"), project_out(vector, hook_name="blocks.0.hook_mlp_out")]
    how = {"n_new": N_NEW, "temperature": temperature, "seed": 4}
    whole = generate(model, prompts, settings, **how)
    for other in (
        generate(model, prompts, settings, use_cache=False, **how),
        generate(model, prompts.padded("right"), settings, **how),
        generate(model, prompts, settings, batch_size=1, **how),
        generate(model, prompts, settings, batch_size=2, **how),
        np.concatenate([generate(model, prompts, [each], **how) for each in settings]),
    ):
        assert np.array_equal(other, whole)
    assert is_untouched(model)


def test_draws_follow_the_models_probabilities(model):
    """4,000 draws of one token against softmax by hand; the seed decides them."""
    prompts = prompts_of(*[[5, 9]] * 4000)
    drawn = generate(model, prompts, n_new=1, temperature=2.0, seed=1, batch_size=4000)[0, :, 0]
    with torch.no_grad():
        logits = model(torch.tensor([[0, 5, 9]]), prepend_bos=False)[0, -1]
    expected = torch.softmax(logits.double() / 2, dim=0).numpy()
    shares = np.bincount(drawn, minlength=len(expected)) / len(drawn)
    # five standard errors of a share; the shares of another temperature are further off
    assert (np.abs(shares - expected) < 5 * np.sqrt(expected / len(drawn)) + 1e-3).all()
    cold = torch.softmax(logits.double(), dim=0).numpy()
    assert (np.abs(shares - cold) > 5 * np.sqrt(cold / len(drawn)) + 1e-3).any()
    again, other = (generate(model, prompts, n_new=1, temperature=2.0, seed=s, batch_size=999)[0, :, 0] for s in (1, 2))
    assert np.array_equal(again, drawn) and not np.array_equal(other, drawn)


def test_a_cached_block_counts_steps(model, vector):
    """A loop of the caller's own, with keys and values kept: the hook sees (1, prompt, d), then (1, 1, d)."""
    prompts = prompts_of([5, 9, 11])
    [[[first, second]]] = generate(model, prompts, [add(vector, hook_name=HOOK, at="new")], n_new=2)
    shapes = []
    with (
        intervening(model, prompts, add(vector, hook_name=HOOK, at="new"), cached=True),
        model.hooks(fwd_hooks=[(HOOK, lambda stream, **_: shapes.append(tuple(stream.shape[:2])))]),
        torch.no_grad(),
    ):
        ids = torch.from_numpy(prompts.input_ids)
        logits, cache = model(ids, return_type="logits_and_cache", use_cache=True, prepend_bos=False)
        assert int(logits[0, -1].argmax()) == first
        step = torch.tensor([[first]])
        logits = model(step, past_key_values=cache, use_cache=True, prepend_bos=False)
        assert int(logits[0, -1].argmax()) == second
    assert shapes == [(1, 4), (1, 1)]


def test_a_caller_that_mixes_up_passes_is_told(model, prompts, vector):
    everywhere = add(vector, hook_name=HOOK)
    ids = torch.from_numpy(prompts.input_ids)
    with pytest.raises(ValueError, match="3 prompts and 7 columns or more"), intervening(model, prompts, everywhere):
        model(ids[:, :1], prepend_bos=False)
    with pytest.raises(ValueError, match="pass over 3 prompts"), intervening(model, prompts, everywhere):
        model(ids[:2], prepend_bos=False)
    with pytest.raises(ValueError, match="one new token"), intervening(model, prompts, everywhere, cached=True):
        model(ids, prepend_bos=False)
        model(ids, prepend_bos=False)
    with pytest.raises(ValueError, match="never came by"), intervening(model, prompts, everywhere):
        pass
    assert is_untouched(model)


def test_bad_generation(model, prompts, vector):
    for bad in ({"n_new": 0}, {"n_new": 1, "temperature": -1.0}, {"n_new": 1, "temperature": np.nan}):
        with pytest.raises(ValueError, match="expected a new token"):
            generate(model, prompts, **bad)
    with pytest.raises(ValueError, match=f"{CONTEXT} positions; got 7"):
        generate(model, prompts, n_new=CONTEXT - 6)
    with pytest.raises(ValueError, match="hook of the model"):
        generate(model, prompts, [add(vector, hook_name="blocks.1.nothing")], n_new=1)
    with pytest.raises(ValueError, match="overflow"):
        generate(model, prompts, [add(vector, hook_name=HOOK, strength=1e300)], n_new=2)
    assert is_untouched(model)
