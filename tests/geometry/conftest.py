"""Firings with planted families."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry import planted_families, planted_splitting
from helpers.matching.pairs import make_pairs


@pytest.fixture(scope="session")
def planted():
    return planted_families(seed=0)


def pairs_of(ids_a, ids_b, *, d_sae_a, d_sae_b):
    """Pairs of these features, all with correlation 1."""
    settings = {"d_sae_a": d_sae_a, "d_sae_b": d_sae_b, "direction": "a_to_b"}
    return make_pairs(np.asarray(ids_a), np.asarray(ids_b), np.ones(len(ids_a)), settings=settings)


@pytest.fixture(scope="session")
def planted_split():
    return planted_splitting(seed=0)
