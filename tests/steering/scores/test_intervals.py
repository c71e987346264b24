"""Bootstrap intervals: against closed forms, and where the bootstrap would be sure of what it cannot know."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from helpers.steering.scores import share_interval


def test_it_is_the_binomial_of_the_share():
    """Resampling n prompts with 30% hits is a binomial draw, whose quantiles are known."""
    hits = np.arange(100) < 30
    found = share_interval(hits, n_resamples=20_000, seed=3)
    assert found.value == pytest.approx(0.3)
    exact = binom.ppf([0.025, 0.975], 100, 0.3) / 100
    # A quantile of 20,000 draws is off by a step of 1/100 at most, and now and then by one more.
    assert np.allclose([found.low, found.high], exact, atol=0.011)
    assert str(found) == f"30% ({found.low:.0%} to {found.high:.0%})"


def test_unanimous_prompts_do_not_make_it_certain():
    """The known-wrong bootstrap interval is [1, 1]; Clopper and Pearson's is that of the beta distribution."""
    found = share_interval(np.ones(20, bool))
    assert found.high == 1 and found.low == pytest.approx(beta.ppf(0.025, 20, 1)) and found.low < 0.9
    none = share_interval(np.zeros(20, bool))
    assert none.low == 0 and none.high == pytest.approx(beta.ppf(0.975, 1, 20))
    several = share_interval(np.zeros((50, 20), bool))
    assert several.high == none.high  # fifty directions on the same prompts are not fifty times the prompts


def test_directions_and_prompts_are_both_drawn_again():
    """One direction of ten that always works: the prompts say nothing, the directions all."""
    hits = np.zeros((10, 40), bool)
    hits[3] = True
    found = share_interval(hits, n_resamples=20_000)
    exact = binom.ppf([0.025, 0.975], 10, 0.1) / 10
    assert np.allclose([found.value, found.low, found.high], [0.1, *exact], atol=1e-9)


@pytest.mark.parametrize(("hits", "level"), [(np.zeros(0, bool), 0.95), (np.ones(3, bool), 1.0)])
def test_nothing_to_resample_is_an_error(hits, level):
    with pytest.raises(ValueError, match="expected prompts and a level in"):
        share_interval(hits, level=level)
