"""Progress goes to the file that the run names, else to stderr."""

from __future__ import annotations

from helpers.progress import PROGRESS_FILE_VARIABLE, progress_bar, shown_when_long


def test_in_a_batch_run_the_bar_goes_to_the_file_and_nowhere_else(tmp_path, monkeypatch, capfd):
    path = tmp_path / "progress.log"
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(path))
    with progress_bar(total=10, description="Tokenizing", unit="tokens") as bar:
        bar.update(10)
    assert "Tokenizing: 100%" in path.read_text()
    assert capfd.readouterr() == ("", "")


def test_bars_one_after_the_other_are_all_kept(tmp_path, monkeypatch):
    path = tmp_path / "progress.log"
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(path))
    for name in ("First", "Second"):
        with progress_bar(total=1, description=name, unit="steps") as bar:
            bar.update(1)
    assert "First: 100%" in path.read_text() and "Second: 100%" in path.read_text()


def test_interactively_the_bar_goes_to_stderr(monkeypatch, capsys):
    monkeypatch.delenv(PROGRESS_FILE_VARIABLE, raising=False)
    with progress_bar(total=2, description="Matching", unit="blocks") as bar:
        bar.update(2)
    captured = capsys.readouterr()
    assert "Matching: 100%" in captured.err
    assert captured.out == ""


def test_a_resumed_bar_starts_where_it_stopped(tmp_path, monkeypatch):
    path = tmp_path / "progress.log"
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(path))
    with progress_bar(total=100, description="Training", unit="steps", initial=40) as bar:
        bar.refresh()
    assert "40%" in path.read_text() and "40.0/100" in path.read_text()


def test_long_steps_show_their_progress_and_quick_ones_are_silent(capfd):
    values = list(shown_when_long(iter(range(5)), total=5, description="rsa null", unit="permutations"))
    assert values == [0, 1, 2, 3, 4] and capfd.readouterr().err == ""
    list(shown_when_long(iter(range(5)), total=5, description="rsa null", unit="permutations", patience=-1))
    shown = capfd.readouterr().err
    assert "rsa null" in shown and "5.00/5.00" in shown
