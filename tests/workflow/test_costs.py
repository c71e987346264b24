"""What a study is said to need, beside what the demo needed on the machine of the README."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse
from safetensors.numpy import save_file

from helpers.activations import ActivationStore
from helpers.activations.manifest import store_bytes
from helpers.cli import main
from helpers.params import NOTEBOOKS, load_study
from helpers.workflow.costs import LATER_NOTEBOOKS, MIB, StageCost, check_room, shown_bytes, study_costs
from helpers.workflow.stages import PROJECT_ROOT, StageRun

# Seconds, MiB of memory, MiB on the disk of the demo's stage runs, measured on two quiet cores.
DEMO = {
    "01_language_models/a": (163.5, 959.7, 3.0),
    "01_language_models/b": (134.5, 927.8, 2.1),
    "01_language_models/c": (55.5, 791.9, 1.5),
    "02_train_saes/a": (56.5, 1261.4, 1.9),
    "02_train_saes/a_128": (10.4, 1023.6, 0.5),
    "02_train_saes/a_512": (12.6, 1032.6, 0.8),
    "02_train_saes/a_neurons": (7.6, 864.0, 1.6),
    "02_train_saes/b": (45.5, 1191.4, 1.4),
    "02_train_saes/c": (25.6, 1059.7, 1.4),
    "03_save_activations/c": (6.8, 819.8, 11.4),
    "03_save_activations/main": (19.5, 912.9, 36.3),
    "03_save_activations/mlp_neurons": (11.9, 920.0, 127.5),
    "03_save_activations/widths": (7.2, 873.6, 13.5),
    "04_match_features/a_c": (5.0, 872.8, 10.5),
    "04_match_features/main": (5.5, 869.3, 1.2),
    "05_compare_spaces/main": (16.9, 869.3, 2.7),
    "06_semantic_subspaces/main": (43.4, 1098.0, 2.5),
    "10_persistent_homology/main": (28.4, 865.4, 5.3),
    "15_ground_truth/main": (59.1, 993.6, 3.4),
}


@pytest.fixture(scope="module")
def demo():
    return load_study(PROJECT_ROOT / "params" / "studies" / "demo.yaml")


def test_the_demo_needs_about_what_is_predicted(demo, capsys):
    """Within a factor of 2 in seconds, 1.3 in memory, and 2 (and a MiB) on the disk."""
    costs = {str(stage_run): cost for stage_run, cost in study_costs(demo, gpu=False).items()}
    lines = [f"\n{'':34}{'seconds':>9}{'memory':>9}{'disk':>9}   predicted / measured"]
    for name, measured in DEMO.items():
        predicted = (costs[name].seconds, (costs[name].memory + costs[name].mapped) / MIB, costs[name].disk / MIB)
        lines.append(f"{name:34}" + "".join(f"{p / m:9.2f}" for p, m in zip(predicted, measured, strict=True)))
    with capsys.disabled():
        sys.stdout.write("\n".join(lines) + "\n")
    for name, (seconds, memory, disk) in DEMO.items():
        cost = costs[name]
        assert seconds / 2 < cost.seconds < 2 * seconds, name
        assert memory / 1.3 < (cost.memory + cost.mapped) / MIB < 1.3 * memory, name
        assert disk / 2 - 1 < cost.disk / MIB < 2 * disk + 1, name


def test_every_notebook_and_every_study_has_a_cost():
    assert set(LATER_NOTEBOOKS) <= set(list(NOTEBOOKS)[4:])
    for path in sorted((PROJECT_ROOT / "params" / "studies").glob("*.yaml")):
        costs = study_costs(load_study(path), gpu=False).values()
        assert all(cost.seconds > 0 and cost.memory > 0 and cost.disk > 0 for cost in costs), path


@pytest.mark.parametrize(("kind", "dtype"), [("feature_acts", "float16"), ("feature_acts", "float32"), ("hidden_pre", "float16")])  # fmt: skip
def test_the_bytes_of_a_store_are_exact(tmp_path, kind, dtype):
    rng = np.random.default_rng(0)
    dense = rng.random((50, 12)).astype(np.float32)
    dense[dense < 0.7] = 0.0
    batch = dense if kind == "hidden_pre" else scipy.sparse.csr_array(dense)
    rows = np.arange(50, dtype=np.int32)
    with ActivationStore.create(tmp_path / "s", d_sae=12, kind=kind, dtype=dtype) as writer:
        writer.append(batch, token_ids=rows, documents=rows, positions=rows)
    store = ActivationStore.open(tmp_path / "s")
    written = sum(entry["bytes"] for entry in store.manifest.files.values())
    assert store_bytes(50, d_sae=12, nnz=store.nnz, kind=kind, dtype=dtype) == written


def test_ten_million_tokens_of_two_wide_dictionaries():
    """By hand: 8 bytes of indptr, 12 of row files, and 6 a stored value, on a token; 24 a feature."""
    one = store_bytes(10_000_000, d_sae=65_536, nnz=10_000_000 * 48)
    assert one == pytest.approx(10_000_000 * (8 + 12 + 6 * 48) + 24 * 65_536, rel=1e-6)
    million = store_bytes(10_000_000, d_sae=1_000_000, nnz=10_000_000 * 48)
    assert million - one == 24 * (1_000_000 - 65_536)  # the width hardly counts: what fires does


def test_more_tokens_and_wider_dictionaries_cost_more(demo):
    def with_changes(stage, run, **changes):
        runs = {name: dict(section) for name, section in demo.notebooks.items()}
        runs[stage][run] = runs[stage][run].model_copy(update=changes)
        return study_costs(type(demo)(demo.path, demo.name, "", "", runs), gpu=False)

    before = study_costs(demo, gpu=False)
    sample, sae = StageRun("03_save_activations", "main"), StageRun("02_train_saes", "a")
    after = with_changes("03_save_activations", "main", n_tokens=2_000_000)
    assert after[sample].stores == pytest.approx(10 * before[sample].stores, rel=0.01)
    assert after[StageRun("04_match_features", "main")].memory > before[StageRun("04_match_features", "main")].memory
    wider = with_changes("02_train_saes", "a", d_sae=16_384)
    assert wider[sae].seconds > 4 * before[sae].seconds and wider[sae].memory > 2 * before[sae].memory


def test_a_gpu_makes_the_seconds_unknown_and_nothing_else(demo):
    runs = {name: {run: p.model_copy(update={"device": "auto"}) for run, p in section.items()} for name, section in demo.notebooks.items()}  # fmt: skip
    study = type(demo)(demo.path, demo.name, "", "", runs)
    on_cpu, on_gpu = study_costs(study, gpu=False), study_costs(study, gpu=True)
    assert all(cost.seconds is None for cost in on_gpu.values())
    assert [cost.memory for cost in on_gpu.values()] == [cost.memory for cost in on_cpu.values()]
    assert all(cost.seconds for cost in study_costs(demo, gpu=True).values())  # the demo says cpu


def test_a_model_of_the_hub_is_known_by_its_name(toy_project):
    models = toy_project.content["notebooks"]["01_language_models"]["runs"]
    for run, name in (("a", "EleutherAI/pythia-1.4b"), ("b", "someone/unheard-of")):
        models[run] = {"source": "pretrained", "name_or_path": name}
    toy_project.write_study()
    costs = study_costs(load_study(toy_project.study_file), gpu=False)
    a, b = (costs[StageRun("01_language_models", run)] for run in "ab")
    assert a.memory > 2 * 4 * 1.4e9 and a.notes == ""
    assert b.notes == "the size of someone/unheard-of is not known; 1,000,000,000 parameters are taken"


def test_what_does_not_fit_is_refused(tmp_path):
    costs = [
        StageCost(StageRun("03_save_activations", "main"), 1.0, 2 * 2**30, 3 * 2**30),
        StageCost(StageRun("04_match_features", "main"), 1.0, 5 * 2**30, 2**30),
    ]
    room = {"folder": tmp_path / "not" / "yet", "free_disk": 10 * 2**30, "total_memory": 8 * 2**30}
    check_room(costs, **room)
    check_room([], **room)
    with pytest.raises(
        ValueError, match=r"needs 4\.0 GiB of disk \(03_save_activations/main: 3\.0 GiB\), 3\.5 GiB are"
    ):
        check_room(costs, **room | {"free_disk": 7 * 2**29})
    with pytest.raises(ValueError, match=r"04_match_features/main needs 5\.0 GiB of memory, this machine has 4\.0 GiB"):
        check_room(costs, **room | {"total_memory": 4 * 2**30})


def test_check_refuses_what_no_machine_holds(toy_project, monkeypatch, capsys):
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    toy_project.content["notebooks"]["03_save_activations"]["runs"]["main"]["n_tokens"] = 10**13
    toy_project.write_study()
    assert main(["check", str(toy_project.study_file), "--runs-folder", str(toy_project.runs)]) == 2
    captured = capsys.readouterr()
    assert "03_save_activations/main" in captured.out
    assert captured.err.startswith("error: the study needs ") and captured.err.count("\n") == 1


@pytest.mark.parametrize(("n_bytes", "text"), [(3 * 2**20, "3.0 MiB"), (5 * 2**29, "2.5 GiB"), (0, "0.0 MiB")])
def test_bytes_are_shown_in_fitting_units(n_bytes, text):
    assert shown_bytes(n_bytes) == text


def test_a_model_folder_is_as_large_as_its_weights(tmp_path):
    """The trap: a folder whose name tells nothing counted as a model of 1,000,000,000 parameters."""
    folder = tmp_path / "mine"
    folder.mkdir()
    save_file({"wte": np.zeros((1000, 64), np.float16), "bias": np.zeros(64, np.float32)}, folder / "model.safetensors")
    study = tmp_path / "study.yaml"
    run = f"{{source: pretrained, name_or_path: {folder}, corpus: {{kind: story_world, split: x}}}}"
    study.write_text(f"study: mine\ntitle: t\nnotebooks:\n  01_language_models:\n    runs:\n      a: {run}\n")
    (cost,) = study_costs(load_study(study), gpu=False).values()
    assert not cost.notes and cost.memory < 900 * MIB
    (folder / "model.safetensors").unlink()
    (unknown,) = study_costs(load_study(study), gpu=False).values()
    assert "the size of" in unknown.notes and unknown.memory > 8e9
