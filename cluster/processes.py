"""Starts the cluster's programs so that they outlive the shell, finds them again and ends them.

A process is ours when its program is one of the cluster's and its arguments name the state
folder: no pid files, so nothing to go stale.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import LOGS, STATE
from cluster.shell import StepError

CONTAINER_CGROUP = "kubepods"
CGROUPS = Path("/sys/fs/cgroup")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
PROGRAMS = frozenset(
    {
        "containerd",
        "containerd-shim-runc-v2",
        "coredns",
        "etcd",
        "hostpath-provisioner",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-router-firewall",
        "kube-scheduler",
        "kubelet",
        "traefik",
    }
)


@dataclass(frozen=True)
class Daemon:
    """One program that runs as long as the cluster does."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The program's name, which is also its log's."""
        return Path(self.command[0]).name

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return LOGS / f"{self.name}.log"


def start(daemon: Daemon) -> None:
    """Start it in a session of its own, without a terminal or inherited files, until it can be found."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with daemon.log.open("ab") as log:
        process = subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={**ENVIRONMENT, **dict(daemon.environment)},
        )
    # Popen returns while the kernel is still in exec: for a moment /proc shows no arguments, and who
    # looks then would say that the program has ended.
    while process.poll() is None and process.pid not in dict(_ours()):
        time.sleep(0.01)


def require_running(daemons: list[Daemon]) -> None:
    """Complain with the end of its log about the first daemon that has ended."""
    alive = running()
    for daemon in daemons:
        if daemon.name not in alive:
            said = "\n".join(daemon.log.read_text(errors="replace").splitlines()[-8:])
            raise StepError(f"{daemon.name} has ended; read {daemon.log}, which closes with:\n{said}")


def running() -> set[str]:
    """Return the names of the cluster's programs that run."""
    return {name for _, name in _ours()}


def end(name: str) -> None:
    """End a program of the cluster, if it runs."""
    deadline = time.monotonic() + 20
    while pids := [pid for pid, known in _ours() if known == name]:
        if time.monotonic() > deadline:
            raise StepError(f"the processes {pids} do not end; look at them with `ps -fp PID`")
        for pid in pids:
            _kill(pid)
        time.sleep(0.1)


def end_all() -> None:
    """End every process of the cluster: first who would restart containers, then the containers."""
    deadline = time.monotonic() + 20
    while pids := [pid for pid, _ in _ours()] + _in_containers():
        if time.monotonic() > deadline:
            raise StepError(f"the processes {pids} do not end; look at them with `ps -fp PID`")
        for pid in pids:
            _kill(pid)
        time.sleep(0.1)


def remove_cgroups() -> None:
    """Remove the emptied control groups of the containers, innermost first."""
    for top in _container_cgroups():
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            _remove(folder)
        _remove(top)


def _remove(folder: Path) -> None:
    for _ in range(50):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # the kernel still counts a process that has just ended
            time.sleep(0.02)
        else:
            return


def _ours() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = Path(words[0]).name
        if name in PROGRAMS and any(str(STATE) in word for word in words[1:]):
            yield int(entry.name), name


def _container_cgroups() -> list[Path]:
    """Return the top folder of the pods in every hierarchy, of version 1 and 2."""
    candidates = [CGROUPS / CONTAINER_CGROUP, *CGROUPS.glob(f"*/{CONTAINER_CGROUP}")]
    return [path for path in candidates if path.is_dir()]


def _in_containers() -> list[int]:
    found: set[int] = set()
    for top in _container_cgroups():
        for members in top.rglob("cgroup.procs"):
            try:
                found.update(int(pid) for pid in members.read_text().split())
            except OSError:  # the group has just gone
                continue
    return sorted(found - {0})


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
