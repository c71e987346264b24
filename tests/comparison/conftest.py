"""Two matched spaces: frequent features that are arranged alike in both, rare ones that are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from helpers.comparison import MatchedSpaces
from helpers.matching import match_features
from tests.activations.conftest import write_store

N_TOKENS, D_SAE, N_SHARED, D_A, D_B = 2000, 120, 60, 6, 5


@dataclass
class Left:
    """A result of an earlier notebook."""

    params: dict[str, Any]
    artifacts: dict[str, Path] = field(default_factory=dict)

    def artifact(self, name: str) -> Path:
        return self.artifacts[name]


def make_spaces(folder, *, alike: bool, seed: int = 0) -> MatchedSpaces:
    """Features 0 to 59 fire alike in both dictionaries (often), the others on their own (rarely).

    Args:
        alike: whether the directions of the shared features are arranged alike, too.
    """
    rng = np.random.default_rng(seed)
    rates = np.where(np.arange(D_SAE) < N_SHARED, 0.05, 0.01)
    fires_a, fires_b = (rng.random((N_TOKENS, D_SAE)) < rates for _ in range(2))
    fires_b[:, :N_SHARED] = fires_a[:, :N_SHARED]
    stores = [
        write_store(folder / name, scipy.sparse.csr_array(fires * rng.uniform(0.5, 1.0, size=fires.shape)))
        for name, fires in (("a", fires_a), ("b", fires_b))
    ]
    directions_a, directions_b = rng.standard_normal((D_SAE, D_A)), rng.standard_normal((D_SAE, D_B))
    if alike:
        directions_b[:N_SHARED] = directions_a[:N_SHARED] @ np.linalg.qr(rng.standard_normal((D_A, D_A)))[0][:, :D_B]
    return MatchedSpaces(("a", "b"), match_features(*stores, min_firings=5), directions_a, directions_b, *stores)


@pytest.fixture(scope="package")
def alike(tmp_path_factory) -> MatchedSpaces:
    return make_spaces(tmp_path_factory.mktemp("alike"), alike=True)


@pytest.fixture(scope="package")
def unlike(tmp_path_factory) -> MatchedSpaces:
    return make_spaces(tmp_path_factory.mktemp("unlike"), alike=False)
