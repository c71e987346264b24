"""What a stage run is made from: parameters, notebook, helper modules, data files; a short SHA-256 of each.

Helper modules are found by reading imports, not by importing: from the notebook's code, transitively, functions'
own imports included; importing a package means its __init__ and what that imports. A change in helpers/matching
therefore touches the notebooks that use it and no other.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from helpers.params.notebooks import NotebookParams
from helpers.storage import read_json, sha256_file
from helpers.workflow.stages import PROJECT_ROOT, notebook_path

PARAMETERS = "parameters"
NOTEBOOK = "notebook"

# Not counted, because they cannot change a number: parameter classes (their values count), how progress is drawn, how
# stages are run and recorded, how finished notebooks are rendered. helpers.workflow.session seeds, so it counts.
NOT_COUNTED = (
    "helpers.colab",
    "helpers.params",
    "helpers.progress",
    "helpers.workflow",
    "helpers.reports.html",
    "helpers.reports.index",
    "helpers.results",
)
ALWAYS_COUNTED = ("helpers.workflow.session",)
DATA_FOLDER = "params/data"
_LONGEST_NAME = 200  # longer texts in code are prose
# A Hub name is no file here and counts as a parameter only.
_PATH_KEYS = ("path", "folder", "name", "name_or_path", "concepts", "explanations")
_LARGE_FILE_BYTES = 1 << 26


def stage_sources(stage: str, params: NotebookParams, *, root: Path = PROJECT_ROOT) -> dict[str, str]:
    """What a result of `stage` with `params` would be made from, as name -> short SHA-256.

    Names: "parameters", "notebook", files relative to the project root.

    Raises:
        ValueError: the notebook is missing or is not a notebook.
    """
    cells = notebook_cells(notebook_path(stage))
    values = counted_parameters(params.model_dump(mode="json"))
    sources = {PARAMETERS: _short_hash(_canonical(values)), NOTEBOOK: _short_hash(_canonical(cells))}
    files, texts = _read_by_code(tuple(code for kind, code in cells if kind == "code"), root, _state(root))
    for path in sorted({*files, *_data_files(texts, values, root=root)}):
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        sources[name] = _file_hash(path)
    return sources


@lru_cache(maxsize=64)  # runs of one notebook, in all studies, read the same
def _read_by_code(code: tuple[str, ...], root: Path, _state: int) -> tuple[tuple[Path, ...], frozenset[str]]:
    """Modules that a notebook's code loads, and every short text in it and in them."""
    trees = [_parse_cell(source) for source in code]
    files = module_files(trees, root=root)
    trees += [_parse_file(path) for path in files]
    return tuple(files), frozenset(text for tree in trees for text in _last_parts(tree))


def _state(root: Path, package: str = "helpers") -> int:
    """Changes whenever a module of the package does, is added or is taken away."""
    folders, found = [str(root / package)], []
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except FileNotFoundError:
            continue
        folders += [entry.path for entry in entries if entry.is_dir() and entry.name != "__pycache__"]
        found += [
            (each.path, each.stat().st_mtime_ns, each.stat().st_size) for each in entries if each.name.endswith(".py")
        ]
    return hash(tuple(sorted(found)))


def counted_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the folder of results: a study may be moved."""
    return {key: value for key, value in values.items() if key != "runs_folder"}


def notebook_cells(path: Path) -> list[tuple[str, str]]:
    """(cell type, source) of every cell, without outputs, metadata and counts.

    Raises:
        ValueError: the file is missing or is not a notebook.
    """
    try:
        cells = read_json(path)["cells"]
        return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except FileNotFoundError:
        raise ValueError(f"there is no notebook {path}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a notebook: {error}; restore it, e.g. git checkout {path}") from error


def module_files(trees: list[ast.Module], *, root: Path = PROJECT_ROOT, package: str = "helpers") -> list[Path]:
    """Files of `package` that running `trees` imports, transitively."""
    waiting = [name for tree in trees for name in _imported_names(tree, "")] + list(ALWAYS_COUNTED)
    seen: set[str] = set()
    files: set[Path] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or not _is_counted(name, package):
            continue
        seen.add(name)
        waiting += _parents(name)
        path = _module_file(name, root)
        if path is None:
            continue
        files.add(path)
        importing_package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imported_names(_parse_file(path), importing_package)
    return sorted(files)


def _is_counted(name: str, package: str) -> bool:
    def within(prefix: str) -> bool:
        return name == prefix or name.startswith(prefix + ".")

    return within(package) and (any(map(within, ALWAYS_COUNTED)) or not any(map(within, NOT_COUNTED)))


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _module_file(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    candidates = (path / "__init__.py", path.with_name(path.name + ".py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@lru_cache(maxsize=4000)  # notebooks share most modules
def _imported_names(tree: ast.Module, package: str) -> tuple[str, ...]:
    """Every module name that an import anywhere in `tree` may load (`from a import b`: a and a.b)."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _parse_file(path: Path) -> ast.Module:
    status = path.stat()
    return _parse_version(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1000)  # the runs of a study share most modules
def _parse_version(path: Path, _mtime_ns: int, _size: int) -> ast.Module:
    return ast.parse(path.read_bytes())


def _parse_cell(source: str) -> ast.Module:
    """A cell's code without IPython lines (%, !); a cell that still is not Python imports nothing."""
    lines = source.splitlines()
    kept = [
        line[: len(line) - len(line.lstrip())] + "pass" if line.lstrip()[:1] in ("%", "!") else line for line in lines
    ]
    try:
        return ast.parse("\n".join(kept))
    except SyntaxError:
        return ast.parse("")


def _data_files(texts: frozenset[str], values: Any, *, root: Path) -> set[Path]:
    """Files that the parameters name, and files under params/data whose name is one of the code's texts."""
    found = {file for file in _files(root / DATA_FOLDER) if file.name in texts}
    for text in _path_values(values):
        found |= _files(root / text)
    return found


@lru_cache(maxsize=4000)  # notebooks share most modules
def _last_parts(tree: ast.Module) -> frozenset[str]:
    """Every short text in the code, from its last slash on."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text.rsplit("/", 1)[-1] for text in texts if len(text) < _LONGEST_NAME)


def _files(path: Path) -> set[Path]:
    """The file, or all files of the folder."""
    if path.is_dir():
        return {file for file in path.rglob("*") if file.is_file()}
    return {path} if path.is_file() else set()


def _path_values(values: Any, key: str = "") -> Iterator[str]:
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from _path_values(value, key if key in _PATH_KEYS else name)
    elif isinstance(values, list):
        for value in values:
            yield from _path_values(value, key)
    elif isinstance(values, str) and values and (key in _PATH_KEYS or values.startswith(DATA_FOLDER)):
        yield values


def _file_hash(path: Path) -> str:
    """Of the content; of size and time for a large file, so that asking what is fresh stays quick."""
    status = path.stat()
    if status.st_size > _LARGE_FILE_BYTES:
        return _short_hash(f"{status.st_size} {status.st_mtime_ns}")
    return sha256_file(path)[:16]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
