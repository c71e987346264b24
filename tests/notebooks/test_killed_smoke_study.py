"""The smoke study, killed on its way: what it leaves is what it leaves undisturbed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.workflow.faults import KilledStudy, contents

pytestmark = pytest.mark.slow


def test_three_kills_of_the_smoke_study_change_nothing(smoke_study, tmp_path):
    """One kill in each third of its stages."""
    file = Path(__file__).resolve().parents[2] / "params" / "studies" / "smoke.yaml"
    study, expected = KilledStudy(file, tmp_path / "runs"), contents(smoke_study.folder)
    rng, third = random.Random(3), len(expected) // 3
    for start in (0, third, 2 * third):
        assert study.run_and_kill(rng, within=10.0, n_finished=rng.randrange(start, start + third // 2))
    study.finish()
    assert contents(study.folder) == expected
