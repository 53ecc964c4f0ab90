"""How long the operator's event loop does nothing else: asks for /livez all the time."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.scale.process import NANOSECONDS

EVERY = 0.01


@dataclass
class Blocks:
    """What the probes have seen. Seconds.

    `longest`: the longest wait for an answer. `longest_busy`: the most CPU time of the event loop's thread within one
    wait, which does not grow if other processes have the cores.
    """

    probes: int = 0
    longest: float = 0.0
    longest_busy: float = 0.0
    failed: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def add(self, waited: float, busy: float, *, answered: bool) -> None:
        """Notes one probe."""
        self.probes += 1
        self.longest = max(self.longest, waited)
        self.longest_busy = max(self.longest_busy, busy)
        self.failed += not answered


@contextmanager
def probing(pid: int, port: int) -> Iterator[Blocks]:
    """Asks every 10 ms while the block runs; one question at a time."""
    blocks = Blocks()
    thread = threading.Thread(target=_probe, args=(pid, port, blocks), daemon=True)
    thread.start()
    try:
        yield blocks
    finally:
        blocks.over.set()
        thread.join(60)


def _probe(pid: int, port: int, blocks: Blocks) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while not blocks.over.is_set():
        began, busy = time.perf_counter(), _loop_seconds(pid)
        try:
            connection.request("GET", "/livez")
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):  # it does not listen yet, or has ended
            connection.close()
            time.sleep(EVERY)
            continue
        waited = time.perf_counter() - began
        blocks.add(waited, _loop_seconds(pid) - busy, answered=answer.status == 200)
        time.sleep(max(0.0, EVERY - waited))
    connection.close()


def _loop_seconds(pid: int) -> float:
    """CPU seconds of the process's first thread, which is the event loop's."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / NANOSECONDS
    except OSError:
        return 0.0
