"""Every preset, without network: it names only what exists, and its parts fit each other."""

import re

import pytest
from sae_lens.loading.pretrained_sae_loaders import get_conversion_loader_name, get_gemma_2_config_from_hf
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

from helpers.models import load_model, require_hook
from helpers.params import StoryWorldParams, TrainSaeParams, load_study
from helpers.saes.load import SAFE_READERS
from helpers.saes.sparsify import sparsify_hook
from helpers.steering.scores import read_steering_tasks
from tests.conftest import ROOT
from tests.presets.arithmetic import needs
from tests.presets.facts import CUT_WORDS, MODELS, PRESETS, SPARSIFY, WIDTHS, dictionaries, model_of, preset, samples
from tests.stand_ins.models import family_tokenizer, save, tiny_model

ESTIMATE_TOLERANCE = 0.25  # `expect` is rounded for people
presets = pytest.mark.parametrize("name", PRESETS)


def released(study) -> dict[str, TrainSaeParams]:
    return {name: params for name, params in dictionaries(study).items() if params.source == "release"}


def centred(params: TrainSaeParams) -> bool:
    """Whether a dictionary was trained on a model with centred writing weights, as SAELens's table tells."""
    if params.source != "release":
        return False
    overrides = get_pretrained_saes_directory()[params.release].config_overrides or {}
    return bool(dict(overrides.get("model_from_pretrained_kwargs") or {}).get("center_writing_weights"))


def test_every_study_of_pretrained_models_is_checked_here() -> None:
    studies = [load_study(path) for path in sorted((ROOT / "params" / "studies").glob("*.yaml"))]
    of_real_models = {
        study.name
        for study in studies
        if any(params.source == "pretrained" for params in study.notebooks["01_language_models"].values())
    }
    assert of_real_models == set(PRESETS)


@presets
def test_models_are_known_and_run_no_code(name: str) -> None:
    study = preset(name)
    for run, params in study.notebooks["01_language_models"].items():
        assert params.source == "pretrained" and not params.trust_remote_code
        assert model_of(study, run)
        if "TinyStories" in params.name_or_path:  # its main branch has nothing but a pickle
            assert re.fullmatch("[0-9a-f]{40}", params.revision or "")
        texts = [
            params.corpus for runs in study.notebooks.values() for params in runs.values() if hasattr(params, "corpus")
        ]
        assert not any(isinstance(corpus, StoryWorldParams) for corpus in texts), "real models read real texts"


@presets
def test_releases_and_ids_are_in_saelens_table_and_of_the_model_and_hook(name: str) -> None:
    study = preset(name)
    for params in released(study).values():
        entry = get_pretrained_saes_directory()[params.release]
        assert params.sae_id in entry.saes_map
        assert entry.model == model_of(study, params.model).in_table
        assert get_conversion_loader_name(params.release) in SAFE_READERS
        assert params.release in WIDTHS
        if layer := re.match(r"layer_(\d+)/", params.sae_id):
            hook_name = f"blocks.{layer[1]}.hook_resid_post"
        else:
            hook_name = re.sub(r"_\d+$", "", params.sae_id)
        assert params.hook_name == hook_name


@presets
def test_poor_dictionaries_are_allowed_where_saelens_table_says_that_they_are(name: str) -> None:
    """A dictionary whose published variance explained is above 0 and that still rebuilds poorly is a fault to be found."""
    for params in dictionaries(preset(name)).values():
        explained = 1.0
        if params.source == "release":
            explained = get_pretrained_saes_directory()[params.release].expected_var_explained[params.sae_id]
        assert params.allow_poor == (explained < 0)


@presets
def test_sparsify_dictionaries_are_of_the_model_and_hook(name: str) -> None:
    study = preset(name)
    for params in dictionaries(study).values():
        if params.source != "sparsify":
            continue
        repository = SPARSIFY[params.release]
        assert study.params("01_language_models", params.model).name_or_path == repository.model
        assert sparsify_hook(params.sae_id) == params.hook_name
        assert re.sub(r"layers\.\d+", "", params.sae_id) in repository.sites


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory: pytest.TempPathFactory):
    """Hub name -> a tiny model of its architecture with all of its layers, made when it is asked for."""
    made = {}

    def model(hub_name: str):
        if hub_name not in made:
            facts = MODELS[hub_name]
            tokenizer = family_tokenizer(facts.family, ["a word, or two"], n_vocab=300)
            tiny = tiny_model(facts.family, tokenizer, n_layers=facts.n_layers, d_model=16)
            made[hub_name] = load_model(save(tiny, tokenizer, tmp_path_factory.mktemp("model")), device="cpu")
        return made[hub_name]

    return model


@presets
def test_hooks_exist_for_the_architecture(name: str, tiny_models) -> None:
    study = preset(name)
    for params in dictionaries(study).values():
        require_hook(tiny_models(study.params("01_language_models", params.model).name_or_path), params.hook_name)


@presets
def test_models_of_one_sample_share_a_tokenizer(name: str) -> None:
    """Or they are aligned: then the second model has a sample of its own, which a matching names."""
    study = preset(name)

    def tokenizer(dictionary: str) -> str:
        params = study.params("01_language_models", dictionaries(study)[dictionary].model)
        return MODELS[params.tokenizer or params.name_or_path].tokenizer

    for sample in samples(study).values():
        assert len({tokenizer(dictionary) for dictionary in sample.dictionaries}) == 1
    for params in study.notebooks.get("04_match_features", {}).values():
        alike = tokenizer(params.dictionary_a) == tokenizer(params.dictionary_b)
        assert alike or params.activations_b not in ("", params.activations)


@presets
def test_dictionaries_that_share_a_model_and_a_sample_ask_the_same_of_it(name: str) -> None:
    """BOS, and centred writing weights; both are taken from the metadata when a dictionary is loaded."""
    study = preset(name)
    for sample in samples(study).values():
        for run in study.notebooks["01_language_models"]:
            mine = [dictionaries(study)[each] for each in sample.dictionaries]
            assert len({centred(params) for params in mine if params.model == run}) <= 1
    for params in released(study).values():
        entry = get_pretrained_saes_directory()[params.release]
        if entry.conversion_func == "gemma_2":  # the settings are in the table, not in a file
            settings = get_gemma_2_config_from_hf(entry.repo_id, entry.saes_map[params.sae_id], "cpu")
            assert settings["prepend_bos"] is True and settings["normalize_activations"] is None
            assert settings["hook_name"] == params.hook_name
            assert settings["d_in"] == model_of(study, params.model).d_model


@presets
def test_what_to_expect_follows_from_the_sizes(name: str) -> None:
    study = preset(name)
    assert study.expect is not None
    for key, value in vars(needs(study)).items():
        assert getattr(study.expect, key) == pytest.approx(value, rel=ESTIMATE_TOLERANCE), key
    assert study.expect.published


@presets
def test_a_gated_model_says_so(name: str) -> None:
    study = preset(name)
    gated = any(
        params.name_or_path.startswith(("google/", "meta-llama/"))
        for params in study.notebooks["01_language_models"].values()
    )
    assert gated == ("hf auth login" in study.description)


@presets
def test_steering_reads_the_output_of_a_block_and_tasks_that_are_there(name: str) -> None:
    study = preset(name)
    for params in study.notebooks.get("13_steering", {}).values():
        assert re.fullmatch(r"blocks\.\d+\.hook_resid_post", dictionaries(study)[params.dictionary].hook_name)
        file = read_steering_tasks(params.tasks)
        assert set(params.task_names or file.names) <= set(file.names) and params.shown in file.names
        tasks = [file.task(task) for task in params.task_names or file.names]
        asked = [each for task in tasks for each in (*task.validate, *task.held_out)]
        answers = {word for each in asked for word in (*each.before, *each.after)}
        tokenizer = MODELS[study.notebooks["01_language_models"]["main"].name_or_path].tokenizer
        assert not answers & CUT_WORDS[tokenizer]
