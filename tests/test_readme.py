"""What the README says about parameters, files and names is true."""

import ast
import builtins
import os
import re
import shlex
import subprocess
from pathlib import Path

import yaml

from helpers.cli import main
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


def test_the_python_example_uses_no_name_that_it_does_not_make():
    block = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert block
    tree = ast.walk(ast.parse(block[1]))
    names = [node for node in tree if isinstance(node, ast.Name)]
    imported = re.findall(r"import (.+)", block[1])
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(", ".join(imported).split(", "))
    assert {node.id for node in names} - made - set(dir(builtins)) == set()


def shell_commands() -> list[list[str]]:
    """Every line of the shell examples, without its comment."""
    lines = [line for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def test_the_commands_of_the_examples_exist(monkeypatch):
    commands = shell_commands()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [command[1] for command in commands if command[0] == "make"]
    assert len(targets) >= 4
    assert [target for target in targets if not re.search(f"^{target}:", makefile, flags=re.MULTILINE)] == []

    parsed = []
    for name in ("_run", "_check", "_list", "_open"):
        monkeypatch.setattr(f"helpers.cli.{name}", lambda options: parsed.append(options) or 0)
    helpers = [command[3:] for command in commands if command[:3] == ["python", "-m", "helpers"]]
    helpers += [shlex.split(line) for line in re.findall(r"`python -m helpers ((?:run|check|list|open) \w+)`", README)]
    assert len(helpers) >= 5
    for arguments in helpers:
        assert main(arguments) == 0
    studies = [options.study for options in parsed if hasattr(options, "study")]
    assert [name for name in studies if not (ROOT / "params" / "studies" / f"{name}.yaml").exists()] == []
    stages = [options.until for options in parsed if getattr(options, "until", None)]
    assert stages and set(stages) <= set(NOTEBOOKS)


def test_the_recipe_for_a_hosted_report_publishes_the_report_and_nothing_else(tmp_path):
    """The three lines for GitHub Pages, on a repository of this machine."""
    report = tmp_path / "runs" / "demo" / "report"
    (report / "figures").mkdir(parents=True)
    (report / "index.html").write_text("<p>")
    (report / "figures" / "a.png").write_bytes(b"")
    person = {f"GIT_{role}_{key}": "someone" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    repository = tmp_path / "repository.git"
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    lines = [line for line in README.splitlines() if "/tmp/pages" in line]
    assert len(lines) == 3
    recipe = "\n".join(lines).replace("/tmp/pages", str(tmp_path / "pages"))
    recipe = recipe.replace("<address of your repository>", str(repository))
    for _ in range(2):  # the second time it replaces the first
        subprocess.run(["rm", "-rf", tmp_path / "pages"], check=True)
        subprocess.run(["bash", "-euc", recipe], cwd=tmp_path, env=os.environ | person, capture_output=True, check=True)
    listed = ["git", "--git-dir", repository, "ls-tree", "-r", "--name-only", "gh-pages"]
    files = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(files) == [".nojekyll", "figures/a.png", "index.html"]


def test_every_contribution_takes_four_steps_in_places_that_exist():
    part = README[README.index("## For the next developer") : README.index("## Changelog")]
    recipes = re.findall(r"^\*\*A new ([a-z ]+)\*\*.*\n((?:\d\. .*\n)+)", part, flags=re.MULTILINE)
    assert [name for name, _ in recipes] == ["measure", "matching method", "notebook", "preset"]
    for name, steps in recipes:
        assert re.findall(r"^(\d)\.", steps, flags=re.MULTILINE) == list("1234"), name
        paths = re.findall(r"`((?:helpers|notebooks|params|tests)/[\w./]*)`", steps)
        assert paths and [path for path in paths if not (ROOT / path).exists()] == [], name


def test_nothing_is_left_to_fill_in():
    assert not re.findall(r"\b(?:DEMO\w*|BENCH\w*)_?RESULTS?\b|\bDEMO\d+\b|TBD", README)
