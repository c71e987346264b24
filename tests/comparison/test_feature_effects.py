"""What features do in two tiny models: every choice of prompts, pairs and words by hand, and answers that are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from scipy.stats import spearmanr

from helpers.comparison import feature_effects as effects
from helpers.comparison import partner_effects, word_moves
from helpers.comparison.steering_transfer import TransferPair, TransferSide
from helpers.features import ConceptGroup, ConceptGroups
from helpers.geometry.circles import circle_plane
from helpers.matching.pairs import make_pairs
from helpers.saes import LoadedSae
from helpers.steering import Word, prompt_states, steered_logits
from helpers.steering.effects import FeatureEffects, FunctionalSimilarity
from helpers.steering.scores import SteeringTask, TaskPrompt
from tests.tiny import HOOK

D_SAE = 24
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July")


def task_of(words: tuple[str, ...], others: tuple[str, ...], name: str) -> SteeringTask:
    """Forms that ask for the next and the last word, one with two right answers, and one with two words of the list."""

    def asked(text: str, shift: int, form: int) -> list[TaskPrompt]:
        return [
            TaskPrompt(text.format(word), (words[(n + shift) % len(words)],), others, form=form)
            for n, word in enumerate(words)
        ]

    return SteeringTask(
        name=name,
        question="?",
        toward=tuple(f"After {word} comes" for word in others),
        away=tuple(f"After {word} comes" for word in words),
        validate=(*asked("The day before {} is", -1, 0), TaskPrompt("It was very", words[:2], others, form=1)),
        held_out=(
            *asked("Today is {}. Tomorrow is", 1, 0),
            TaskPrompt(f"{words[0]}, {words[1]},", (words[2],), others, form=1),
        ),
    )


@pytest.fixture(scope="module")
def both(model, tokenizer, tokens) -> TransferPair:
    sides = []
    for seed in (5, 6):
        generator = torch.Generator().manual_seed(seed)
        sae = StandardSAE(StandardSAEConfig(d_in=16, d_sae=D_SAE, device="cpu"))
        with torch.no_grad():
            sae.W_dec.copy_(torch.randn(D_SAE, 16, generator=generator))
            sae.W_enc.copy_(torch.randn(16, D_SAE, generator=generator))
        sae.eval().requires_grad_(False)
        loaded = LoadedSae(sae=sae, hook_name=HOOK, prepend_bos=True, center_writing_weights=False)
        sides.append(TransferSide("ab"[seed - 5], model, loaded, store=None))  # type: ignore[arg-type]
    ids = np.arange(20)
    settings = {"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "both"}
    return TransferPair(*sides, make_pairs(ids, ids, np.linspace(0.9, 0.1, 20), settings=settings), tokens, tokenizer)


@pytest.fixture(scope="module")
def days() -> SteeringTask:
    return task_of(DAYS, MONTHS, "days")


def test_only_prompts_with_one_right_answer_are_taken(both, days):
    known = effects.known_answers(both, days)
    assert len(known.asked) == 15 == known.prompts.n_prompts and "It was very" not in [
        each.text for each in known.asked
    ]
    assert both.tokenizer.decode(known.token_ids[:2]).split() == ["Sunday", "Monday"]
    few = effects.known_answers(both, days, n_prompts=3)
    assert [each.text for each in few.asked] == [known.asked[place].text for place in (0, 7, 14)]
    with pytest.raises(ValueError, match="no prompt with exactly one right plain answer"):
        effects.known_answers(
            both,
            replace(
                days, validate=days.validate[-1:], held_out=days.held_out[:0] + (TaskPrompt("Now it is", (), MONTHS),)
            ),
        )
    with pytest.raises(ValueError, match="n_prompts is at least 1; got 0"):
        effects.known_answers(both, days, n_prompts=0)


def test_the_lead_is_over_the_best_other_token(both, days):
    known = effects.known_answers(both, days)
    logits = steered_logits(both.a.model, known.prompts, [()])[0]
    answers = effects.lead_of(both.a.model, known)
    for row, right, other in zip(logits, known.token_ids, answers.others, strict=True):
        best = np.argsort(-row)
        assert other == (best[1] if best[0] == right else best[0])


def test_all_that_fires_is_measured(both, days):
    found = effects.rank_effects(both, both.a, days, n_prompts=5, n_candidates=D_SAE, n_random=0, seed=0)
    assert sorted(found.candidates) == np.flatnonzero(found.activations > 0).tolist() and found.effects.shape[1] == 5


def effects_of(attribution, activation, measured) -> FeatureEffects:
    n = len(measured)
    column = [np.asarray(values, dtype=float)[:, None] for values in (attribution, measured)]
    return FeatureEffects(column[0], np.asarray(activation, dtype=float), np.arange(n), column[1])


def test_a_ranking_stands_beside_itself_shuffled():
    rng = np.random.default_rng(0)
    measured = np.sort(rng.random(40))[::-1]
    found = effects_of(measured + 0.05 * rng.random(40), rng.random(40), measured)
    good, poor = (effects.ranking_test(found, ranking, n_shuffles=99) for ranking in effects.RANKINGS)
    assert good.score == pytest.approx(spearmanr(found.attributions[:, 0], measured).statistic) and good.p_value == 0.01
    assert poor.p_value > 0.05 and abs(good.null_mean) < 0.05  # 99 shuffles of 40: a standard error of 0.016
    value, low, high = effects.ranking_advantage(found, n_resamples=99)
    assert value == pytest.approx(good.score - poor.score) and 0 < low < value < high <= 2
    assert effects.ranking_test(effects_of(measured, np.ones(40), measured), "activation") is None
    assert effects.mean_agreement({"x": {"attribution": good, "activation": None}}) == {
        "attribution": good.score,
        "activation": None,
    }
    with pytest.raises(ValueError, match="n_shuffles is at least 1; got 0"):
        effects.ranking_test(found, "attribution", n_shuffles=0)
    with pytest.raises(ValueError, match="three features or more"):
        effects.ranking_advantage(effects_of([1, 2], [1, 2], [2, 1]))


def test_a_push_is_taken_apart(both, days):
    counts = {"n_prompts": 4, "n_features": 3, "n_directions": 2, "n_random": 9, "seed": 0}
    found = effects.take_apart(both, both.a, days, strengths=(0.5, 2.0), min_success=0.9, **counts)
    assert found.strength in (0.5, 2.0) and 0 <= found.turned <= 1
    assert found.restored.whole == pytest.approx(1, abs=1e-3)  # float32 through one layer
    assert found.adjusted.shape == (5,) and found.adjusted.min() >= 0.1  # 9 random directions cannot give less
    assert found.n_beyond("features") == (found.restored.features.p_values == 0.1).sum()
    assert found.n_beyond("directions") == (found.restored.directions.p_values == 0.1).sum()
    assert effects.apart_metrics("a", found)["whole_a"] == found.restored.whole


def test_pairs_are_drawn_and_compared(both):
    drawn = partner_effects.drawn_pairs(both.pairs, n_pairs=8, seed=1)
    assert drawn.n_pairs == 8 and set(drawn.ids_a) < set(both.pairs.ids_a) and (np.diff(drawn.corr) <= 0).all()
    assert partner_effects.drawn_pairs(both.pairs, n_pairs=50, seed=1).n_pairs == 20
    found = partner_effects.partner_effects(both, n_pairs=8, n_texts=2, seed=1)
    assert found.n_pairs + found.n_silent == 8 and found.n_tokens == both.tokens.keep_mask[:2].sum()
    assert partner_effects.self_similarity(both, found, n_features=3, n_texts=1) == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="n_pairs is at least 2; got 1"):
        partner_effects.drawn_pairs(both.pairs, n_pairs=1, seed=0)
    with pytest.raises(ValueError, match="n_texts is at least 1; got 0"):
        partner_effects.partner_effects(both, n_pairs=8, n_texts=0, seed=0)


@pytest.fixture
def compared() -> FunctionalSimilarity:
    n, counts = 6, np.full(6, 5)
    similarity = np.full((n, n), 0.1)
    np.fill_diagonal(similarity, [0.9, 0.1, 0.7, 0.3, 0.5, 0.2])
    similarity[0, 1] = 0.8  # pairs 0 and 1 share their feature of b, so this is no stranger
    ids_b = np.array([0, 0, 2, 3, 4, 5])
    sizes = np.array([0.6, 0.1, 0.5, 0.3, 0.4, 0.2])
    return FunctionalSimilarity(
        np.arange(n), ids_b, np.linspace(0.9, 0.4, n), similarity, np.eye(n), counts, counts, sizes, sizes + 0.1, 50, 0,
        "probability",
    )  # fmt: skip


def test_bands_by_hand(compared):
    low, high = partner_effects.similarity_bands(compared, "match", n_bands=2)
    assert (high.n_pairs, high.low, high.high) == (3, pytest.approx(0.7), pytest.approx(0.9))
    assert high.mean == pytest.approx((0.9 + 0.1 + 0.7) / 3) and low.mean == pytest.approx((0.3 + 0.5 + 0.2) / 3)
    assert high.mean_low <= high.mean <= high.mean_high and high.strangers == pytest.approx(0.1)
    small, large = partner_effects.similarity_bands(compared, "effect", n_bands=2)
    assert large.mean == pytest.approx((0.9 + 0.7 + 0.5) / 3) and (small.low, large.high) == (0.1, 0.6)
    with pytest.raises(ValueError, match="by is 'match' or 'effect'"):
        partner_effects.similarity_bands(compared, "size")
    with pytest.raises(ValueError, match="n_bands is from 1 to the number of pairs, 6; got 7"):
        partner_effects.similarity_bands(compared, "match", n_bands=7)


def test_similarity_rises_with_the_weaker_partner(compared):
    uneven = replace(compared, effects_a=np.ones(6))  # the smaller of both counts
    result = partner_effects.effect_and_similarity(uneven, n_runs=99)
    assert result.score == pytest.approx(spearmanr(compared.effects_b, compared.matched).statistic)
    metrics = partner_effects.partner_metrics(compared, {"frequency": result}, {"size of the effect": result})
    assert metrics["functional"] == pytest.approx(0.45) and metrics["functional_frequency_p"] == result.p_value
    assert metrics["functional_with_size_of_the_effect"] == result.score


def test_the_place_of_a_word_in_its_prompt(both, days):
    asked = word_moves.prompts_with_word(both, days, DAYS)
    assert asked.prompts.n_prompts == 14 and sorted(asked.words.tolist()) == sorted([*range(7)] * 2)
    for row, (word, (place,)) in enumerate(zip(asked.words, asked.at, strict=True)):
        ids = asked.prompts.input_ids[row][asked.prompts.attention_mask[row]]
        assert both.tokenizer.decode([ids[place]]).strip() == DAYS[word]
    with pytest.raises(ValueError, match="no prompt with one of king, queen"):
        word_moves.prompts_with_word(both, days, ("king", "queen"))


@dataclass
class _Left:
    params: dict[str, Any]
    artifacts: dict[str, Path] = field(default_factory=dict)

    def artifact(self, name: str) -> Path:
        return self.artifacts[name]


def test_planes_are_read_by_side_group_and_hook(tmp_path):
    rows = np.random.default_rng(0).normal(size=(7, 16))
    for letter in "ab":
        circle_plane(rows, DAYS, kind="order", hook_name=HOOK).save(tmp_path / f"{letter}_weekdays_{HOOK}_order.npz")
    circle_plane(rows, DAYS, hook_name=HOOK).save(tmp_path / f"a_weekdays_{HOOK}_principal.npz")
    left = _Left({"matching": "main"}, {"planes": tmp_path})

    def load(**options):
        return word_moves.load_planes(
            lambda *_: left, "main", **({"matching": "main", "groups": ["weekdays"]} | options)
        )

    assert set(load()) == {("a", "weekdays", HOOK), ("b", "weekdays", HOOK)}
    assert {plane.kind for plane in load().values()} == {"order"}
    with pytest.raises(ValueError, match="expected 'other'; name another run under circles"):
        load(matching="other")
    with pytest.raises(ValueError, match="kept no plane of 'months'"):
        load(groups=["months"])


def test_words_are_turned_where_they_are_read(both, days):
    """The last block's output at the word is read by nobody, and no plane means no turn."""
    rows = np.stack([prompt_states(both.a.model, both.prompts([f"Today is {day}"]), hook_name=HOOK)[0] for day in DAYS])
    planes = {
        ("a", "weekdays", hook): circle_plane(rows, DAYS, kind="order", hook_name=hook)
        for hook in (HOOK, "blocks.1.hook_resid_post")
    }
    turns = word_moves.turn_words(both, planes, {"weekdays": days}, shifts=[1, 2], n_random=3, seed=0)
    (turn,) = turns
    assert (turn.model, turn.group, turn.hook_name) == ("a", "weekdays", HOOK) and turn.swapped.shape == (2, 14)
    unread = replace(turn, movement=None)
    (p, nothing) = word_moves.turn_p_values([turn, unread])
    assert nothing is None and (p is None) == (turn.movement is None)
    assert word_moves.turn_shares([unread]) == {}
    if turn.movement is not None:
        assert word_moves.turn_shares([turn, unread])["whole"] == turn.swapped_as_expected


def test_cells_of_places_and_of_forms(both, days):
    orders = ConceptGroups(
        (ConceptGroup("weekdays", DAYS, "exact"), ConceptGroup("months", ("May", *MONTHS[:4]), "exact"))
    )
    tasks = {"weekdays": days, "months": task_of(MONTHS, DAYS, "months")}
    cells = word_moves.place_cells(both, tasks, orders, first_words=["Monday", "January"])
    assert {word.text: word.index for word in cells.words if word.domain == "months"} == dict(
        zip(MONTHS[:4], range(4), strict=True)
    )
    tuesday = cells.words.index(Word("Tuesday", "weekdays", 1))
    texts = [
        both.tokenizer.decode(row[mask][1:])
        for row, mask in zip(cells.prompts.input_ids, cells.prompts.attention_mask, strict=True)
    ]
    mine = [text for text, cell in zip(texts, cells.cell_of, strict=True) if cell == tuesday]
    assert sorted(text.strip() for text in mine) == ["The day before Wednesday is", "Today is Monday. Tomorrow is"]
    states = cells.states(both.a, HOOK)
    by_hand = prompt_states(both.a.model, both.prompts(sorted(mine)), hook_name=HOOK).mean(axis=0)
    assert np.allclose(states[tuesday], by_hand, atol=1e-5) and cells.one_each.n_prompts == len(cells.words)
    forms = word_moves.form_cells(both, days, DAYS)
    assert {word.domain for word in forms.words} == {"validation 0", "held out 0", "held out 1"} and len(
        forms.words
    ) == 15
    with pytest.raises(ValueError, match="one word of every group; got 0 of 'months'"):
        word_moves.place_cells(both, tasks, orders, first_words=["Monday"])
    with pytest.raises(ValueError, match="is answered by none of king"):
        word_moves.form_cells(both, days, ("king", "queen"))


def test_cells_are_asked_for_at_every_layer_and_used_at_the_dictionary(both, days):
    forms = word_moves.form_cells(both, days, DAYS)
    found = word_moves.cells_by_layer(both, forms, n_shuffles=4, seed=0)
    assert set(found.tests) == {(name, f"blocks.{layer}.hook_resid_post") for name in "ab" for layer in (0, 1)}
    assert all(found.adjusted[key] >= test.p >= 0.2 for key, test in found.tests.items())
    steps = word_moves.steer_cells(both.a, forms, start="own domain", n_starts=2, n_shuffles=3, seed=0)
    assert 0 <= steps.success <= 1 and steps.null_hits.shape == (3,)
