"""Puts the parts together and runs them until the process ends: watches, election, workers, health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes.aio.client import Configuration

from modelwright.engine.backoff import Forever
from modelwright.engine.client import Client
from modelwright.engine.collector import spare
from modelwright.engine.connection import configure
from modelwright.engine.election import Election
from modelwright.engine.events import EventRecorder
from modelwright.engine.executor import Executor
from modelwright.engine.health import HealthServer
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import Kind
from modelwright.engine.lease import LEASES
from modelwright.engine.metrics import Gauges, Metrics
from modelwright.engine.objects import Key
from modelwright.engine.queue import QueueClosed, WorkQueue
from modelwright.engine.reconciler import Reconciler
from modelwright.engine.watching import Around, Watcher

logger = logging.getLogger(__name__)

DRAIN = 10.0
# No single reconcile takes so many seconds.
STUCK = 120.0
LOST_PAUSE = 0.2
LAST_SECONDS = 5.0
_ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Surroundings:
    """What a companion works with: the cache, the API server, whether this process leads, and metrics."""

    intake: Intake
    client: Client
    leads: Callable[[], bool]
    metrics: Metrics


# Something that goes on beside the work, for as long as the process runs, such as filling the cache with what no watch
# tells. One that ends is started again; the process never ends for it.
Companion = Callable[[Surroundings], Coroutine[Any, Any, None]]


def identity() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class ProcessSettings:
    """How one operator process runs."""

    lease_namespace: str
    lease_name: str = "modelwright-operator"
    identity: str = field(default_factory=identity)
    namespaces: tuple[str, ...] = ()  # watch these only
    workers: int = 8
    health_host: str = "0.0.0.0"  # noqa: S104 - the kubelet asks from outside the pod
    health_port: int = 8080
    kubeconfig: Path | None = None


class Operator:
    """One operator process."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        settings: ProcessSettings,
        configuration: Configuration,
        companions: Sequence[Companion] = (),
        gauges: Sequence[Gauges] = (),
    ) -> None:
        planners = {kind.resource: kind.planner for kind in kinds if kind.planner is not None}
        self._settings = settings
        self.metrics = Metrics(resource.kind for resource in planners)
        self._client = Client(configuration, self.metrics.requested)
        self._queue: WorkQueue[Key] = WorkQueue()
        self.intake = Intake(kinds, self._queue.add, settings.namespaces)
        lease = Key(LEASES, settings.lease_namespace, settings.lease_name)
        self.election = Election(
            lease, settings.identity, lambda: Client(configuration, self.metrics.requested)
        )
        recorder = EventRecorder(self._client, settings.identity)
        executor = Executor(
            self._client,
            self.intake,
            recorder,
            self.election.may_write,
            operator=f"{settings.lease_namespace}/{settings.lease_name}",
            count=self.metrics.counted,
        )
        self._reconciler = Reconciler(planners, self.intake, executor, recorder, self._queue)
        around = Around(self.intake, self._client, configuration, self.metrics.watched)
        self.watcher = Watcher(kinds, around, settings.namespaces)
        self.health = HealthServer(self._livez, self._readyz, self.metrics.text)
        self.metrics.watch(
            # While another process leads keys only gather: what counts begins with our own lead.
            depth=lambda: len(self._queue) if self.election.may_write() else 0,
            oldest=lambda: min(self._queue.oldest_age(), self.election.leading_for()),
            leader=lambda: float(self.election.may_write()),
        )
        self.metrics.show(gauges, self.intake)
        self._companions = companions
        self._watching = False
        # The key that each worker has, and since when.
        self._busy: dict[asyncio.Task[None] | None, tuple[Key, float]] = {}

    async def run(self, stop: asyncio.Event, started: Callable[[], None] = lambda: None) -> None:
        """Runs until `stop` is set; raises when a part of it breaks, for then the process must end."""
        await self.health.start(self._settings.health_host, self._settings.health_port)
        workers = [
            asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._settings.workers)
        ]
        electing = asyncio.create_task(self.election.run(), name="election")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        watching = asyncio.create_task(self._watch(started), name="watches")
        around = Surroundings(self.intake, self._client, self.election.may_write, self.metrics)
        beside = [
            asyncio.create_task(self._beside(companion, around), name="companion")
            for companion in self._companions
        ]
        try:
            await asyncio.wait({stopping, electing, watching, *workers}, return_when=asyncio.FIRST_COMPLETED)
            logger.info("stopping" if stop.is_set() else "a part of the operator broke: stopping")
        finally:
            await _cancel(beside)
            await self._shut_down(workers, electing, watching)
            await _cancel([stopping])
        for task in (watching, electing, *workers):
            _raise_failure(task)

    async def _shut_down(
        self,
        workers: list[asyncio.Task[None]],
        electing: asyncio.Task[None],
        watching: asyncio.Task[None],
    ) -> None:
        """First what writes, then the Lease, so that another process goes on at once; then the rest."""
        self._queue.close()
        await _cancel(worker for worker in workers if worker not in self._busy)
        await asyncio.wait(workers, timeout=DRAIN)
        await _cancel(workers)
        await self.election.release()
        await _cancel([electing])
        await self.health.stop()
        await _cancel([watching])
        await self._client.close()

    async def _watch(self, started: Callable[[], None]) -> None:
        self._watching = True
        try:
            await self.watcher.run(started)
        finally:
            self._watching = False

    async def _beside(self, companion: Companion, around: Surroundings) -> None:
        """Runs a companion. Like a worker, it starts when all kinds are listed: else what an earlier process kept would
        count as missing."""
        await self.watcher.wait_filled()
        await _accompany(companion, around)

    async def _work(self) -> None:
        """One worker. It starts when all kinds are listed: what is not listed yet would count as missing."""
        await self.watcher.wait_filled()
        me = asyncio.current_task()
        with contextlib.suppress(QueueClosed):
            while True:
                await self.election.wait_leading()
                key = await self._queue.get()
                self._busy[me] = key, self._queue.now()
                try:
                    await self._reconcile(key)
                finally:
                    self._busy.pop(me, None)
                    self._queue.done(key)
                # A reconcile that sends nothing never waits: ten thousand at a start would block the loop for seconds.
                await asyncio.sleep(0)

    async def _reconcile(self, key: Key) -> None:
        if not self.election.may_write():  # the election has not ended the wait yet
            self._queue.add(key)
            await asyncio.sleep(LOST_PAUSE)
            return
        # What is not listed yet, or cannot be any more, would count as missing. All of the namespace comes again.
        if not self.watcher.sees(key.namespace):
            return
        began = time.perf_counter()
        outcome = await self._reconciler.handle(key)
        self.metrics.reconciled(key.resource.kind, type(outcome).__name__, time.perf_counter() - began)

    def _livez(self) -> str:
        """What a restart mends. That this is answered shows that the event loop turns. A long queue is work, not a
        defect: it is a metric."""
        if not self._watching:
            return "the watches are not running"
        for key, began in self._busy.values():
            age = self._queue.now() - began
            if age > STUCK:
                return f"{key} has been reconciled for {age:.0f} seconds"
        return ""

    def _readyz(self) -> str:
        unfilled = self.watcher.unfilled
        return f"not listed yet: {', '.join(unfilled)}" if unfilled else ""


async def run(
    kinds: Sequence[Kind],
    settings: ProcessSettings,
    companions: Sequence[Companion] = (),
    gauges: Sequence[Gauges] = (),
) -> None:
    """Runs an operator until the process is asked to end (SIGTERM, SIGINT)."""
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # it logs a line for every event
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for signum in _ENDING:
            loop.add_signal_handler(signum, stop.set)
        # Whatever started this process may have blocked them, and a program inherits that.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    listen()
    operator = Operator(kinds, settings, await configure(settings.kubeconfig), companions, gauges)
    sparing = asyncio.create_task(spare(operator.watcher.wait_filled), name="collector")
    try:
        await operator.run(stop, started=listen)
    finally:
        await _cancel([sparing])
        _end_in_any_case()


async def _accompany(companion: Companion, around: Surroundings) -> None:
    """Runs a companion until cancelled, again with growing pauses whenever it ends."""
    for delay in Forever():
        try:
            await companion(around)
        except Exception:
            logger.exception("what runs beside the work broke; it starts again in %.1f s", delay)
        else:
            logger.warning("what runs beside the work ended; it starts again in %.1f s", delay)
        await asyncio.sleep(delay)


def _end_in_any_case() -> None:
    """Ends the process some seconds from now, should it still be there: the event loop waits for every task, and
    a task of a library that cannot be cancelled would leave a process that is alive and does nothing."""
    timer = threading.Timer(LAST_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _raise_failure(task: asyncio.Task[None]) -> None:
    if task.done() and not task.cancelled():
        task.result()
