"""Finds the operator's processes on this machine, which is the node, to end them as a power cut would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


def operators() -> list[int]:
    """Process ids of the operator's containers."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            groups = (folder / "cgroup").read_text()
        except OSError:
            continue
        if any(part.endswith(b"modelwright-operator") for part in command[:3]) and "kubepods" in groups:
            found.append(int(folder.name))
    return found


def kill_operators() -> None:
    """Ends all of them with SIGKILL."""
    if os.geteuid() != 0:
        pytest.skip("only root can end the operator's processes")
    for process in operators():
        os.kill(process, signal.SIGKILL)
