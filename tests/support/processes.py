"""Finds the operator's processes on this machine, which is the node, to end them as a power cut would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


def operators(namespace: str) -> list[int]:
    """Process ids of the containers of the operator that is installed in a namespace."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue
        runs = any(part.endswith(b"modelwright-operator") for part in command[:3])
        if runs and f"--lease-namespace={namespace}".encode() in command and "kubepods" in groups:
            found.append(int(folder.name))
    return found


def kill_operators(namespace: str) -> None:
    """Ends them with SIGKILL."""
    if os.geteuid() != 0:
        pytest.skip("only root can end the operator's processes")
    for process in operators(namespace):
        os.kill(process, signal.SIGKILL)
