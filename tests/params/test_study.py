"""Study files: what is read, and that every problem is found before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.cli import main
from helpers.params import NOTEBOOKS, StudyError, load_study
from helpers.params.registry import runs_read

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def content() -> dict[str, Any]:
    corpus = {"kind": "story_world"}
    return {
        "study": "tiny",
        "title": "Tiny",
        "common": {"seed": 7, "n_examples": 3},
        "notebooks": {
            "01_language_models": {
                "common": {"corpus": corpus, "seed": 8, "batch_size": 16},
                "runs": {"a": {"seed": 9}, "b": {}},
            },
            "02_train_saes": {
                "common": {"corpus": corpus, "hook_name": "blocks.0.hook_resid_post"},
                "runs": {"a": {"model": "a"}, "b": {"model": "b"}},
            },
            "03_save_activations": {"runs": {"main": {"dictionaries": ["a", "b"], "corpus": corpus}}},
            "04_match_features": {"runs": {"main": {"activations": "main", "dictionary_a": "a", "dictionary_b": "b"}}},
            "05_compare_spaces": {"runs": {"main": {"matching": "main"}}},
        },
    }


def write(folder: Path, content: Any) -> Path:
    path = folder / "study.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


def problems(folder: Path, content: Any) -> list[str]:
    path = write(folder, content)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert all(line.startswith(f"{path}: ") for line in caught.value.problems)
    assert str(caught.value).splitlines() == caught.value.problems, "one line a problem"
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


@pytest.mark.parametrize("path", sorted((ROOT / "params" / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_of_the_project_is_good(path):
    study = load_study(path)
    # A study that extends others may go on in the folder of one of them.
    bases = [Path(file).stem for file in yaml.safe_load(path.read_text(encoding="utf-8")).get("extends", [])]
    assert study.name in [path.stem, *bases]
    assert study.title and study.description


def test_a_run_takes_its_own_value_then_the_notebooks_then_the_studys(tmp_path, content):
    study = load_study(write(tmp_path, content), runs_folder="elsewhere")
    models = study.notebooks["01_language_models"]
    assert (models["a"].seed, models["b"].seed) == (9, 8)
    assert models["a"].batch_size == 16
    assert study.params("02_train_saes", "a").seed == 7
    assert study.params("03_save_activations", "main").n_examples == 3  # skipped where a notebook has no such key
    assert (models["b"].study, models["b"].run, models["b"].runs_folder) == ("tiny", "b", "elsewhere")


def test_notebooks_come_in_the_order_of_the_data(tmp_path, content):
    content["notebooks"] = dict(reversed(content["notebooks"].items()))
    there = [name for name in NOTEBOOKS if name in content["notebooks"]]
    assert list(load_study(write(tmp_path, content)).notebooks) == there


def test_a_misspelt_key_is_named_with_its_place_and_its_nearest(tmp_path, content):
    content["notebooks"]["03_save_activations"]["runs"]["main"]["n_tokns"] = 100
    assert problems(tmp_path, content) == [
        "notebooks.03_save_activations.runs.main: unknown key 'n_tokns'; did you mean 'n_tokens'?"
    ]


def test_a_misspelt_key_in_common_is_reported_once_not_once_a_run(tmp_path, content):
    content["notebooks"]["01_language_models"]["common"]["n_layer"] = 2
    assert problems(tmp_path, content) == [
        "notebooks.01_language_models.common: unknown key 'n_layer'; did you mean 'n_layers'?"
    ]


def change(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split("/")
    for key in parents:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("study", "../outside", "study: expected a name"),
        ("study", None, "study: expected a name"),
        ("study", "a\n", "study: expected a name"),
        ("titel", "x", "unknown key 'titel'; did you mean 'title'?"),
        ("title", ["x"], "title: expected a text"),
        ("common/sed", 1, "common: unknown key 'sed'; did you mean 'seed'?"),
        ("common/run", "x", "common: 'run' is filled in"),
        ("notebooks", {}, "notebooks: expected keys with values"),
        ("notebooks/02_train_sae", {"runs": {"a": {}}}, "unknown notebook '02_train_sae'; did you mean '02_train_saes'?"),
        ("notebooks/01_language_models/runs", None, "runs: expected keys with values, got nothing"),
        ("notebooks/01_language_models/run", {}, "unknown key 'run'; did you mean 'runs'?"),
        ("notebooks/01_language_models/runs/a", None, "runs.a: expected keys with values, got nothing; write {} for none"),
        ("notebooks/01_language_models/runs/..", {}, "expected a name of letters"),
        ("notebooks/01_language_models/runs/x\\y", {}, "expected a name of letters"),
        ("notebooks/01_language_models/runs/a/study", "x", "'study' is filled in"),
        ("notebooks/01_language_models/runs/a/seed", None, "seed: expected a valid integer, got nothing"),
        ("notebooks/01_language_models/runs/a/seed", "1", "seed: expected a valid integer, got '1'"),
        ("notebooks/01_language_models/runs/a/seed", True, "seed: expected a valid integer, got True"),
        ("notebooks/01_language_models/runs/a/seed", 1.0, "seed: expected a valid integer, got 1.0"),
        ("notebooks/01_language_models/runs/a/seed", -1, "seed: expected greater than or equal to 0, got -1"),
        ("notebooks/01_language_models/runs/a/d_model", 97, "d_model must be a multiple of n_heads"),
        ("notebooks/01_language_models/runs/a/architecture", "gpt3", "'gpt2', got 'gpt3'; did you mean 'gpt2'?"),
        ("notebooks/01_language_models/runs/a/corpus", {"kind": "story_world", "splt": "x"}, "unknown key 'corpus.splt'; did you mean 'split'?"),
        ("notebooks/01_language_models/runs/a/corpus", {"kind": "storyworld"}, "corpus: "),
        ("notebooks/02_train_saes/runs/a", {}, "missing key 'model'"),
        ("notebooks/02_train_saes/runs/a/model", "c", "model: 01_language_models has no run 'c'; there are a, b"),
        ("notebooks/02_train_saes/runs/a/k", 5000, "k must not exceed d_sae; got k=5000, d_sae=4096"),
        ("notebooks/03_save_activations/runs/main/dictionaries", ["a", "bb"], "02_train_saes has no run 'bb'; did you mean 'b'?"),
        ("notebooks/04_match_features/runs/main/dictionary_b", "c", "'c' is not among the dictionaries of 03_save_activations/main"),
        ("notebooks/05_compare_spaces/runs/main/matching", "best", "04_match_features has no run 'best'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_line(tmp_path, content, path, value, expected):
    change(content, path, value)
    assert any(expected in line for line in problems(tmp_path, content))


def test_a_run_name_that_yaml_reads_as_a_number_is_told_to_be_quoted(tmp_path, content):
    content["notebooks"]["01_language_models"]["runs"][1] = {}
    assert any("got 1 (write it in quotes)" in line for line in problems(tmp_path, content))


def test_a_notebook_whose_source_is_not_in_the_study(tmp_path, content):
    del content["notebooks"]["01_language_models"]
    assert problems(tmp_path, content) == [
        f"notebooks.02_train_saes.runs.{run}: model: reads 01_language_models, which this study does not list; add it"
        for run in "ab"
    ]


def test_all_problems_come_together(tmp_path, content):
    content["notebooks"]["01_language_models"]["runs"]["a"]["n_layer"] = 2
    content["notebooks"]["02_train_saes"]["runs"]["b"]["model"] = "c"
    content["notebooks"]["05_compare_spaces"]["runs"]["main"]["min_corr"] = 1.5
    found = problems(tmp_path, content)
    assert len(found) == 3
    for notebook in ("01_language_models", "02_train_saes", "05_compare_spaces"):
        assert sum(line.startswith(f"notebooks.{notebook}.runs") for line in found) == 1


def test_a_dangling_reference_is_found_beside_another_problem_of_the_same_run(tmp_path, content):
    content["notebooks"]["02_train_saes"]["runs"]["b"] |= {"model": "c", "kk": 3}
    assert len(problems(tmp_path, content)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("study: [a", "line 1, column 10"),
        ("study: x\n  y: 1", "line 2, column 4"),
        ("study: x\nstudy: y\n", "line 2, column 1: duplicate key 'study', first on line 1"),
        ("study: x\nnotebooks: {01_language_models: {runs: {a: {seed: 1, seed: 2}}}}", "duplicate key 'seed'"),
        ("", "the file: expected keys with values, got nothing"),
        ("- a", "the file: expected keys with values"),
        ("study: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_what_is_not_yaml_is_placed(tmp_path, text, expected):
    assert expected in problems(tmp_path, text)[0]


def test_a_file_that_is_not_there_names_its_neighbours(tmp_path, content):
    write(tmp_path, content)
    with pytest.raises(StudyError, match=r"nope.yaml: there is no such file; there are .*study.yaml"):
        load_study(tmp_path / "nope.yaml")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(b"\xff\xfe\x00study")
    with pytest.raises(StudyError, match="expected a readable UTF-8 text file"):
        load_study(path)


def test_numbers_are_written_as_people_write_them(tmp_path, content):
    """PyYAML alone reads 2e-3 as a text."""
    text = yaml.safe_dump(content).replace("seed: 9", "{learning_rate: 2e-3, n_train_tokens: 5_000_000}")
    text = text.replace("      a:\n        {", "      a: {")
    params = load_study(write(tmp_path, text)).params("01_language_models", "a")
    assert params.learning_rate == 0.002
    assert params.n_train_tokens == 5_000_000


def test_asking_for_a_run_that_the_study_does_not_have(tmp_path, content):
    study = load_study(write(tmp_path, content))
    with pytest.raises(ValueError, match=r"has no 01_language_models/c; it has 01_language_models/a, "):
        study.params("01_language_models", "c")


def test_the_registry_names_parameters_and_earlier_notebooks_only(tmp_path, content):
    study = load_study(write(tmp_path, content))
    order = list(NOTEBOOKS)
    for name, entry in NOTEBOOKS.items():
        assert set(entry.reads) | set(entry.members) <= set(entry.params.model_fields)
        assert all(order.index(source) <= order.index(name) for source in entry.reads.values())
        for key, (readings, listing) in entry.members.items():
            assert key not in readings
            assert all(listing in NOTEBOOKS[entry.reads[reading]].params.model_fields for reading in readings)
    assert runs_read("03_save_activations", study.params("03_save_activations", "main").model_dump()) == [
        ("dictionaries", "02_train_saes", "a"),
        ("dictionaries", "02_train_saes", "b"),
    ]


def test_the_second_dictionary_is_one_of_the_run_that_holds_it(tmp_path, content):
    """Trap: with activations_b, dictionary_b was still looked for in the first run."""
    content["notebooks"]["03_save_activations"]["runs"]["other"] = {
        "dictionaries": ["b"], "corpus": {"kind": "story_world"},
    }  # fmt: skip
    content["notebooks"]["03_save_activations"]["runs"]["main"]["dictionaries"] = ["a"]
    matching = content["notebooks"]["04_match_features"]["runs"]["main"]
    matching["activations_b"] = "other"
    study = load_study(write(tmp_path, content))
    read = runs_read("04_match_features", study.params("04_match_features", "main").model_dump())
    assert [run for _, _, run in read] == ["main", "other"]
    for changed, message in (
        ({"dictionary_a": "b", "dictionary_b": "a"}, "dictionary_b: 'a' is not among the dictionaries of 03_save_activations/other"),
        ({"dictionary_a": "b", "dictionary_b": "a"}, "dictionary_a: 'b' is not among the dictionaries of 03_save_activations/main"),
        ({"activations_b": "othr"}, "activations_b: 03_save_activations has no run 'othr'; did you mean 'other'?"),
        ({"activations_b": ""}, "dictionary_b: 'b' is not among the dictionaries of 03_save_activations/main"),
    ):  # fmt: skip
        kept = dict(matching)
        matching.update(changed)
        assert any(message in line for line in problems(tmp_path, content))
        matching.update(kept)


def test_parameters_are_plain_json(tmp_path, content):
    """papermill passes nothing else."""
    for runs in load_study(write(tmp_path, content)).notebooks.values():
        for params in runs.values():
            assert type(params)(**params.model_dump(mode="json")) == params


def write_extension(tmp_path, content, **changes):
    """A base study in base.yaml, and a file that extends it."""
    write(tmp_path, content).rename(tmp_path / "base.yaml")
    return write(tmp_path, {"study": "both", "extends": ["base.yaml"], **changes})


def test_a_study_that_extends_another_takes_its_runs_with_their_own_common_values(tmp_path, content):
    more = {"02_train_saes": {"common": {"k": 3}, "runs": {"wide": {"model": "a", "hook_name": "blocks.0.hook_resid_post", "corpus": {"kind": "story_world"}}}}}  # fmt: skip
    study = load_study(write_extension(tmp_path, content, notebooks=more))
    base = load_study(tmp_path / "base.yaml")
    assert list(study.notebooks) == list(base.notebooks)
    assert list(study.notebooks["02_train_saes"]) == ["a", "b", "wide"]
    assert study.params("02_train_saes", "wide").k == 3
    assert study.params("02_train_saes", "a").k == base.params("02_train_saes", "a").k != 3
    assert {params.study for runs in study.notebooks.values() for params in runs.values()} == {"both"}


def test_a_study_may_be_nothing_but_its_bases(tmp_path, content):
    study = load_study(write_extension(tmp_path, content))
    assert study.notebooks.keys() == content["notebooks"].keys()


def test_one_name_for_two_runs_of_two_files_is_refused(tmp_path, content):
    runs = {"01_language_models": {"runs": {"a": {"seed": 1234, "corpus": {"kind": "story_world"}}}}}
    with pytest.raises(ValueError, match=r"01_language_models\.runs\.a: two of the files give this run different"):
        load_study(write_extension(tmp_path, content, notebooks=runs))


@pytest.mark.parametrize(
    ("extends", "expected"),
    [
        ("base.yaml", "extends: expected a list of study files"),
        (["bass.yaml"], "bass.yaml: there is no such file"),
        (["base.yaml", "study.yaml"], "extend each other in a circle"),
    ],
)
def test_bases_that_cannot_be_read_are_named(tmp_path, content, extends, expected):
    path = write_extension(tmp_path, content, extends=extends)
    path.rename(tmp_path / "study.yaml")
    with pytest.raises(ValueError, match=expected):
        load_study(tmp_path / "study.yaml")


def test_a_problem_of_a_base_is_told_with_the_base(tmp_path, content):
    content["notebooks"]["03_save_activations"]["runs"]["main"]["n_tokns"] = 100
    with pytest.raises(
        ValueError, match=r"base\.yaml: notebooks\.03_save_activations\.runs\.main: unknown key 'n_tokns'"
    ):
        load_study(write_extension(tmp_path, content))


EXPECT = {"minutes": 5.0, "gpu_gib": 2.5, "disk_gib": 1.0, "derived": "sizes", "published": "none known to us"}


def test_what_to_expect_is_typed_and_shown_by_check(tmp_path, content, capsys):
    path = write(tmp_path, content | {"expect": EXPECT})
    assert load_study(path).expect.gpu_gib == 2.5
    assert load_study(write(tmp_path, content)).expect is None
    assert main(["check", str(write(tmp_path, content | {"expect": EXPECT})), "--runs-folder", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "expected: 5 minutes, 2.5 GiB of GPU memory, 1 GiB of disk" in shown
    assert "published: none known to us" in shown


def test_mistakes_in_what_to_expect_are_reported(tmp_path, content):
    found = problems(tmp_path, content | {"expect": {**EXPECT, "minuts": 1.0}})
    assert found == ["expect: unknown key 'minuts'; did you mean 'minutes'?"]
    found = problems(tmp_path, content | {"expect": {**EXPECT, "minutes": -1.0}})
    assert "expect: minutes: expected greater than 0, got -1.0" in found
    assert "expected keys with values, got 'soon'" in problems(tmp_path, content | {"expect": "soon"})[0]
