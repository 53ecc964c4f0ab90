"""The operator as a process of its own: starts and ends it, and reads what it uses and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from bench import proc
from bench.contenders import free_ports
from bench.generator import BenchError
from bench.scale.place import LOGS, Place
from cluster.paths import REPOSITORY

LEASE_NAMESPACE = "modelwright-system"
START_SECONDS = 120
NANOSECONDS = 1e9


class Operator:
    """One operator process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, http: aiohttp.ClientSession) -> None:
        self.port = port
        self.pid = process.pid
        self._process = process
        self._http = http

    @property
    def cpu(self) -> float:
        """CPU seconds so far."""
        return thread_seconds(self.pid)

    @property
    def resident(self) -> float:
        """Resident memory in MiB."""
        return proc.resident_mib(self.pid)

    @property
    def highest(self) -> float:
        """The highest resident memory that it has had, in MiB."""
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        if found is None:
            raise BenchError("the kernel does not tell the highest memory of a process")
        return int(found[1]) / proc.MIB

    async def metric(self, name: str) -> float:
        """A metric, summed over its labels; `name` may contain some of them as a regular expression."""
        async with self._http.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return metric(await answer.text(), name)

    async def wait_ready(self, *, leading: bool = True) -> None:
        """Until it has listed everything and leads."""
        deadline = time.monotonic() + START_SECONDS
        while not await self._is_ready(leading):
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise BenchError(f"the operator does not get ready: read {LOGS}/operator.log")
            await asyncio.sleep(0.05)

    async def _is_ready(self, leading: bool) -> bool:
        try:
            async with self._http.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                ready = answer.status == 200
            return ready and (not leading or await self.metric("modelwright_leader") == 1)
        except aiohttp.ClientError:
            return False

    async def is_idle(self) -> bool:
        """Whether nothing waits to be reconciled."""
        return await self.metric("modelwright_queue_depth") == 0

    def require_running(self) -> None:
        """Complains if it has ended."""
        if self._process.returncode is not None:
            raise BenchError(f"the operator has ended: read {LOGS}/operator.log")

    async def stop(self) -> None:
        """Ends it as the kubelet does."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 40)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def operating(place: Place) -> AsyncIterator[Operator]:
    """An operator at work, until the end of the block. What it logs is added to one file."""
    (port,) = free_ports(1)
    with (LOGS / "operator.log").open("a") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelwright.main", f"--lease-namespace={LEASE_NAMESPACE}"),
            *("--serving-image=serving:1", "--training-image=training:1", f"--health-port={port}"),
            cwd=REPOSITORY,
            env={**os.environ, "KUBECONFIG": str(place.operator)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        operator = Operator(process, port, http)
        try:
            yield operator
        finally:
            await operator.stop()


def metric(exposition: str, name: str) -> float:
    """A metric of an exposition, summed over its labels; `name` may contain some of them as a regular expression."""
    values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", exposition, re.MULTILINE)
    return sum(map(float, values))


def thread_seconds(pid: int) -> float:
    """CPU seconds of a process, of all its threads that run; to the nanosecond, unlike /proc/PID/stat."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / NANOSECONDS
