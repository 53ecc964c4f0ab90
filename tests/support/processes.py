"""Finds processes of pods on this machine, which is the node, to end them as a power cut would."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.kubectl import Kubectl, Object
from support.turn import turn


def operators(namespace: str) -> list[int]:
    """Process ids of the containers of the operator that is installed in a namespace."""
    wanted = f"--lease-namespace={namespace}".encode()
    return [process for process, command, _ in _contained("modelwright-operator") if wanted in command]


def kill_operators(namespace: str) -> None:
    """Ends them with SIGKILL."""
    turn.exclusive()
    _kill("the operator's", operators(namespace))


def kill_operator(namespace: str, pod: str) -> None:
    """Ends the one in this pod with SIGKILL."""
    turn.exclusive()
    _kill("the operator's", _of_pods("modelwright-operator", [Kubectl(namespace).get("pod", pod)]))


def end_servers(kubectl: Kubectl, revision: str) -> None:
    """Ends the servers of a revision's pods with SIGKILL."""
    pods = kubectl.all("pod", f"modelwright.dev/revision={revision}")
    _kill("a server's", _of_pods("modelwright-serving", pods))


def _of_pods(program: str, pods: list[Object]) -> list[int]:
    uids = [pod["metadata"]["uid"] for pod in pods]
    found = [process for process, _, groups in _contained(program) if any(uid in groups for uid in uids)]
    assert found, f"{program} does not run in {[pod['metadata']['name'] for pod in pods]}"
    return found


def _kill(whose: str, processes: list[int]) -> None:
    if os.geteuid() != 0:
        pytest.skip(f"only root can end {whose} processes")
    for process in processes:
        os.kill(process, signal.SIGKILL)


def _contained(program: str) -> Iterator[tuple[int, list[bytes], str]]:
    """Processes in pods that run a program: their ids, command lines and control groups."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue
        if "kubepods" in groups and any(part.endswith(program.encode()) for part in command[:3]):
            yield int(folder.name), command, groups
