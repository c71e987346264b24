"""Parameters of 07_feature_maps: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import FeatureMapsParams


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_dist", 1.5), ("n_neighbors", 1), ("spaces", []), ("spaces", ["neurons"]), ("n_epochs", 0), ("matching", ""),
     ("min_hits", 6), ("n_permutations", 5)],
)  # fmt: skip
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        FeatureMapsParams(**{"matching": "main", name: value})


def test_the_space_that_is_shown_must_be_made():
    with pytest.raises(ValidationError, match="shown must be one of spaces .*; got 'firing'"):
        FeatureMapsParams(matching="main", spaces=["decoder"])
    with pytest.raises(ValidationError, match="spaces must differ"):
        FeatureMapsParams(matching="main", spaces=["firing", "firing"])
    assert FeatureMapsParams(matching="main", spaces=["decoder"], shown="decoder").shown == "decoder"
