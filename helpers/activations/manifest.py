"""The files of an activation store and the manifest that describes them.

A store is a folder. Rows are tokens, columns are features. `feature_acts` are sparse (CSR in three files),
`hidden_pre` are dense (one file); both carry the same row and feature files.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from helpers.storage import read_json, sha256_file, write_json

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
INDPTR_FILE = "indptr.npy"
INDICES_FILE = "indices.npy"
DATA_FILE = "data.npy"
DENSE_FILE = "hidden_pre.npy"
ROW_FILES = {"token_ids": "token_ids.npy", "documents": "documents.npy", "positions": "positions.npy"}
FEATURE_FILES = {
    "feature_counts": "feature_counts.npy",
    "feature_sums": "feature_sums.npy",
    "feature_squares": "feature_squares.npy",
}
KINDS = ("feature_acts", "hidden_pre")
DTYPES = ("float16", "float32")
_NPY_HEADER_BYTES = 128
REMEDY = "run 03_save_activations again"


@dataclass(frozen=True)
class Manifest:
    """What a store is and how its files must look.

    Args:
        d_sae: columns; n_tokens: rows; nnz: stored non-zero values.
        kind: "feature_acts" (post-activations, sparse) or "hidden_pre" (pre-activations, dense).
        dtype: stored precision of the values.
        signed: negative feature activations were allowed.
        tokens_fingerprint, tokenizer_fingerprint: which tokens the rows are, and who cut them ("" if not told).
        source: free notes: model, hook, dictionary.
        files: file name -> {"bytes": size, "sha256": hex digest}.
        versions: library versions that wrote the store.
    """

    d_sae: int
    n_tokens: int
    nnz: int
    kind: str
    dtype: str
    signed: bool
    tokens_fingerprint: str
    tokenizer_fingerprint: str
    source: dict[str, Any]
    files: dict[str, dict[str, Any]]
    versions: dict[str, str]
    format_version: int = FORMAT_VERSION

    def checksum(self) -> str:
        """SHA-256 over the checksums of all data files: equal stores, equal checksum, whoever wrote them."""
        lines = [f"{name} {entry['sha256']}\n" for name, entry in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write manifest.json into `folder`."""
        write_json(folder / MANIFEST_FILE, asdict(self))


def store_bytes(n_tokens: int, *, d_sae: int, nnz: int = 0, kind: str = "feature_acts", dtype: str = "float16") -> int:
    """Bytes of the data files of a store: what the format says, exactly.

    Args:
        nnz: stored values, n_tokens x L0; of feature_acts only.
    """
    value = {"float16": 2, "float32": 4}[dtype]
    if kind == "hidden_pre":
        values = n_tokens * d_sae * value
    else:
        values = 8 * (n_tokens + 1) + nnz * (4 + value)  # indptr, indices, data
    headers = _NPY_HEADER_BYTES * len(expected_files(kind))
    return values + 4 * len(ROW_FILES) * n_tokens + 8 * len(FEATURE_FILES) * d_sae + headers


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers a store depends on."""
    versions = {"python": platform.python_version()}
    for name in ("numpy", "torch", "sae-lens", "transformer-lens"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every .npy file of a folder."""
    return {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in sorted(folder.glob("*.npy"))
    }


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a store.

    Raises:
        ValueError: there is no store, the manifest is unreadable, or a newer version of this suite wrote it.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise ValueError(f"expected an activation store in {folder}, found no {MANIFEST_FILE}; {REMEDY}")
    try:
        content = read_json(path)
        found = content["format_version"]
        if isinstance(found, int) and found > FORMAT_VERSION:
            raise ValueError(
                f"{path} has store format {found}, this version reads up to {FORMAT_VERSION}; "
                f"update feature-geometry or {REMEDY}"
            )
        return Manifest(**content)
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a store manifest ({error}); {REMEDY}") from error
    except ValueError as error:
        if "store format" in str(error):
            raise
        raise ValueError(f"{path} is damaged ({error}); {REMEDY}") from error


def check_files(folder: Path, manifest: Manifest, *, verify: bool) -> None:
    """Check that every file is there with its recorded size and, with `verify`, its recorded SHA-256.

    Raises:
        ValueError: a file is missing, truncated or altered; the message names it.
    """
    for name in sorted(expected_files(manifest.kind) - set(manifest.files)):
        raise ValueError(f"{folder / MANIFEST_FILE} does not list {name}; {REMEDY}")
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing from the activation store; {REMEDY}")
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise ValueError(f"{path} should have {entry['bytes']} bytes, has {size}: it is truncated; {REMEDY}")
        if verify and sha256_file(path) != entry["sha256"]:
            raise ValueError(f"{path} was altered since it was written (its checksum differs); {REMEDY}")


def expected_files(kind: str) -> set[str]:
    """Names of the .npy files of a store of this kind."""
    values = {DENSE_FILE} if kind == "hidden_pre" else {INDPTR_FILE, INDICES_FILE, DATA_FILE}
    return values | set(ROW_FILES.values()) | set(FEATURE_FILES.values())
