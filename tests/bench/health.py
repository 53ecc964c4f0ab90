"""Probes a server's health as the kubelet does, each time over a new connection, while a load runs."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

from bench.arithmetic import percentile
from bench.checks import check_outcome
from bench.generator import BenchError, Outcome
from bench.loads import Generator
from bench.results import OURS, Health

PROBE = b"GET /v2/health/live HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
PAUSE_SECONDS = 0.005
PATIENCE_SECONDS = 10.0


def probe_under_load(port: int, generator: Generator, seconds: int) -> Health:
    """The times of the probes that were sent while the load ran."""
    done: SimpleQueue[Outcome] = SimpleQueue()
    load = threading.Thread(target=lambda: done.put(generator.run(seconds)))
    load.start()
    # Of this thread alone: its wait for the core that it shares with the generator is not the server's.
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        taken = _probes(port, seconds)
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
        load.join()
    check_outcome(OURS, done.get(timeout=1))
    milliseconds = [one * 1000 for one in taken]
    return Health(
        probes=len(taken),
        p50_ms=percentile(milliseconds, 0.5),
        p99_ms=percentile(milliseconds, 0.99),
        highest_ms=max(milliseconds),
    )


def _probes(port: int, seconds: float) -> list[float]:
    # The load's connections need a moment at either end.
    time.sleep(0.3)
    until = time.perf_counter() + seconds - 0.6
    taken = []
    while time.perf_counter() < until:
        taken.append(probe(port))
        time.sleep(PAUSE_SECONDS)
    return taken


def probe(port: int) -> float:
    """Seconds from the attempt to connect to the end of a good answer."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(PROBE)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    taken = time.perf_counter() - began
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"a health probe under load got {answer[:200]!r}")
    return taken
