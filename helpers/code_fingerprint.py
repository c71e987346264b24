"""Which code and library versions decide a number, as a hash: work of another hash is not gone on with."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("numpy", "torch", "transformers", "transformer-lens", "sae-lens")


def code_fingerprint(*patterns: str) -> str:
    """Hex SHA-256 over files and the versions of the libraries that compute.

    Args:
        patterns: of files, relative to the package `helpers`, e.g. "saes/*.py".
    Raises:
        ValueError: a pattern fits no file.
    """
    package, digest = Path(__file__).resolve().parent, hashlib.sha256()
    for pattern in patterns:
        paths = sorted(package.glob(pattern))
        if not paths:
            raise ValueError(f"no file of {package} fits '{pattern}'")
        for path in paths:
            digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    for name in LIBRARIES:
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            continue
    return digest.hexdigest()
