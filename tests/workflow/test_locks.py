"""Locks die with their holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from helpers.workflow.locks import acquire, exclusive
from helpers.workflow.stages import PROJECT_ROOT

HOLD = (
    "import sys, time, pathlib\nfrom helpers.workflow.locks import exclusive\n"
    "with exclusive(pathlib.Path(sys.argv[1]), busy='busy'):\n    print('held', flush=True)\n    time.sleep(60)"
)


def test_a_second_holder_is_refused_and_a_killed_one_leaves_nothing(tmp_path):
    path = tmp_path / "new" / ".lock"
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(
                ValueError, match=rf"the study is being run \(process {holder.pid}\); wait for it or stop it"
            ),
            exclusive(path, busy="the study is being run"),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    with exclusive(path, busy="the study is being run"):
        assert path.read_text() == str(os.getpid())
    with exclusive(path, busy="free again after the block"):
        pass


def test_a_kernel_that_outlives_its_run_is_waited_for(tmp_path):
    path = tmp_path / ".lock"
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", HOLD.replace("time.sleep(60)", "time.sleep(1)"), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        descriptor = acquire(path, busy="busy", patience=30.0)
    assert path.read_text() == str(os.getpid())
    with pytest.raises(ValueError, match=r"busy \(process \d+\)"):
        acquire(path, busy="busy")
    os.close(descriptor)
    os.close(acquire(path, busy="busy"))
