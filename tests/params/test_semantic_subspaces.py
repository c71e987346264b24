"""Parameters of 06_semantic_subspaces: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import SemanticSubspacesParams

GOOD = {"activations": ["main"], "pairs": {"features": ["a", "b"]}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pairs": {"features": ["a", "a"]}}, "pairs.features: expected two different dictionaries"),
        ({"pairs": {"features": ["a"]}}, "pairs.features: expected two different dictionaries"),
        ({"pairs": {"words": ["a", "b"]}}, "the words themselves have this name"),
        ({"pairs": {}}, "pairs"),
        ({"activations": []}, "activations"),
        ({"measures": ["rsa", "rsa"]}, "measures must differ"),
        ({"min_hits": 6}, "min_hits"),
        ({"min_corr": 1.0}, "min_corr"),
        ({"n_permutations": 10}, "n_permutations"),
        ({"alpha": 0}, "alpha"),
    ],
)
def test_values_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        SemanticSubspacesParams(**(GOOD | changed))


def test_the_least_is_enough():
    params = SemanticSubspacesParams(**GOOD)
    assert params.measures[0] == "rsa" and params.n_permutations == 10_000
