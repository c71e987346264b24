"""Directions that take part, on a dictionary whose features are the axes: what each is made of can be read off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig

from helpers.saes import LoadedSae
from helpers.steering import given_vector
from helpers.steering.scores import Arm, Trial, cleaned_sum, dictionary_sum, random_arms, shuffled_arms, trials
from tests.steering.conftest import D_MODEL, HOOK

LENGTHS = np.linspace(1, 3, D_MODEL)  # of the decoder rows


@pytest.fixture
def axes() -> LoadedSae:
    """Feature i reads axis i and writes it, LENGTHS[i] as long."""
    sae = StandardSAE(StandardSAEConfig(d_in=D_MODEL, d_sae=D_MODEL, device="cpu", apply_b_dec_to_input=False))
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(D_MODEL))
        sae.W_dec.copy_(torch.diag(torch.from_numpy(LENGTHS).float()))
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    return LoadedSae(sae.requires_grad_(False), HOOK, prepend_bos=True, center_writing_weights=False)


@pytest.fixture
def source():
    return given_vector(np.arange(1.0, D_MODEL + 1), hook_name=HOOK, name="m", residual_norm=2.0)


def rows_of(*columns: tuple[int, list[float]]) -> np.ndarray:
    """Five rows whose entries are the features' activations; a negative entry does not fire."""
    rows = np.full((5, D_MODEL), -1.0)
    for feature, values in columns:
        rows[:, feature] = values
    return rows


TOWARD = rows_of((0, [2.0] * 5), (1, [3.0] * 5), (2, [1, 1, 1, -1, -1]), (3, [4, -1, -1, -1, -1]), (5, [1.0] * 5))
AWAY = rows_of((1, [1.0] * 5), (2, [9, -1, -1, -1, -1]), (4, [0.5, 0.5, 0.5, 0.5, -1]), (5, [1.0] * 5))
# Mean activations: 0: 2 and 0; 1: 3 and 1; 2: 0.6 and 1.8; 3: 0.8 and 0; 4: 0 and 0.4; 5: 1 and 1.
WEIGHTS = {0: 2.0, 1: 2.0, 2: -1.2, 3: 0.8, 4: -0.4}


def test_in_sae_space_every_difference_of_mean_activations_counts(axes, source):
    found = dictionary_sum(source, axes, TOWARD, AWAY, labels={0: "zero"})
    weights = dict(zip(found.feature_ids.tolist(), found.weights, strict=True))
    assert weights == pytest.approx(WEIGHTS, abs=1e-6)  # float32 activations; 5 fires alike on both sides
    expected = np.zeros(D_MODEL)
    for feature, weight in WEIGHTS.items():
        expected[feature] = weight * LENGTHS[feature]
    assert np.allclose(found.rebuilt().vector, expected, atol=1e-5)
    assert found.label(0) == "zero" and found.rebuilt().residual_norm == 2.0


def test_cleaning_keeps_what_tells_the_sides_apart(axes, source):
    """Traps: 1 fires everywhere and only louder; 2 fires more often where it fires more weakly, so its sign is wrong."""
    found = dictionary_sum(source, axes, TOWARD, AWAY)
    kept = cleaned_sum(found, axes, TOWARD, AWAY)  # 3 fires on one prompt more of five: just enough
    assert set(kept.feature_ids.tolist()) == {0, 3, 4}
    assert np.array_equal(kept.weights, found.keep([0, 3, 4]).weights)
    strict = cleaned_sum(found, axes, TOWARD, AWAY, min_difference=0.9)
    assert strict.feature_ids.tolist() == [0]
    nothing = cleaned_sum(found.keep([1, 2]), axes, TOWARD, AWAY)
    assert len(nothing.feature_ids) == 0 and not nothing.vector.any()


def test_shuffled_features_are_candidates_with_the_weights_of_the_sum(axes, source):
    found = dictionary_sum(source, axes, TOWARD, AWAY)
    candidates = np.arange(2, 14)  # 2, 3 and 4 are the sum's own; 14 and 15 never fire on texts
    arms = shuffled_arms(found, axes, n=40, seed=3, candidates=candidates)
    assert [arm.name for arm in arms] == [f"shuffled {number}" for number in range(40)]
    drawn = np.stack([arm.vector.vector for arm in arms]) / LENGTHS  # weights, feature by feature
    for weights in drawn:
        assert np.allclose(np.sort(weights[weights != 0]), np.sort(found.weights), atol=1e-6)  # float32 rows
    used = np.flatnonzero((drawn != 0).any(axis=0))
    assert used.tolist() == list(range(5, 14))  # all others, and none of the sum's own or beyond the candidates
    assert {arm.space for arm in arms} == {"shuffled"} and all(arm.vector.hook_name == HOOK for arm in arms)
    with pytest.raises(ValueError, match="as many other features as the sum has, 5; got 4; keep fewer"):
        shuffled_arms(found, axes, n=1, seed=0, candidates=np.arange(9))


def test_random_directions_point_anywhere(source):
    """Mean square cosine with any direction is 1/d; a draw that is not even would favour some axis."""
    arms = random_arms(source, n=4000, seed=0)
    rows = np.stack([arm.vector.vector for arm in arms])
    assert np.allclose(np.linalg.norm(rows, axis=1), source.norm, rtol=1e-12)
    squares = (rows / source.norm) ** 2
    # The variance of a square is 2 (d - 1) / (d^2 (d + 2)); five standard errors of a mean of 4,000.
    deviation = np.sqrt(2 * (D_MODEL - 1) / (D_MODEL**2 * (D_MODEL + 2)) / 4000)
    assert np.abs(squares.mean(axis=0) - 1 / D_MODEL).max() < 5 * deviation
    assert np.abs(rows.mean(axis=0)).max() < 5 * source.norm / np.sqrt(4000 * D_MODEL)


@pytest.mark.parametrize("kind", ["random", "shuffled"])
def test_the_seed_decides_the_baselines(axes, source, kind):
    found = dictionary_sum(source, axes, TOWARD, AWAY)

    def drawn(n: int, seed: int) -> np.ndarray:
        arms = (
            random_arms(source, n=n, seed=seed)
            if kind == "random"
            else shuffled_arms(found, axes, n=n, seed=seed, candidates=np.arange(D_MODEL))
        )
        return np.stack([arm.vector.vector for arm in arms])

    assert np.array_equal(drawn(6, 1), drawn(6, 1)) and np.array_equal(drawn(6, 1)[:2], drawn(2, 1))
    assert not np.array_equal(drawn(6, 1), drawn(6, 2)) and len(np.unique(drawn(6, 1), axis=0)) == 6


def test_all_directions_are_added_at_one_length(axes, source):
    """Of sums of long and short rows too: a strength is in mean lengths of the layer's rows, 2 here."""
    found = dictionary_sum(source, axes, TOWARD, AWAY)
    arms = [
        Arm("model", "model", source),
        Arm("sae", "sae", found.rebuilt()),
        *random_arms(source, n=2, seed=0),
        *shuffled_arms(found, axes, n=2, seed=0, candidates=np.arange(D_MODEL)),
    ]
    assert np.ptp([arm.vector.norm for arm in arms]) > 1
    tried = trials(arms, [0.5, 1.5], at="everywhere")
    assert [(each.arm.name, each.strength) for each in tried[:3]] == [("model", 0.5), ("model", 1.5), ("sae", 0.5)]
    for each in tried:
        intervention = each.intervention
        assert np.linalg.norm(intervention.strength * intervention.step) == pytest.approx(2 * each.strength)
        assert intervention.at == "everywhere" and intervention.hook_name == HOOK
    unmeasured = Trial(Arm("model", "model", replace(source, residual_norm=None)), 1.0)
    with pytest.raises(ValueError, match="measure it with mean_residual_norm"):
        _ = unmeasured.intervention
