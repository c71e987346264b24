"""Sweeps: means over cases, curves, rankings; easy where it is easy, hard where it is hard."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.ground_truth import (
    SweepPoint,
    WorldSettings,
    as_good_as_best,
    build_worlds,
    feature_cases,
    mean_by_method,
    score_pairs,
    sweep_curves,
    sweep_matching,
)
from helpers.matching import match_features


@pytest.fixture(scope="module")
def worlds():
    return build_worlds(WorldSettings(n_features=60, d_model=24, n_clusters=6, mean_l0=3.0, rate_ratio=10), seed=0)


@pytest.fixture(scope="module")
def points(worlds):
    cases = {noise: feature_cases(worlds, n_tokens=4000, noise=noise, n_repeats=2, seed=0) for noise in (0.0, 0.8, 1.0)}
    return sweep_matching(cases, min_corr=0.3, min_firings=5, n_threads=1)


def point(method, setting, **values):
    defaults = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "average_precision": 0.5, "best_f1": 0.5, "n_cases": 1}
    return SweepPoint(method=method, setting=setting, **(defaults | values))


def test_noise_costs_recall_of_every_method(points):
    for method, (settings, recall) in sweep_curves(points, "recall").items():
        assert settings == [0.0, 0.8, 1.0]
        assert recall[0] > 0.95, method
        assert recall[0] > recall[1] > recall[2], method
        assert recall[2] < 0.1, method  # all that is left is the topic


def test_points_are_means_of_their_cases(worlds, points):
    cases = feature_cases(worlds, n_tokens=4000, noise=0.8, n_repeats=2, seed=0)
    scores = [
        score_pairs(match_features(c.acts_a, c.acts_b, method="mutual", min_firings=5).above(0.3), c.truth)
        for c in cases
    ]
    found = next(p for p in points if (p.method, p.setting) == ("mutual", 0.8))
    assert found.recall == pytest.approx(np.mean([score.recall for score in scores]))
    assert found.f1 == pytest.approx(np.mean([score.f1 for score in scores]))
    assert found.n_cases == 2
    assert scores[0].recall != scores[1].recall  # the cases are not copies of each other


def test_average_precision_ignores_the_threshold(worlds):
    cases = {0.8: feature_cases(worlds, n_tokens=4000, noise=0.8, n_repeats=1, seed=0)}
    loose, strict = (sweep_matching(cases, min_corr=corr, min_firings=5, n_threads=1) for corr in (0.0, 0.6))
    assert [p.average_precision for p in loose] == [p.average_precision for p in strict]
    assert all(a.recall > b.recall for a, b in zip(loose, strict, strict=True))


def test_points_without_a_pair_are_left_out_of_the_precision():
    points = [point("m", 1.0, precision=0.8), point("m", 2.0, precision=None), point("n", 1.0, precision=0.9)]
    assert sweep_curves(points, "precision") == {"m": ([1.0], [0.8]), "n": ([1.0], [0.9])}
    assert sweep_curves(points, "recall")["m"] == ([1.0, 2.0], [0.5, 0.5])


def test_the_best_method_is_first():
    points = [point("m", 1.0, f1=0.4), point("m", 2.0, f1=0.6), point("n", 1.0, f1=0.7)]
    assert mean_by_method(points, "f1") == {"n": 0.7, "m": 0.5}
    assert list(mean_by_method(points, "f1")) == ["n", "m"]


def test_methods_within_the_noise_of_the_best_are_as_good():
    values = {"best": (0.8, 0.6, 0.4), "luck": (0.85, 0.55, 0.38), "worse": (0.7, 0.5, 0.31)}
    points = [point(m, float(i), f1=v) for m, heights in values.items() for i, v in enumerate(heights)]
    assert as_good_as_best(points, "f1") == ["best", "luck"]  # -0.05, 0.05, 0.02 against 0.1, 0.1, 0.09
    assert as_good_as_best(points, "recall") == ["best", "luck", "worse"]
    assert as_good_as_best(points, "f1", margin=0.1) == ["best", "luck", "worse"]


@pytest.mark.parametrize("points", [[point("m", 0.0)], [point("m", 0.0), point("m", 1.0), point("n", 0.0)]])
def test_methods_that_cannot_be_compared_are_refused(points):
    with pytest.raises(ValueError, match="equally many points of every method, at least 2"):
        as_good_as_best(points, "f1")


def test_a_setting_without_cases_is_refused():
    with pytest.raises(ValueError, match="setting 0.5 has no case"):
        sweep_matching({0.5: []}, min_corr=0.3)
