"""Parameters of 08_feature_splitting: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import FeatureSplittingParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dictionaries", ["a"]),
        ("dictionaries", ["a", "b", "c", "d"]),
        ("activations", ""),
        ("quantile", 1),
        ("alpha", 0),
        ("n_shuffles", 0),
        ("min_firings", 0),
        ("n_neighbors", 1),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        FeatureSplittingParams(**({"activations": "main", "dictionaries": ["a", "b"]} | {name: value}))


def test_a_dictionary_is_named_once():
    with pytest.raises(ValidationError, match="dictionaries must differ"):
        FeatureSplittingParams(activations="main", dictionaries=["a", "a"])


def test_the_defaults_are_a_valid_choice():
    params = FeatureSplittingParams(activations="main", dictionaries=["a", "b"])
    assert 0.9 < params.quantile < 1 and params.alpha < 0.05
