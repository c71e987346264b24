"""What the README says about parameters, files and names is true."""

import ast
import re
from pathlib import Path

import yaml

from helpers.params import NOTEBOOKS, HubCorpusParams, LocalCorpusParams

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_linked_file_exists():
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")]
    assert len(links) >= 6
    assert [target for target in links if not (ROOT / target).exists()] == []


def test_every_notebook_is_in_the_table():
    listed = set(re.findall(r"\(notebooks/(\w+)\.ipynb\)", README))
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_parameters_that_it_names_exist():
    fields = {name for entry in NOTEBOOKS.values() for name in entry.params.model_fields}
    fields |= set(LocalCorpusParams.model_fields) | set(HubCorpusParams.model_fields) | {"corpus"}
    rows = README[README.index("| To use | write |") : README.index("Models of a comparison")]
    written = [code for code in re.findall(r"`([a-z_]+: [^`]+)`", rows)]
    assert len(written) >= 7
    for code in written:
        value = yaml.safe_load(code)
        keys = set(value) | {key for inner in value.values() if isinstance(inner, dict) for key in inner}
        assert keys <= fields, code


def test_the_python_example_imports_what_exists():
    block = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert block
    imports = [node for node in ast.parse(block[1]).body if isinstance(node, ast.ImportFrom)]
    assert len(imports) >= 3
    for node in imports:
        module = __import__(node.module, fromlist=[alias.name for alias in node.names])
        assert all(hasattr(module, alias.name) for alias in node.names)


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"\b(?:DEMO\w*|BENCH\w*)_?RESULTS?\b|\bDEMO\d+\b|TBD", README)
