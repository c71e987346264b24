"""Progress of a notebook, as lines in another process's terminal."""

from __future__ import annotations

import time

import pytest

from helpers.progress import PROGRESS_FILE_VARIABLE, progress_bar
from helpers.workflow.progress_lines import followed, latest_state


def test_what_tqdm_writes_is_understood(tmp_path, monkeypatch):
    path = tmp_path / "progress.log"
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(path))
    with progress_bar(total=1_700_000, description="Training SAE", unit="tokens") as bar:
        bar.update(765_000)
        bar.set_postfix(fvu=0.25)
        bar.refresh()
        state = latest_state(path.read_text())
    assert state is not None
    assert (state.what, state.percent) == ("Training SAE", 45)
    assert state.line().startswith("Training SAE:  45 %")


def test_the_last_bar_wins_and_half_a_bar_is_passed_over():
    text = (
        "\rTokenizing: 100%|####| 5.00k/5.00k [00:01<00:00, 5.0k tokens/s]\n"
        "\rTraining:  12%|#   | 12/100 [00:03<00:22, 4.0 steps/s]\rTraining:  13%|#"
    )
    state = latest_state(text)
    assert state is not None
    assert state.line() == "Training:  12 %, 00:22 left, 4.0 steps/s"


@pytest.mark.parametrize("text", ["", "no bar here", "12% of all"])
def test_no_bar(text):
    assert latest_state(text) is None


def test_an_unknown_remaining_time_is_left_out():
    state = latest_state("\rReading:   0%|    | 0/100 [00:00<?, ? tokens/s]")
    assert state is not None
    assert state.line() == "Reading:   0 %"


def test_lines_are_throttled_and_never_repeated(tmp_path):
    path, lines = tmp_path / "progress.log", []
    with followed(path, show=lines.append, every=0.2):
        for percent in range(0, 100, 2):
            with path.open("a") as file:
                file.write(f"\rWork: {percent:3d}%|##  | {percent}/100 [00:01<00:02, 9.0 steps/s]")
            time.sleep(0.02)
        time.sleep(0.5)  # nothing new: nothing is shown
    assert 2 <= len(lines) <= 8  # about a second of work, five lines a second at most, some slack for a busy machine
    assert len(set(lines)) == len(lines)


def test_an_earlier_runs_progress_is_forgotten(tmp_path):
    path, lines = tmp_path / "progress.log", []
    path.write_text("\rWork:  50%|##  | 50/100 [00:01<00:02, 9.0 steps/s]")
    with followed(path, show=lines.append, every=0.05):
        time.sleep(0.2)
    assert lines == []
