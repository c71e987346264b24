"""The study `scale` asks for what its name says, and what follows from it is known before it runs."""

from __future__ import annotations

import pytest

from helpers.params import MatchFeaturesParams, load_study
from helpers.workflow.costs import BASE_SECONDS, OTHER_FIRING_PAIR_SECONDS, study_costs
from helpers.workflow.stages import StageRun, needs
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "params" / "studies" / "scale.yaml")


def test_ten_million_tokens_two_models_wide_dictionaries_one_study(study):
    assert set(study.notebooks["01_language_models"]) == {"a", "b"}
    dictionaries = study.notebooks["02_train_saes"]
    assert {(params.d_sae, params.k, params.model) for params in dictionaries.values()} == {
        (65_536, 32, "a"),
        (65_536, 32, "b"),
    }
    (sample,) = study.notebooks["03_save_activations"].values()
    assert (sample.n_tokens, sample.dictionaries) == (10_000_000, ["a", "b"])
    (matching,) = study.notebooks["04_match_features"].values()
    assert needs("04_match_features", matching) == [StageRun("03_save_activations", "main")]
    assert study.notebooks.keys() == {"01_language_models", "02_train_saes", "03_save_activations", "04_match_features"}


def test_its_disk_is_that_of_the_stores(study):
    """By hand: 8 bytes of indptr, 12 of row files, and 6 a stored value, on each token of both stores."""
    costs = study_costs(study, gpu=False)
    stores = 2 * 10_000_000 * (8 + 12 + 6 * 32)
    assert costs[StageRun("03_save_activations", "main")].stores == pytest.approx(stores, rel=1e-3)
    assert sum(cost.disk for cost in costs.values()) < 6 * 2**30
    assert max(cost.memory for cost in costs.values()) < 16 * 2**30


def test_fewer_tokens_for_further_questions_cost_less(study):
    """By hand: firing pairs of all tokens in 2.5 searches, of the part in 26; a part larger than all is all."""
    stage_run = StageRun("04_match_features", "main")
    params = study.notebooks[stage_run.stage][stage_run.run]

    def seconds(n_further_tokens):
        changed = {stage_run.run: params.model_copy(update={"n_further_tokens": n_further_tokens})}
        notebooks = study.notebooks | {stage_run.stage: changed}
        return study_costs(type(study)(study.path, study.name, "", "", notebooks), gpu=False)[stage_run].seconds

    pairs = 10_000_000 * 32 * 32
    assert seconds(0) - BASE_SECONDS == pytest.approx(pairs * 28.5 * OTHER_FIRING_PAIR_SECONDS)
    assert seconds(100_000) - BASE_SECONDS == pytest.approx(pairs * (2.5 + 0.26) * OTHER_FIRING_PAIR_SECONDS)
    assert seconds(20_000_000) == seconds(0)


def test_further_questions_take_a_part_of_the_tokens():
    chosen = {"activations": "main", "dictionary_a": "a", "dictionary_b": "b"}
    assert MatchFeaturesParams(**chosen).n_further_tokens == 0
    assert "n_further_tokens" not in MatchFeaturesParams(**chosen, n_further_tokens=5).matcher_settings()
    with pytest.raises(ValueError, match="n_further_tokens"):
        MatchFeaturesParams(**chosen, n_further_tokens=-1)
