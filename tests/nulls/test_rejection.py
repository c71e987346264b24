"""How often a test may say "above chance" where nothing is there."""

import pytest

from helpers.nulls import RejectionRate, is_broken, rejection_rate


def test_rates_and_bounds_by_hand():
    rate = RejectionRate(n_tests=100, n_rejected=11, alpha=0.05)
    assert rate.rate == 0.11 and rate.as_text() == "11 of 100 (11.0%)"
    # P(more than 13 of 100) = 0.0005 and P(more than 12) = 0.0015, on both sides of three standard errors (0.00135).
    assert rate.bound == 0.13
    assert RejectionRate(100, 13, 0.05).within_bound and not RejectionRate(100, 14, 0.05).within_bound
    # Of three tests two false alarms may be bad luck (P = 0.007), three are not.
    assert RejectionRate(3, 2, 0.05).within_bound and not RejectionRate(3, 3, 0.05).within_bound


def test_a_test_is_broken_that_is_above_its_bound_twice():
    within, above = RejectionRate(100, 13, 0.05), RejectionRate(100, 14, 0.05)
    assert is_broken(above, above) and not is_broken(above, within)
    assert not is_broken(within, None) and not is_broken(within, above)
    assert not is_broken(RejectionRate(0, 0, 0.05), None)
    with pytest.raises(ValueError, match=r"14 of 100 \(14.0%\) is above the bound .*; expected a second"):
        is_broken(above, None)


def test_a_level_out_of_range_is_refused():
    with pytest.raises(ValueError, match="alpha must be between 0 and 1; got 1"):
        rejection_rate([], alpha=1)
