"""Runs a server in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60


def free_port(host: str = "127.0.0.1") -> int:
    """A port that the kernel chooses."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """A server that can be killed and started again, at the same address. What it says is in `log`."""

    command: list[str]
    host: str
    port: int
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it accepts connections."""
        with self.log.open("ab") as said:
            environment = {"PATH": "/usr/bin:/bin", **self.environment}
            self._process = subprocess.Popen(self.command, stdout=said, stderr=said, env=environment)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            late = time.monotonic() > deadline
            if late or self._process.poll() is not None:
                self.kill()
                raise AssertionError(f"{self.command[0]} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, with all of its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
            return True
        return False


@contextmanager
def started(program: Program) -> Iterator[Program]:
    """The program, running, and ended afterwards."""
    program.start()
    try:
        yield program
    finally:
        program.kill()
