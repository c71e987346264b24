"""A Hub cache laid out like the real one: models--org--name/{blobs, refs, snapshots}, filled from folders."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path


def add_repository(hub_cache: Path, name: str, folder: Path, *, revision: str = "main") -> str:
    """Put every file of `folder` into the cache as one commit of the repository `name`.

    Args:
        hub_cache: HF_HOME/hub.
        revision: the branch or tag that points at the commit; a commit of 40 hexadecimal digits is taken as it is.
    Returns:
        The commit.
    """
    repository = hub_cache / ("models--" + name.replace("/", "--"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    is_commit = len(revision) == 40 and set(revision) <= set("0123456789abcdef")
    commit = revision if is_commit else hashlib.sha1(repr(sorted(hashes.values())).encode()).hexdigest()
    for file, digest in hashes.items():
        blob = repository / "blobs" / digest
        blob.parent.mkdir(parents=True, exist_ok=True)
        if not blob.exists():
            shutil.copyfile(file, blob)
        link = repository / "snapshots" / commit / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            up = "../" * (len(link.relative_to(repository).parts) - 1)
            link.symlink_to(f"{up}blobs/{digest}")
    if not is_commit:
        reference = repository / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)
    return commit
