"""The small grid study, run as a user runs it: every condition arrives, and the grid says what the layer pairs say."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.comparison import LayerGrid, LayerPairScores
from helpers.saes import SaeReference, load_sae, written_directions
from tests.notebooks.conftest import FinishedStudy, run_helpers

pytestmark = pytest.mark.slow


class FinishedGrid(FinishedStudy):
    @property
    def folder(self):
        return self.runs_folder / "grid_smoke"


@pytest.fixture(scope="module")
def grid_study(tmp_path_factory) -> FinishedGrid:
    runs_folder = tmp_path_factory.mktemp("runs")
    output = run_helpers("run", "grid_smoke", "--cores", "2", "--runs-folder", str(runs_folder), timeout=900)
    return FinishedGrid(runs_folder, output)


def test_a_reinitialised_model_knows_nothing(grid_study):
    fresh = grid_study.result("01_language_models", "a_random").metrics
    trained = grid_study.result("01_language_models", "a").metrics
    assert trained["loss"] < trained["unigram_loss"] < fresh["loss"]
    assert fresh["n_parameters"] == trained["n_parameters"]


def test_neurons_are_a_dictionary_of_their_own_width(grid_study):
    reference = SaeReference.load(grid_study.result("02_train_saes", "a0_neurons").artifact("sae"))
    assert load_sae(reference).sae.cfg.d_sae == 4 * 32
    assert written_directions(reference).shape == (4 * 32, 32)


def test_every_condition_is_scored_at_equal_numbers_of_pairs(grid_study):
    for run in ("a0_b0", "a0_b1"):
        scores = LayerPairScores.load(grid_study.result("16_layer_pairs", run).artifact("scores"))
        assert set(scores.conditions) == {"features", "neurons", "reinitialised", "ceiling_a"}
        scored = [found for found in scores.conditions.values() if found.is_scored]
        assert len({found.equal["rsa"].n_rows for found in scored}) == 1
        assert scored[0].equal["rsa"].n_rows == min(found.n_pairs for found in scored)
        assert scores.conditions["features"].n_pairs > 30


def test_a_model_is_more_like_itself_than_like_another(grid_study):
    metrics = grid_study.result("16_layer_grid", "main").metrics
    assert metrics["ceiling_a_mean_calibrated"] > metrics["features_mean_calibrated"]
    assert metrics["n_layer_pairs"] == 2


def test_the_grid_is_that_of_its_layer_pairs(grid_study):
    pairs = [
        LayerPairScores.load(grid_study.result("16_layer_pairs", run).artifact("scores")) for run in ("a0_b0", "a0_b1")
    ]
    grid = LayerGrid.collect(pairs)
    metrics = grid_study.result("16_layer_grid", "main").metrics
    assert metrics["n_tests"] == len(grid.tests)
    assert metrics["features_mean_calibrated"] == pytest.approx(np.mean(grid.at_equal_pairs("features", "rsa")))
    figures = {entry["file"] for entry in grid_study.result("16_layer_grid", "main").figures}
    assert {"figures/calibrated.png", "figures/significance.png", "figures/conditions_rsa.png"} <= figures


def test_a_second_run_does_nothing(grid_study):
    assert "everything is up to date, nothing was run" in grid_study.command("run", "grid_smoke")
