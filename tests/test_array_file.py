"""Result files: what is written is read, and whatever is wrong says so with what to do."""

import numpy as np
import pytest

from helpers.array_file import ArrayFile

FILE = ArrayFile("numbers", remedy="count again")


def test_what_is_written_is_read(tmp_path):
    FILE.write(tmp_path / "deep" / "n.npz", numbers=np.arange(3), name=np.array("x"))
    with FILE.read(tmp_path / "deep" / "n.npz") as content:
        assert content["numbers"].tolist() == [0, 1, 2] and str(content["name"]) == "x"


def test_a_missing_file_says_what_to_do(tmp_path):
    with (
        pytest.raises(ValueError, match="expected numbers in .*n.npz, found no such file; count again"),
        FILE.read(tmp_path / "n.npz"),
    ):
        pass


def test_newer_formats_are_refused(tmp_path):
    ArrayFile("numbers", remedy="", version=2).write(tmp_path / "n.npz", numbers=np.arange(3))
    with pytest.raises(ValueError, match="format 2 is newer than 1.*count again"), FILE.read(tmp_path / "n.npz"):
        pass


def test_a_file_of_something_else_is_refused(tmp_path):
    ArrayFile("letters", remedy="").write(tmp_path / "n.npz", numbers=np.arange(3))
    refused = pytest.raises(ValueError, match="cannot be read as numbers .it holds letters.; count again")
    with refused, FILE.read(tmp_path / "n.npz"):
        pass


@pytest.mark.parametrize("content", [b"", b"PK no archive", b"\x93NUMPY"])
def test_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "n.npz").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as numbers .*; count again"), FILE.read(tmp_path / "n.npz"):
        pass


def test_pickles_are_not_loaded(tmp_path):
    np.savez(
        tmp_path / "n.npz", holds=np.array("numbers"), format_version=np.int64(1), numbers=np.array([{}], dtype=object)
    )
    with pytest.raises(ValueError, match="cannot be read as numbers.*pickle"), FILE.read(tmp_path / "n.npz") as content:
        content["numbers"]


def test_content_that_its_reader_refuses_is_the_files_fault(tmp_path):
    FILE.write(tmp_path / "n.npz", numbers=np.arange(3))
    with (
        pytest.raises(ValueError, match="cannot be read as numbers .*letters"),
        FILE.read(tmp_path / "n.npz") as content,
    ):
        content["letters"]
    with (
        pytest.raises(ValueError, match="cannot be read as numbers .*too few.*; count again"),
        FILE.read(tmp_path / "n.npz"),
    ):
        raise ValueError("too few")
