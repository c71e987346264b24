"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import storage
from helpers.storage import atomic_file, atomic_folder, read_json, replace_folder, sha256_file, write_json

ROOT = Path(__file__).resolve().parent.parent


class Failure(Exception):
    """What goes wrong in the middle of writing."""


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with atomic_file(path) as partial:
        partial.write_bytes(b"half")
        assert not path.exists()
        partial.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_rewrite_leaves_the_earlier_file_and_no_rest(tmp_path):
    path = tmp_path / "file"
    path.write_text("earlier")
    with pytest.raises(Failure), atomic_file(path) as partial:
        partial.write_text("half")
        raise Failure
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_whole_and_replaces_the_earlier_one(tmp_path):
    path = tmp_path / "folder"
    for content in ("one", "two"):
        with atomic_folder(path) as partial:
            (partial / content).write_text(content)
        assert [file.name for file in path.iterdir()] == [content], "nothing of the earlier folder is mixed in"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_earlier_one(tmp_path):
    path = tmp_path / "folder"
    with atomic_folder(path) as partial:
        (partial / "good").touch()
    with pytest.raises(Failure), atomic_folder(path) as partial:
        (partial / "half").touch()
        raise Failure
    assert [file.name for file in path.iterdir()] == ["good"]
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_a_folder_that_is_not_there_yet(tmp_path):
    (tmp_path / "source").mkdir()
    replace_folder(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_killed_writer_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    code = (
        "import os, signal, sys\nfrom helpers.storage import atomic_file\n"
        "with atomic_file(sys.argv[1]) as partial:\n    partial.write_text('{')\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode < 0
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"deep": [value]})
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_text_and_numbers_exactly(tmp_path):
    value = {"text": "Müller – 0.1", "number": 0.1, "list": [1, None, True], "tiny": 5e-324}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "Müller" in (tmp_path / "x.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("n_bytes", [0, 1, 9, 10, 11, 1000])
def test_the_hash_does_not_depend_on_the_chunks(tmp_path, n_bytes):
    content = os.urandom(n_bytes)
    (tmp_path / "x").write_bytes(content)
    assert sha256_file(tmp_path / "x", chunk_bytes=10) == hashlib.sha256(content).hexdigest()


def test_a_folder_is_removed_whole_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")

    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        storage.remove_folder(folder)
    assert not folder.exists()  # whoever comes now does not find half of it
    monkeypatch.undo()
    storage.remove_folder(folder)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_cleared_and_what_they_replaced_comes_back(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".pairs.npz.partial-123").write_text("half")
    for name in (".model.partial-77", ".model.old-77", ".store.old-5", "store", ".sae.partial", ".hidden-9"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    storage.clear_leftovers(tmp_path)
    # the store was already replaced, the model was not yet; a store that can be continued (.sae.partial) stays
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "model", "store", ".sae.partial", ".hidden-9"}
    assert (tmp_path / "model" / "file").read_text() == ".model.old-77"
    assert (tmp_path / "store" / "file").read_text() == "store"
    assert list((tmp_path / "deep").iterdir()) == []


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
def test_a_library_that_stumbles_on_a_full_disk_is_translated(tmp_path, monkeypatch, atomic):
    def free(n_bytes):
        monkeypatch.setattr(storage.shutil, "disk_usage", lambda _path: SimpleNamespace(free=n_bytes))

    free(0)
    with pytest.raises(OSError, match="No space left on device") as caught, atomic(tmp_path / "weights"):
        raise RuntimeError("unexpected pos 651200 vs 651152")
    assert caught.value.errno == errno.ENOSPC
    free(1 << 30)
    with pytest.raises(RuntimeError, match="unexpected pos"), atomic(tmp_path / "weights"):
        raise RuntimeError("unexpected pos 651200 vs 651152")
    assert list(tmp_path.iterdir()) == []
