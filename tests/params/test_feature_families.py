"""Parameters of 17_feature_families: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import FeatureFamiliesParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_cover", 1.5),
        ("min_cover", 0.1),
        ("min_ratio", 1),
        ("min_jaccard", -0.1),
        ("alpha", 0),
        ("n_shuffles", 0),
        ("matching", ""),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        FeatureFamiliesParams(**{"matching": "main", name: value})


def test_the_defaults_are_a_valid_choice():
    params = FeatureFamiliesParams(matching="main")
    assert params.min_ratio > 1 and 0 < params.alpha < params.min_cover
