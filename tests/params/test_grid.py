"""A grid in a study file: what one line stands for, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.params import StudyError, load_study
from helpers.params.grid import expand_runs, expand_value

CORPUS = {"kind": "story_world"}


@pytest.fixture
def content() -> dict[str, Any]:
    """Two layers of model a, three of model b, and an untrained copy of a, listed before the model it copies."""
    return {
        "study": "tiny",
        "grid": {"layer_a": [0, 1], "layer_b": [0, 1, 2]},
        "notebooks": {
            "01_language_models": {
                "common": {"corpus": CORPUS},
                "runs": {"a_random": {"source": "reinitialised", "model": "a"}, "a": {}, "b": {}},
            },
            "02_train_saes": {
                "common": {"corpus": CORPUS},
                "runs": {
                    "a{layer_a}": {"model": "a", "hook_name": "blocks.{layer_a}.hook_resid_post"},
                    "b{layer_b}": {"model": "b", "hook_name": "blocks.{layer_b}.hook_resid_post"},
                },
            },
            "03_save_activations": {"runs": {"main": {"dictionaries": ["a{layer_a}", "b{layer_b}"], "corpus": CORPUS}}},
            "16_layer_pairs": {
                "runs": {
                    "a{layer_a}_b{layer_b}": {
                        "layer_a": "{layer_a}",
                        "layer_b": "{layer_b}",
                        "activations": ["main"],
                        "conditions": {"features": ["a{layer_a}", "b{layer_b}"]},
                    }
                }
            },
            "16_layer_grid": {"runs": {"main": {"pairs": ["a{layer_a}_b{layer_b}"]}}},
        },
    }


def write(folder: Path, content: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def problems(folder: Path, content: Any) -> list[str]:
    path = write(folder, content)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


def test_a_template_is_one_run_a_value(tmp_path, content):
    study = load_study(write(tmp_path, content))
    saes = study.notebooks["02_train_saes"]
    assert list(saes) == ["a0", "a1", "b0", "b1", "b2"]
    assert [params.hook_name[:8] for params in saes.values()] == [f"blocks.{layer}" for layer in (0, 1, 0, 1, 2)]
    assert [params.run for params in saes.values()] == list(saes)


def test_two_axes_are_every_combination_and_numbers_stay_numbers(tmp_path, content):
    study = load_study(write(tmp_path, content))
    pairs = study.notebooks["16_layer_pairs"]
    assert list(pairs) == ["a0_b0", "a0_b1", "a0_b2", "a1_b0", "a1_b1", "a1_b2"]
    assert [(p.layer_a, p.layer_b) for p in pairs.values()] == [(a, b) for a in (0, 1) for b in (0, 1, 2)]
    assert pairs["a1_b2"].conditions == {"features": ["a1", "b2"]}


def test_a_list_item_that_the_name_does_not_fix_is_multiplied(tmp_path, content):
    study = load_study(write(tmp_path, content))
    assert study.params("03_save_activations", "main").dictionaries == ["a0", "a1", "b0", "b1", "b2"]
    assert study.params("16_layer_grid", "main").pairs == list(study.notebooks["16_layer_pairs"])


def test_a_run_that_reads_another_of_its_notebook_comes_behind_it(tmp_path, content):
    models = load_study(write(tmp_path, content)).notebooks["01_language_models"]
    assert list(models) == ["a", "a_random", "b"] or list(models) == ["a", "b", "a_random"]
    assert list(models).index("a") < list(models).index("a_random")


def test_without_a_grid_braces_mean_nothing(tmp_path, content):
    content = {
        "study": "tiny",
        "notebooks": {"01_language_models": {"runs": {"a": {"corpus": {"kind": "local", "path": "{x}.txt"}}}}},
    }
    assert load_study(write(tmp_path, content)).params("01_language_models", "a").corpus.path == "{x}.txt"


def refuse(place: str, message: str) -> None:
    raise AssertionError(f"{place}: {message}")


def test_expansion_by_hand():
    axes = {"n": [1, 2], "word": ["x", "y"]}
    assert expand_runs({"r{n}": {"k": "{n}", "t": "is {n}"}}, axes, place="", report=refuse) == {
        "r1": {"k": 1, "t": "is 1"},
        "r2": {"k": 2, "t": "is 2"},
    }
    nested = {"deep": [{"inner": ["{n}{word}", "plain"]}], "number": 3}
    assert expand_value(nested, axes, {"n": 2}, place="", report=refuse) == {
        "deep": [{"inner": ["2x", "2y", "plain"]}],
        "number": 3,
    }
    assert expand_value(["{word}{word}"], axes, {}, place="", report=refuse) == ["xx", "yy"]


def change(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        content = content[key]
    content[last] = value


SAES, MODELS, PAIRS = ("notebooks/02_train_saes", "notebooks/01_language_models", "notebooks/16_layer_pairs")


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("grid", None, "grid: expected axes with lists of values"),
        ("grid/layer_a", 3, "grid.layer_a: expected a list of whole numbers or texts, got 3"),
        ("grid/layer_a", [0.5], "grid.layer_a: expected a list of whole numbers or texts"),
        ("grid/layer_a", [True], "grid.layer_a: expected a list of whole numbers or texts"),
        ("grid/layer_a", [], "grid.layer_a: expected a list of whole numbers or texts"),
        ("grid/layer_a", [1, "1"], "grid.layer_a: expected different values"),
        ("grid/layer a", [1], "grid.layer a: expected a name of letters"),
        (f"{SAES}/runs/c{{layr_a}}", {"model": "a", "hook_name": "x"}, "the grid has no axis 'layr_a'; did you mean 'layer_a'?"),
        (f"{SAES}/runs/a{{layer_a}}/hook_name", "blocks.{laier_b}.x", "'blocks.{laier_b}.x': the grid has no axis 'laier_b'; did you mean 'layer_b'?"),
        (f"{SAES}/runs/a{{layer_a}}/hook_name", "blocks.{layer_b}.x", "the run's name does not say which layer_b"),
        (f"{SAES}/runs/a1", {"model": "a", "hook_name": "x"}, "its run 'a1' is there twice"),
        (f"{SAES}/common/hook_name", "blocks.{layer_a}.x", "common: hook_name: '{layer_a}' belongs to runs"),
        ("common", {"corpus": {"kind": "story_world", "split": "{layer_a}"}}, "common: corpus: '{layer_a}' belongs to runs"),
        (f"{SAES}/runs/a{{layer_a}}/k", "{layer_a}", "k: expected greater than or equal to 1, got 0"),
        (f"{PAIRS}/runs/a{{layer_a}}_b{{layer_b}}/conditions/features", ["a{layer_a}", "c{layer_b}"], "conditions: 'c2' is not among the dictionaries of 03_save_activations/main"),
        (f"{PAIRS}/runs/a{{layer_a}}_b{{layer_b}}/conditions", {"neurons": ["a0", "b0"]}, "conditions needs 'features'"),
        (f"{PAIRS}/runs/a{{layer_a}}_b{{layer_b}}/conditions/features", ["a0", "a0"], "conditions.features: expected two different dictionaries"),
        (f"{PAIRS}/runs/a{{layer_a}}_b{{layer_b}}/activations", ["main", "mian"], "activations: 03_save_activations has no run 'mian'; did you mean 'main'?"),
        ("notebooks/16_layer_grid/runs/main/pairs", ["a0_b0", "a0_b0"], "pairs must differ"),
        (f"{MODELS}/runs/a_random/model", "c", "model: 01_language_models has no run 'c'"),
        (f"{MODELS}/runs/a_random/model", "", "model is for source 'reinitialised', which needs it"),
        (f"{MODELS}/runs/b/model", "a", "model is for source 'reinitialised'"),
        (f"{MODELS}/runs/a", {"source": "reinitialised", "model": "a_random"}, "these runs read each other in a circle"),
        (f"{SAES}/runs/a{{layer_a}}/model", "", "model: expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line(tmp_path, content, path, value, expected):
    change(content, path, value)
    found = problems(tmp_path, content)
    assert any(expected in line for line in found), found


def test_a_value_may_be_among_the_dictionaries_of_any_of_several_runs(tmp_path, content):
    stores = content["notebooks"]["03_save_activations"]["runs"]
    stores["main"]["dictionaries"] = ["a{layer_a}"]
    stores["other"] = {"dictionaries": ["b{layer_b}"], "corpus": CORPUS}
    run = content["notebooks"]["16_layer_pairs"]["runs"]["a{layer_a}_b{layer_b}"]
    run["activations"] = ["main", "other"]
    assert len(load_study(write(tmp_path, content)).notebooks["16_layer_pairs"]) == 6
    run["activations"] = ["main"]
    assert any(
        "'b0' is not among the dictionaries of 03_save_activations/main" in line for line in problems(tmp_path, content)
    )
