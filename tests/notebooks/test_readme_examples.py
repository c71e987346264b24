"""The README's example of using the package, and of running one notebook without a browser, on the smoke study."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow  # the smoke study is run first


def run(*command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_package_works_without_the_notebooks(smoke_study):
    block = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert block and block[1].count("runs/demo") == 2
    printed = run(sys.executable, "-c", block[1].replace("runs/demo", str(smoke_study.folder)))
    n_pairs, score, p_value = printed.split()
    matched = smoke_study.result("04_match_features", "main").metrics
    assert int(n_pairs) == matched["n_pairs_above"]
    assert -1 < float(score) < 1 and 0 < float(p_value) <= 1


def test_one_notebook_runs_without_a_browser_and_leaves_the_study_alone(smoke_study, tmp_path):
    line = next(line for line in README.splitlines() if line.startswith("papermill notebooks/"))
    command = shlex.split(line.replace("/tmp/out.ipynb", str(tmp_path / "out.ipynb")))
    before = smoke_study.result("04_match_features", "main")
    here = ["-p", "runs_folder", str(smoke_study.runs_folder), "-p", "study", "smoke", "--no-progress-bar"]
    folder = smoke_study.folder / "04_match_features" / "strict"
    try:
        run(sys.executable, "-m", "papermill", *command[1:], "-p", "n_permutations", "200", *here)
        strict = json.loads((folder / "results.json").read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the study is other tests', too
    assert smoke_study.result("04_match_features", "main") == before
    assert strict["params"]["min_corr"] == 0.7
    assert strict["metrics"]["n_pairs_above"] < before.metrics["n_pairs_above"]
