"""The cluster's programs are found from the moment that they were started, and the dead are named."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import processes
from cluster.processes import Daemon
from cluster.shell import StepError

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program, taken for one of the cluster's, that follows a file until it is ended."""
    program = tmp_path / "follower"
    shutil.copy(shutil.which("tail") or "", program)
    monkeypatch.setattr(processes, "STATE", tmp_path)
    monkeypatch.setattr(processes, "LOGS", tmp_path / "log")
    monkeypatch.setattr(processes, "PROGRAMS", frozenset({"follower"}))
    yield program
    for pid, _ in processes._ours():
        os.kill(pid, signal.SIGKILL)


def test_a_program_is_found_as_soon_as_it_was_started(
    follower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    daemon = Daemon((str(follower), "-f", str(tmp_path / "nothing"), "/dev/null"))
    for _ in range(150):
        processes.start(daemon)
        assert Path(f"/proc/{started[-1].pid}/cmdline").read_bytes(), "exec had not ended when start returned"
        started[-1].kill()
        started[-1].wait()


def test_of_a_program_that_ended_the_end_of_its_log_is_shown(follower: Path, tmp_path: Path) -> None:
    daemon = Daemon((str(follower), "--no-such-option", str(tmp_path)))
    processes.start(daemon)
    with pytest.raises(StepError, match=r"follower has ended; read .*follower\.log"):
        processes.require_running([daemon])
