"""A SLURM of one node on this machine's loopback: munge, slurmctld and slurmd in a folder, without accounting database.

Needs Debian's slurm-wlm and munge, and root, because slurmd starts jobs for other users.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")
_CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MinJobAge=36000
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class SlurmCluster:
    """A running cluster; its commands need `environment`."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)])
        return os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def call(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def jobs(self, *columns: str, states: str = "all") -> list[list[str]]:
        """A row a job, finished ones included; columns in the letters of squeue, e.g. "i" (id), "T" (state)."""
        shown = self.call(
            "squeue", "--noheader", f"--states={states}", "--format=" + "|".join(f"%{c}" for c in columns)
        )
        return [line.split("|") for line in shown.splitlines()]


def missing_for_slurm() -> str:
    """Why no cluster can be started here; "" if one can."""
    absent = [program for program in PROGRAMS if not shutil.which(program, path=_search_path())]
    if absent:
        return f"{', '.join(absent)}: not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd must be started as root"


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Start a cluster, wait until its node is idle, stop it when the block ends."""
    # A socket's path has at most 107 letters, more than pytest's folders leave.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    processes: list[subprocess.Popen[bytes]] = []
    cluster = SlurmCluster(folder)
    try:
        _write_config(folder)
        munge = [
            "munged",
            "--foreground",
            "--force",
            f"--socket={folder}/munge.socket",
            f"--key-file={folder}/munge.key",
        ]
        munge += [
            f"--log-file={folder}/munge.log",
            f"--pid-file={folder}/munge.pid",
            f"--seed-file={folder}/munge.seed",
        ]
        for command in (munge, ["slurmctld", "-D"], ["slurmd", "-D"]):
            processes.append(_start(command, cluster))
            if command is munge:
                _wait(lambda: (folder / "munge.socket").exists(), processes, folder)
        _wait(lambda: _is_idle(cluster), processes, folder)
        yield cluster
    finally:
        # No job outlives its cluster, whatever became of the test.
        subprocess.run(
            ["scancel", "--user=root"], env=cluster.environment, capture_output=True, timeout=60, check=False
        )
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _write_config(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    # The executor starts srun without any SLURM_ variable; a real cluster has its configuration in /etc.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    ports = dict(zip(("controller_port", "node_port"), _free_ports(2), strict=True))
    (folder / "slurm.conf").write_text(_CONFIG.format(folder=folder, host=host, **ports))


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _start(command: Sequence[str], cluster: SlurmCluster) -> subprocess.Popen[bytes]:
    program = shutil.which(command[0], path=_search_path())
    assert program
    with (cluster.folder / f"{command[0]}.out").open("wb") as log:
        return subprocess.Popen([program, *command[1:]], env=cluster.environment, stdout=log, stderr=log)


def _is_idle(cluster: SlurmCluster) -> bool:
    shown = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=cluster.environment, capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() == "idle"


def _wait(condition, processes: Sequence[subprocess.Popen[bytes]], folder: Path, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
            logs = [
                f"{path.name}:\n{path.read_text(errors='replace')[-2000:]}" for path in folder.glob("*.[lo][ou][gt]")
            ]
            raise AssertionError("the cluster did not start\n" + "\n".join(logs))
        time.sleep(0.3)
