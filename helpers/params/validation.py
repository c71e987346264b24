"""Say in words what pydantic found wrong with parameters."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError


def explain(error: ValidationError, params_class: type[BaseModel]) -> list[tuple[str, str]]:
    """One entry a problem.

    Returns:
        (first key concerned, or "" if it concerns several; message such as
        "unknown key 'n_tokns'; did you mean 'n_tokens'?").
    """
    return [_problem(detail, params_class) for detail in error.errors()]


def check_file_name(name: str, *, what: str) -> None:
    """A name that a file or folder of the results will bear: it must not lead anywhere else.

    Raises:
        ValueError: it is empty, starts with a dot, or has a slash, a backslash or a control character.
    """
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set("/\\"):
        raise ValueError(
            f"{what} {name!r} becomes the name of a file: expected one without '/' and '\\' that does not start with '.'"
        )


def _problem(detail: Any, params_class: type[BaseModel]) -> tuple[str, str]:
    location = [part for part in detail["loc"] if not (isinstance(part, str) and part in _union_tags(params_class))]
    key = str(location[0]) if location else ""
    dotted = ".".join(str(part) for part in location)
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = _known_keys(params_class, list(detail["loc"][:-1]))
        return key, f"unknown key '{dotted}'{near_key(str(location[-1]), known)}"
    if kind == "missing":
        return key, f"missing key '{dotted}'"
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    if kind == "value_error":
        return key, f"{dotted}: {message}" if dotted else message
    given = detail["input"]
    shown = "nothing (an empty value)" if given is None else repr(given)[:120]
    hint = ""
    if kind == "literal_error" and isinstance(given, str):
        choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        near = difflib.get_close_matches(given, choices, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
    return key, f"{dotted}: expected {message}, got {shown}{hint}"


def near_key(name: str, known: list[str]) -> str:
    """ "; did you mean 'x'?" or the list of what exists."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; valid keys are {', '.join(known)}"


def _known_keys(params_class: type[BaseModel], location: list[Any]) -> list[str]:
    """Field names of the model at `location` (field names, then possibly a union tag)."""
    models: list[type[BaseModel]] = [params_class]
    for part in location:
        nested = [
            m for model in models if part in model.model_fields for m in _models(model.model_fields[part].annotation)
        ]
        tagged = [
            m for m in models if "kind" in m.model_fields and part in typing.get_args(m.model_fields["kind"].annotation)
        ]
        models = nested or tagged or models
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Annotated, typing.Union, types.UnionType):
        return [model for part in typing.get_args(annotation) for model in _models(part)]
    return []


def _union_tags(params_class: type[BaseModel]) -> set[str]:
    """Values of `kind` in nested unions: pydantic puts them into the location, a user never wrote them there."""
    nested = [model for info in params_class.model_fields.values() for model in _models(info.annotation)]
    return {
        tag for m in nested if "kind" in m.model_fields for tag in typing.get_args(m.model_fields["kind"].annotation)
    }
