"""Results as one .npz file: arrays, and what is told about them as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.array_file import ArrayFile

_ABOUT = ("holds", "format_version", "told")


@dataclass(frozen=True)
class SavedResult:
    """What a file holds."""

    arrays: dict[str, Any]
    told: dict[str, Any]


def save_result(path: str | Path, *, kind: str, arrays: Mapping[str, np.ndarray], told: Mapping[str, Any]) -> None:
    """Write atomically.

    Args:
        kind: what it is, in words; reading asks for the same.
        told: JSON types only.
    """
    text = json.dumps(dict(told), allow_nan=False)
    _file(kind).write(path, told=np.array(text), **arrays)


def load_result(path: str | Path, *, kind: str) -> SavedResult:
    """Read what `save_result` wrote.

    Raises:
        ValueError: no such file, one that holds something else, or a newer format.
    """
    with _file(kind).read(path) as content:
        told = json.loads(str(content["told"]))
        return SavedResult({name: content[name] for name in content.files if name not in _ABOUT}, told)


def _file(kind: str) -> ArrayFile:
    return ArrayFile(f"a {kind}", remedy="measure it again")
