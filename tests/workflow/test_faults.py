"""What becomes of a real study that is killed, cut short by a full disk, or run twice at once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.activations import ActivationStore
from helpers.results import StageResult
from tests.workflow.faults import KilledStudy, contents

pytestmark = pytest.mark.slow

CORPUS = {"kind": "story_world"}
# A model, its SAE, its activations: about twenty seconds on a quiet core.
SHORT_STUDY: dict[str, Any] = {
    "study": "short",
    "title": "A short study",
    "common": {"device": "cpu", "n_threads": 1, "context_size": 64, "corpus": CORPUS},
    "notebooks": {
        "01_language_models": {
            "runs": {
                "a": {"n_train_tokens": 60_000, "batch_size": 4, "n_eval_tokens": 2_000, "min_accuracy": 0.0}
                | {"n_layers": 1, "d_model": 32}
            }
        },
        "02_train_saes": {
            "runs": {
                "a": {"model": "a", "hook_name": "blocks.0.hook_resid_post", "d_sae": 128, "k": 4}
                | {"n_train_tokens": 40_000, "batch_size": 256, "n_checkpoints": 8, "n_eval_tokens": 2_000}
            }
        },
        "03_save_activations": {"runs": {"main": {"dictionaries": ["a"], "n_tokens": 6_000, "batch_size": 4}}},
    },
}


def written_study(folder: Path, *, name: str = "short") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(SHORT_STUDY | {"study": name}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> KilledStudy:
    """The short study, run once from its beginning to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    study = KilledStudy(written_study(folder), folder / "runs")
    study.finish()
    return study


def copied(study: KilledStudy, folder: Path) -> KilledStudy:
    """The same finished study elsewhere, to be damaged."""
    shutil.copytree(study.runs_folder, folder / "runs")
    return KilledStudy(study.file, folder / "runs")


def test_twenty_kills_change_nothing(undisturbed, tmp_path):
    """Weights, SAEs, stores, figures and numbers are, byte for byte, those of a run that nobody killed."""
    rng = random.Random(20)
    study, n_kills = KilledStudy(undisturbed.file, tmp_path / "runs"), 0
    expected = contents(undisturbed.folder)
    while n_kills < 20:
        if study.run_and_kill(rng, within=9.0):
            n_kills += 1
        else:  # finished in spite of the kills: once more from its beginning
            assert contents(study.folder) == expected
            shutil.rmtree(study.runs_folder)
            study.finished = {}
    study.finish()
    assert contents(study.folder) == expected
    leftovers = [path for path in study.folder.glob("*/*/**/.*") if ".partial" in path.name or ".old-" in path.name]
    assert leftovers == []
    assert (study.folder / "report" / "index.html").exists()


def test_a_stage_that_finished_as_the_run_was_killed_is_not_run_again(undisturbed, tmp_path):
    """Snakemake had no time to note that it finished, and papermill none to give the notebook its name."""
    study = copied(undisturbed, tmp_path)
    study.check_nothing_finished_was_lost()
    folder = study.folder / "03_save_activations" / "main"
    marker = study.folder / ".snakemake" / "incomplete" / b64encode(b"03_save_activations/main/results.json").decode()
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    (folder / "executed.ipynb").rename(folder / ".executed.partial.ipynb")
    assert "everything is up to date, nothing was run" in study.finish()
    assert (folder / "executed.ipynb").exists() and not (folder / ".executed.partial.ipynb").exists()


def test_a_half_written_notebook_is_no_executed_notebook(undisturbed, tmp_path):
    study = copied(undisturbed, tmp_path)
    study.check_nothing_finished_was_lost()
    folder = study.folder / "03_save_activations" / "main"
    text = (folder / "executed.ipynb").read_text()
    (folder / "executed.ipynb").unlink()
    (folder / ".executed.partial.ipynb").write_text(text[: len(text) // 2])
    (study.folder / "report" / "index.html").unlink()
    study.finish()  # makes the report
    assert not list(folder.glob("*executed*"))
    assert "03_save_activations" in (study.folder / "report" / "index.html").read_text()


@pytest.mark.parametrize("name", ["data.npy", "indices.npy", "token_ids.npy", "feature_sums.npy"])
def test_one_flipped_bit_of_a_store_is_found_and_named(undisturbed, tmp_path, name):
    store = tmp_path / "store"
    shutil.copytree(StageResult.load(undisturbed.folder / "03_save_activations" / "main").artifact("store_a"), store)
    flip_a_bit(store / name)
    with pytest.raises(ValueError, match=rf"{name} was altered since it was written .* run 03_save_activations again"):
        ActivationStore.open(store)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(bytes(content))


def test_two_studies_in_one_folder_at_once(undisturbed, tmp_path):
    """Two names: neither touches the other. One name: the second is refused, whatever file it comes from."""
    until = ("--until", "01_language_models")
    one, two = (KilledStudy(written_study(tmp_path, name=name), tmp_path / "runs", until) for name in ("one", "two"))
    running = one.start()
    wait_until_it_holds_its_folder(one, running)
    os.kill(running.pid, signal.SIGSTOP)  # however fast it is, it is still there when the second one comes
    (tmp_path / "elsewhere").mkdir()
    again = KilledStudy(written_study(tmp_path / "elsewhere", name="one"), tmp_path / "runs").start()
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 2, output
    refusal = f"error: study one is being run by another process (process {running.pid}); wait for it or stop it"
    assert refusal in output
    beside = two.start()
    os.kill(running.pid, signal.SIGCONT)
    expected = contents(undisturbed.folder)["01_language_models/a"]["files"]
    for study, process in ((one, running), (two, beside)):
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        assert contents(study.folder)["01_language_models/a"]["files"] == expected


def wait_until_it_holds_its_folder(study: KilledStudy, process: subprocess.Popen[str]) -> None:
    lock, deadline = study.folder / ".lock", time.monotonic() + 300
    while not lock.exists() or lock.read_text() != str(process.pid):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the study did not begin"
        time.sleep(0.05)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of little more than a MiB; skipped where mounting is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_in_one_sentence_and_the_study_goes_on_when_there_is_room(undisturbed, small_disk):
    study = KilledStudy(undisturbed.file, small_disk)
    process = study.start()
    output, _ = process.communicate(timeout=900)
    assert process.returncode in (1, 2)
    assert "No space left on device" in output and "Traceback" not in output
    study.check_nothing_finished_was_lost()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    study.finish()
    assert contents(study.folder) == contents(undisturbed.folder)
