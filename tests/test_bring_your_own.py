"""params/bring_your_own.md, block by block, on a clone: files are saved under the names that the page gives them, then
every command and every example runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from helpers.results import StageResult
from tests.clones import ROOT, fresh_clone

PAGE = (ROOT / "params" / "bring_your_own.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
STAGES = [
    "01_language_models/a",
    "01_language_models/b",
    "02_train_saes/a",
    "02_train_saes/b",
    "03_save_activations/main",
    "04_match_features/main",
    "06_semantic_subspaces/main",
]


@dataclass(frozen=True)
class FollowedPage:
    """What following the page left: the clone, and what every block printed."""

    clone: Path
    printed: list[str]

    def result(self, stage_run: str) -> StageResult:
        return StageResult.load(self.clone / "runs" / "own" / stage_run)


def follow(clone: Path) -> list[str]:
    """Save the named blocks, run the others; returns what each command line or example printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # what activate does
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(clone), "HF_HUB_OFFLINE": "1"}
    printed = []
    for language, name, text in BLOCK.findall(PAGE):
        if name:
            (clone / name).parent.mkdir(exist_ok=True)
            (clone / name).write_text(text, encoding="utf-8")
            continue
        commands = text.splitlines() if language == "bash" else [text]
        for command in commands:
            program = ["bash", "-euc", command] if language == "bash" else ["python", "-c", command]
            done = subprocess.run(program, cwd=clone, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
            printed.append(done.stdout)
    return printed


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> FollowedPage:
    clone = fresh_clone(tmp_path_factory.mktemp("own") / "feature-geometry")
    # Compiled code comes along where there is some, so that the test takes a minute.
    shutil.copytree(ROOT / "helpers", clone / "helpers", dirs_exist_ok=True)
    return FollowedPage(clone, follow(clone))


def test_every_block_says_what_it_is():
    languages = [(language, bool(name)) for language, name, _ in BLOCK.findall(PAGE)]
    assert languages == [
        ("python", True),
        ("bash", False),
        ("yaml", True),
        ("bash", False),
        ("bash", False),
        ("python", False),
    ]
    assert PAGE.count("```") == 2 * len(languages)


def test_every_line_of_the_study_that_sets_something_is_explained():
    study = next(text for language, _, text in BLOCK.findall(PAGE) if language == "yaml")
    sections = yaml.safe_load(study)["notebooks"]
    assert [f"{stage}/{run}" for stage, section in sections.items() for run in section["runs"]] == STAGES
    for stage in sections:
        of_stage = study[study.index(f"  {stage}:") :].split("\n\n")[0]
        assert "# " in of_stage, f"no line of {stage} is explained"


@pytest.mark.slow
def test_the_plan_is_shown_before_anything_runs(followed):
    plan = followed.printed[1]
    assert "own/study.yaml: good" in plan
    assert re.findall(r"^  (\S+/\S+)\s.*missing  not run yet", plan, flags=re.MULTILINE) == STAGES


@pytest.mark.slow
def test_the_study_runs_to_its_report(followed):
    started = re.findall(r"^(\S+)  started$", followed.printed[2], flags=re.MULTILINE)
    assert sorted(started) == STAGES
    report = followed.clone / "runs" / "own" / "report" / "index.html"
    assert followed.printed[3] == f"{report}\n" and report.is_file()


@pytest.mark.slow
def test_it_is_about_the_files_that_were_brought(followed):
    model, sae = followed.result("01_language_models/a"), followed.result("02_train_saes/a")
    assert model.metrics["loss"] < model.metrics["unigram_loss"] < model.metrics["untrained_loss"]
    assert (sae.metrics["d_sae"], sae.metrics["l0"]) == (256, pytest.approx(4, abs=0.1))
    assert sae.metrics["fvu"] < 0.1 < sae.metrics["control_fvu"]
    matched, groups = followed.result("04_match_features/main"), followed.result("06_semantic_subspaces/main")
    assert matched.metrics["n_pairs_above"] >= 20
    assert groups.params["concepts"] == "own/words.yaml" and groups.metrics["strongest"] in (
        "animals",
        "feelings",
        "people",
    )
    pairs = re.fullmatch(r"(\d+) pairs, the best with correlation ([\d.]+)\n", followed.printed[4])
    assert pairs and int(pairs[1]) == matched.metrics["n_pairs"] and 0.5 < float(pairs[2]) <= 1


@pytest.mark.slow
def test_git_ignores_what_was_brought(followed):
    brought = sorted(path.name for path in (followed.clone / "own").iterdir())
    assert brought == ["make_stand_ins.py", "model", "sae", "study.yaml", "texts.jsonl", "words.yaml"]
    assert "own/" in (followed.clone / ".gitignore").read_text().splitlines()
