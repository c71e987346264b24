"""Read a study file (params/studies/*.yaml): which notebooks run, how often, with which parameters.

    study: demo            # folder under runs/
    title: ...             # shown in the report
    description: ...
    expect: {...}          # what a run needs, and the figure that it reproduces (see helpers.params.expectation); optional
    common: {seed: 0}      # for every notebook that has the key
    notebooks:
      01_language_models:
        common: {...}      # for every run of this notebook
        runs:
          a: {...}         # one execution of the notebook; its keys win over both `common`s

A file may build on others: `extends: [demo.yaml, grid.yaml]` (beside it) takes all of their runs, each with its own
file's `common`, and adds those listed here, if any. With the name of one of them under `study`, what that one has
finished is not run again.

A line may stand for many runs, one a value of `grid` (see helpers.params.grid). A run of a notebook may read another run
of the same notebook; they are put into that order here.

Everything is checked here, before anything runs, and all problems of a file are reported together, a line each.
`study`, `run` and `runs_folder` are filled in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from helpers.params.expectation import Expectation
from helpers.params.grid import check_axes, expand_runs, placeholders
from helpers.params.notebooks import NotebookParams
from helpers.params.registry import NOTEBOOKS, runs_read
from helpers.params.validation import explain
from helpers.params.yaml_file import read_yaml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_FILLED_IN = ("study", "run", "runs_folder")
_TOP_KEYS = ("study", "title", "description", "expect", "extends", "grid", "common", "notebooks")


class StudyError(ValueError):
    """A study file has problems; the message has a line for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(problems))
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True)
class Study:
    """A checked study: notebooks[notebook][run] are the parameters of one execution, in the order in which data flows."""

    path: Path
    name: str
    title: str
    description: str
    notebooks: Mapping[str, Mapping[str, NotebookParams]]
    expect: Expectation | None = None

    def params(self, notebook: str, run: str) -> NotebookParams:
        """Parameters of one execution."""
        if run not in self.notebooks.get(notebook, {}):
            known = ", ".join(f"{n}/{r}" for n, runs in self.notebooks.items() for r in runs)
            raise ValueError(f"{self.path}: has no {notebook}/{run}; it has {known}")
        return self.notebooks[notebook][run]


def load_study(path: str | Path, *, runs_folder: str = "runs") -> Study:
    """Read and check a study file.

    Args:
        path: the YAML file.
        runs_folder: where results go; relative to the project root.
    Raises:
        StudyError (a ValueError): one line a problem, `file: place: what is wrong; what to do`.
    """
    try:
        content = read_yaml(path)
    except ValueError as error:
        raise StudyError([str(error)]) from error
    reader = _Reader(Path(path), runs_folder)
    study = reader.read(content)
    if reader.problems or study is None:
        raise StudyError(reader.problems)
    return study


class _Reader:
    """Collects the problems of one file."""

    def __init__(self, path: Path, runs_folder: str, *, extended_by: tuple[Path, ...] = ()) -> None:
        self.path = path
        self.runs_folder = runs_folder
        self.extended_by = extended_by  # the files that are being read because of which this one is
        self.problems: list[str] = []
        self.axes: dict[str, list[Any]] | None = None  # of the grid; None without one
        self.values: dict[tuple[str, str], Mapping[str, Any]] = {}  # (notebook, run) -> what the file says, merged

    def read(self, content: Any) -> Study | None:
        if not self._is_mapping(content, "the file", required=True):
            return None
        self._known_keys(content, _TOP_KEYS, "")
        name = content.get("study")
        name_is_good = self._name(name, "study")
        for key in ("title", "description"):
            if key in content and not isinstance(content[key], str):
                self._report(key, f"expected a text, got {content[key]!r}")
        if "grid" in content:
            self.axes = check_axes(content["grid"], report=self._report)
        bases = self._bases(content.get("extends", []))
        sections = content.get("notebooks", {})
        if not self._is_mapping(sections, "notebooks", required=not bases):
            return None
        common = content.get("common", {})
        if not self._is_mapping(common, "common"):
            common = {}
        self._check_common(common, sections)
        self._no_placeholders(common, "common")
        notebooks = {
            notebook: self._notebook(notebook, sections[notebook], common, str(name) if name_is_good else "study")
            for notebook in NOTEBOOKS
            if notebook in sections
        }
        self._known_keys(sections, tuple(NOTEBOOKS), "notebooks", what="notebook")
        notebooks = self._with_bases(notebooks, bases, str(name) if name_is_good else "study")
        self._check_references(notebooks)
        good = {n: self._in_order(n, {r: p for r, p in runs.items() if p}) for n, runs in notebooks.items()}
        return Study(
            path=self.path,
            name=str(name),
            title=str(content.get("title", name)),
            description=str(content.get("description", "")).strip(),
            notebooks=good,
            expect=self._expectation(content.get("expect")),
        )

    def _expectation(self, given: Any) -> Expectation | None:
        if given is None or not self._is_mapping(given, "expect"):
            return None
        try:
            return Expectation.model_validate(given, strict=True)
        except ValidationError as error:
            for _, message in explain(error, Expectation):
                self._report("expect", message)
            return None

    def _bases(self, files: Any) -> list[Study]:
        """The studies that this file builds on; their problems are this file's."""
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            self._report("extends", f"expected a list of study files beside this one, got {files!r:.80}")
            return []
        bases = []
        readers = (*self.extended_by, self.path)
        for file in files:
            path = self.path.parent / file
            if path.resolve() in [reader.resolve() for reader in readers]:
                self._report("extends", f"'{file}' is being read already: the files extend each other in a circle")
                continue
            try:
                content = read_yaml(path)
            except ValueError as error:
                self.problems.append(str(error))
                continue
            base = _Reader(path, self.runs_folder, extended_by=readers)
            study = base.read(content)
            self.problems += base.problems
            if study is not None:
                bases.append(study)
        return bases

    def _with_bases(
        self, own: Mapping[str, Mapping[str, NotebookParams | None]], bases: list[Study], study: str
    ) -> dict[str, dict[str, NotebookParams | None]]:
        """The runs of the bases and of this file, in the order in which data flows; one name is one set of parameters."""
        merged: dict[str, dict[str, NotebookParams | None]] = {}
        parts = [*(base.notebooks for base in bases), own]
        for notebook in NOTEBOOKS:
            for part in parts:
                for run, params in part.get(notebook, {}).items():
                    known = merged.setdefault(notebook, {})
                    if params is not None and part is not own:
                        params = params.model_copy(update={"study": study})
                        self.values[notebook, run] = params.model_dump(mode="json")
                    if known.get(run, params) != params:
                        self._report(
                            f"notebooks.{notebook}.runs.{run}",
                            "two of the files give this run different parameters; rename one or make them equal",
                        )
                    known[run] = params
        return merged

    def _notebook(
        self, notebook: str, section: Any, common: Mapping[str, Any], study: str
    ) -> dict[str, NotebookParams | None]:
        place = f"notebooks.{notebook}"
        if not self._is_mapping(section, place, required=True):
            return {}
        self._known_keys(section, ("common", "runs"), place)
        own = section.get("common", {})
        own = own if self._is_mapping(own, f"{place}.common") else {}
        self._no_placeholders(own, f"{place}.common")
        runs = section.get("runs")
        if not self._is_mapping(runs, f"{place}.runs", required=True):
            return {}
        if self.axes:
            runs = expand_runs(runs, self.axes, place=f"{place}.runs", report=self._report)
        params_class = NOTEBOOKS[notebook].params
        shared = {key: value for key, value in common.items() if key in params_class.model_fields}
        result: dict[str, NotebookParams | None] = {}
        for run, overrides in runs.items():
            run_place = f"{place}.runs.{run}"
            if not self._name(run, run_place) or not self._is_mapping(overrides, run_place):
                continue
            layers = [("common", shared), (f"{place}.common", own), (run_place, overrides)]
            result[run] = self._params(notebook, layers, study, run)
        return result

    def _params(
        self, notebook: str, layers: list[tuple[str, Mapping[str, Any]]], study: str, run: str
    ) -> NotebookParams | None:
        params_class = NOTEBOOKS[notebook].params
        values: dict[str, Any] = {}
        origin: dict[str, str] = {}
        for place, layer in layers:
            for key in _FILLED_IN:
                if key in layer:
                    self._report(place, f"'{key}' is filled in from the file's structure; remove it")
            given = {key: value for key, value in layer.items() if key not in _FILLED_IN}
            values.update(given)
            origin.update(dict.fromkeys(given, place))
        values |= {"study": study, "run": run, "runs_folder": self.runs_folder}
        self.values[notebook, run] = values
        try:
            return params_class.model_validate(values, strict=True)
        except ValidationError as error:
            for key, message in explain(error, params_class):
                self._report(origin.get(key, layers[-1][0]), message)
            return None

    def _check_common(self, common: Mapping[str, Any], sections: Mapping[str, Any]) -> None:
        known = {
            key for notebook in sections if notebook in NOTEBOOKS for key in NOTEBOOKS[notebook].params.model_fields
        }
        self._known_keys(common, sorted(known | set(_FILLED_IN)), "common")

    def _check_references(self, sections: Mapping[str, Any]) -> None:
        """Every run that a parameter names must be there; also for runs whose other parameters are wrong."""
        runs: dict[str, dict[str, Mapping[str, Any]]] = {}
        for (notebook, run), values in self.values.items():
            runs.setdefault(notebook, {})[run] = values
        for (notebook, run), values in self.values.items():
            place = f"notebooks.{notebook}.runs.{run}"
            for key, source, name in runs_read(notebook, values):
                if source not in sections:
                    self._report(place, f"{key}: reads {source}, which this study does not list; add it")
                elif name not in runs.get(source, {}):
                    self._report(place, f"{key}: {source} has no run '{name}'{_hint(name, list(runs.get(source, {})))}")
            for key in NOTEBOOKS[notebook].members:
                self._check_members(notebook, key, values, runs, place)

    def _check_members(
        self,
        notebook: str,
        key: str,
        values: Mapping[str, Any],
        runs: Mapping[str, Mapping[str, Mapping[str, Any]]],
        place: str,
    ) -> None:
        """Every text in the value of `key` must be an item of a list of the runs that another parameter names."""
        readings, listing = NOTEBOOKS[notebook].members[key]
        reading = next((name for name in readings if values.get(name)), readings[-1])
        source, upstream = NOTEBOOKS[notebook].reads[reading], [str(name) for name in _texts(values.get(reading))]
        lists = [runs.get(source, {}).get(name, {}).get(listing) for name in upstream]
        if not lists or not all(isinstance(items, list) for items in lists):
            return  # reported elsewhere
        known = [str(item) for items in lists for item in items or []]
        for value in _texts(values.get(key)):
            if value not in known:
                where = f"{source}/{' or '.join(upstream)}"
                self._report(place, f"{key}: '{value}' is not among the {listing} of {where}{_hint(value, known)}")

    def _no_placeholders(self, common: Mapping[str, Any], place: str) -> None:
        for key, value in common.items():
            for name in [] if self.axes is None else placeholders(value):
                self._report(place, f"{key}: '{{{name}}}' belongs to runs, whose names say which {name}; move it there")

    def _in_order(self, notebook: str, runs: dict[str, NotebookParams]) -> dict[str, NotebookParams]:
        """The runs, each behind those of the same notebook that it reads; otherwise as the file has them."""
        waiting, ordered = dict(runs), {}
        read = {
            run: [n for _, source, n in runs_read(notebook, p.model_dump()) if source == notebook]
            for run, p in runs.items()
        }
        while waiting:
            ready = [run for run in waiting if not any(name in waiting for name in read[run])]
            if not ready:
                circle = ", ".join(waiting)
                self._report(
                    f"notebooks.{notebook}.runs", f"{circle}: these runs read each other in a circle; break it"
                )
                return runs
            ordered[ready[0]] = waiting.pop(ready[0])
        return ordered

    def _name(self, value: Any, place: str) -> bool:
        if isinstance(value, str) and _NAME.fullmatch(value):
            return True
        quoted = "" if isinstance(value, str) or value is None else " (write it in quotes)"
        self._report(
            place,
            f"expected a name of letters, digits, '_', '-' and '.' that starts with a letter or digit, at most 80 long; "
            f"got {value!r}{quoted}",
        )
        return False

    def _is_mapping(self, value: Any, place: str, *, required: bool = False) -> bool:
        if isinstance(value, Mapping) and (value or not required):
            return True
        got = "nothing" if value is None or value == {} else repr(value)[:80]
        self._report(place, f"expected keys with values, got {got}" + ("" if required else "; write {} for none"))
        return False

    def _known_keys(self, mapping: Mapping[Any, Any], known: Iterable[str], place: str, *, what: str = "key") -> None:
        for key in mapping:
            if key not in known:
                self._report(f"{place}" if place else "", f"unknown {what} '{key}'{_hint(str(key), list(known))}")

    def _report(self, place: str, message: str) -> None:
        self.problems.append(f"{self.path}: {place}: {message}" if place else f"{self.path}: {message}")


def _texts(value: Any) -> list[str]:
    """Every text in a value: itself, or in its lists and mappings."""
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; there are {', '.join(known)}" if known else ""
