import pytest

from helpers import code_fingerprint as module
from helpers.code_fingerprint import code_fingerprint


def test_code_and_versions_count(tmp_path, monkeypatch):
    package = tmp_path / "helpers"
    (package / "saes").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "code_fingerprint.py"))
    (package / "saes" / "train.py").write_text("a = 1")
    (package / "other.py").write_text("b = 1")
    found = {code_fingerprint("saes/*.py")}
    (package / "other.py").write_text("b = 2")
    assert {code_fingerprint("saes/*.py")} == found
    (package / "saes" / "train.py").write_text("a = 2")
    found.add(code_fingerprint("saes/*.py"))
    (package / "saes" / "train.py").rename(package / "saes" / "trains.py")
    found.add(code_fingerprint("saes/*.py"))
    monkeypatch.setattr(module, "version", lambda _name: "0")
    found.add(code_fingerprint("saes/*.py"))
    assert len(found) == 4


def test_a_pattern_without_a_file_is_a_mistake():
    with pytest.raises(ValueError, match="fits 'sae/\\*.py'"):
        code_fingerprint("sae/*.py")
