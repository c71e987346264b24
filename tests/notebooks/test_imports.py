"""What a process pays before it computes: the imports of a notebook, and of the job that executes one."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT

# Seconds of CPU each; loaded when a model, a dictionary or a page is asked for.
HEAVY = {"datasets", "nbconvert", "sae_lens", "transformer_lens", "transformers", "umap", "wandb"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are there after `code` ran in a process of its own."""
    code += "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_no_notebook_imports_what_it_may_not_need() -> None:
    cells = [
        "".join(cell["source"])
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    imports = [cell for cell in cells if "import start_stage" in cell]
    assert len(imports) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    loaded = loaded_by("\n".join(imports))
    assert {"helpers", "torch", "matplotlib"} <= loaded
    assert not HEAVY & loaded


def test_the_job_of_a_stage_loads_neither_torch_nor_pictures() -> None:
    loaded = loaded_by("import helpers.cli, helpers.workflow.execute")
    assert {"helpers", "papermill"} <= loaded
    assert not (HEAVY | {"torch", "matplotlib", "scipy", "pandas"}) & loaded
