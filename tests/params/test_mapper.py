"""Parameters of 09_mapper: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import MapperParams


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"matching": ""}, "matching"),
        ({"spaces": ["firing", "firing"]}, "spaces must differ"),
        ({"spaces": []}, "spaces"),
        ({"lens": "tsne"}, "lens"),
        ({"lens": "umap"}, "lens 'umap' has lens_components=2; got 1"),
        ({"lens": "density", "lens_components": 2}, "lens 'density' has lens_components=1; got 2"),
        ({"gain": 1.0}, "gain"),
        ({"min_samples": 1}, "min_samples"),
        ({"core_share": 1.5}, "core_share"),
        ({"sweep_gains": [0.5, 1.0]}, "sweep_gains between 0 and 1"),
        ({"sweep_cubes": [0]}, "sweep_cubes must be at least 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        MapperParams(**({"matching": "main"} | values))


def test_the_defaults_are_a_valid_choice():
    params = MapperParams(matching="main")
    assert params.lens == "isomap" and 0 < params.gain < 0.5  # at most two pieces overlap: loops are cycles
