"""Parameters of the notebooks that look for shapes: what makes no sense is refused."""

import pytest
from pydantic import ValidationError

from helpers.params import ConceptHierarchyParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("matching", ""), ("min_words", 2), ("min_hits", 6), ("direction", "pca"), ("map_methods", []),
        ("map_methods", ["linear"]), ("n_permutations", 9), ("alpha", 1.0), ("views", ["animal"]),
    ],
)  # fmt: skip
def test_hierarchy_parameters_out_of_range(name, value):
    with pytest.raises(ValidationError, match=name):
        ConceptHierarchyParams(**{"matching": "main", name: value})


def test_map_methods_differ():
    with pytest.raises(ValidationError, match="map_methods must differ; got"):
        ConceptHierarchyParams(matching="main", map_methods=["ridge", "ridge"])
    assert ConceptHierarchyParams(matching="main").taxonomy == ""
