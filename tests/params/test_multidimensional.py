"""Parameters of 11_multidimensional_features: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import MultidimensionalParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("matching", ""),
        ("n_neighbors", 0),
        ("quantile", 1),
        ("min_jaccard", 0),
        ("max_members", 2),
        ("max_points", 49),
        ("n_runs", 0),
        ("n_shown", 7),
        ("alpha", 0),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        MultidimensionalParams(**{"matching": "main", name: value})


def test_the_defaults_are_a_valid_choice():
    params = MultidimensionalParams(matching="main")
    assert params.linear == ["numbers"] and params.n_runs >= 99
