"""Every notebook: its parameters cell agrees with its class, it is stripped, it defines nothing, it starts like the others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import papermill
import pytest

from helpers.params import NOTEBOOKS, LanguageModelParams

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def parameters_cell(path: Path) -> str:
    tagged = [c for c in nbformat.read(path, as_version=4).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1, "papermill puts values on top, where they are overwritten, if no cell is tagged"
    return tagged[0].source


def test_it_is_registered(path):
    assert path.stem in NOTEBOOKS, "add it to helpers/params/registry.py and to notebooks/Snakefile"


def test_its_parameters_are_the_fields_of_its_class(path):
    """papermill itself only warns about a name that the cell does not have (and does not see `x: str | None = None`)."""
    fields = set(NOTEBOOKS[path.stem].params.model_fields)
    assert {node.target.id for node in ast.parse(parameters_cell(path)).body} == fields
    assert set(papermill.inspect_notebook(str(path))) <= fields


def test_the_defaults_in_its_cell_are_good_and_plain(path):
    namespace = {}
    for node in ast.parse(parameters_cell(path)).body:
        assert isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name), "typed literals only"
        assert node.value is not None
        namespace[node.target.id] = ast.literal_eval(node.value)
    params = NOTEBOOKS[path.stem].params.from_namespace(namespace)
    assert params.model_dump(mode="json").keys() == namespace.keys()


def test_every_parameter_has_a_comment(path):
    lines = [line for line in parameters_cell(path).splitlines() if line.strip()]
    assert [line for line in lines if "  # " not in line] == []


def test_it_has_no_outputs_counts_or_run_metadata(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert "papermill" not in notebook.metadata
    for cell in notebook.cells:
        assert not {"papermill", "execution"} & set(cell.metadata)
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_it_defines_no_function_or_class(path):
    code = "\n".join(line for source in cells(path, "code") for line in source.splitlines() if line[:1] not in "%!")
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
    assert [ast.dump(node)[:80] for node in ast.walk(ast.parse(code)) if isinstance(node, kinds)] == []


def test_its_first_cell_is_that_of_every_notebook(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "code"
    assert first.source == nbformat.read(PATHS[0], as_version=4).cells[0].source
    assert '"google.colab" in sys.modules' in first.source


def test_it_starts_its_own_stage_and_finishes_it_last(path):
    code = cells(path, "code")
    assert sum(f'start_stage("{path.stem}", params)' in source for source in code) == 1
    assert sum(f"{NOTEBOOKS[path.stem].params.__name__}.from_namespace(globals())" in source for source in code) == 1
    assert code[-1].rstrip().splitlines()[-1] == "stage.finish()"


def test_every_figure_that_it_makes_is_shown_in_it(path):
    """The trap: a figure that is not the value of its cell is saved for the report, and the page of the notebook lacks it."""
    for source in cells(path, "code"):
        tree = ast.parse(source)
        shown = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and ast.unparse(call.func) == "display"]
        shown += [statement for statement in tree.body[-1:] if isinstance(statement, ast.Expr)]
        names = {ast.unparse(argument) for call in shown if isinstance(call, ast.Call) for argument in call.args}
        named = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
        shown += [node for node in named if {ast.unparse(target) for target in node.targets} & names]
        seen = {id(node) for root in shown for node in ast.walk(root)}
        made = [
            call for call in ast.walk(tree) if isinstance(call, ast.Call) and ast.unparse(call.func) == "stage.figure"
        ]
        assert [ast.unparse(call)[:80] for call in made if id(call) not in seen] == []


def test_it_tells_more_than_it_computes(path):
    lines = [line.strip() for source in cells(path, "code") for line in source.splitlines()]
    code_lines = [line for line in lines if line and not line.startswith("#")]
    words = re.findall(r"\w+", " ".join(cells(path, "markdown")))
    assert len(code_lines) <= 150
    assert len(words) >= 3 * len(code_lines)


def test_its_cells_are_short(path):
    long = [source.splitlines()[0] for source in cells(path, "code") if len(source.splitlines()) > 25]
    assert [
        first for first in long if not first.startswith("runs_folder")
    ] == []  # the parameters cell has its own length


def test_a_missing_parameter_is_an_error_and_not_a_hidden_default(path):
    del path
    with pytest.raises(ValueError, match="the parameters cell does not set runs_folder, study, .*; add them"):
        LanguageModelParams.from_namespace({"seed": 1})
