"""An operator process over the cluster of a test: the real engine and planners, watches that a test may hold up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any, TypeVar

from fakes.api import WatchEvent
from unit.given.world import SETTINGS
from unit.statemachine.cluster import Cluster

from modelwright.common.facts import POD_COUNTS
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.common.settings import Settings
from modelwright.engine.errors import ApiError
from modelwright.engine.events import EventRecorder
from modelwright.engine.executor import Executor
from modelwright.engine.intake import Intake
from modelwright.engine.kinds import OURS, Kind
from modelwright.engine.objects import Key, labels
from modelwright.engine.outcome import Failed
from modelwright.engine.queue import WorkQueue
from modelwright.engine.reconciler import Reconciler
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.wiring import kinds

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


class Process:
    """One life of the operator, from its first list to its crash."""

    def __init__(
        self,
        cluster: Cluster,
        runner: asyncio.Runner,
        elapsed: Callable[[], float],
        settings: Settings = SETTINGS,
        operator: str = "system/operator",
    ) -> None:
        self.cluster, self._runner = cluster, runner
        self._kinds: dict[Any, Kind] = {kind.resource: kind for kind in kinds(settings)}
        self.queue: WorkQueue[Key] = WorkQueue(clock=elapsed, jitter=lambda: 0.5)
        self.intake = Intake(list(self._kinds.values()), self.queue.add)
        recorder = EventRecorder(cluster, "storm", lambda: cluster.now)
        planners = {kind.resource: kind.planner for kind in self._kinds.values() if kind.planner is not None}
        executor = Executor(cluster, self.intake, recorder, clock=elapsed, operator=operator)
        self.reconciler = Reconciler(
            planners, self.intake, executor, recorder, self.queue, lambda: cluster.now
        )
        self.late: list[WatchEvent] = []
        self._looks = count(1)
        self._seen = len(cluster.history)
        for resource, kind in self._kinds.items():
            listing = runner.run(cluster.list(resource, None, selector=kind.selector))
            self.intake.replace(resource, listing.items, listing.resource_version)

    def hear(self) -> None:
        """The watches have news; whoever they concern hears of it when it is delivered."""
        for event in self.cluster.history[self._seen :]:
            kind = self._kinds.get(event.resource)
            if kind is not None and (not kind.selector or _is_ours(event)):
                self.late.append(event)
        self._seen = len(self.cluster.history)

    def deliver(self, event: WatchEvent) -> None:
        """An event of a watch arrives."""
        if event.change == "DELETED":
            self.intake.remove(event.resource, event.body)
        else:
            self.intake.put(event.resource, event.body)

    def deliver_all(self) -> None:
        """All watches are up to date."""
        self.hear()
        for event in self.late:
            self.deliver(event)
        self.late.clear()

    def measure(self, service: Key, said: Mapping[str, Any]) -> None:
        """The pods of a canary's step, or of a revision that is baked, say this; nobody else knows, and a crash
        forgets it."""
        body = self.intake.get(service)
        status = (body or {}).get("status") or {}
        since = status.get("canary", {}).get("stepSince")
        baked = since is None and "bakeUntil" in status.get("stable", {})
        since = status["stable"]["since"] if baked else since
        if body is None or since is None:
            return
        found = StepCounts(since=since, direct=baked, look=next(self._looks), kept=f"of {since}", **said)
        self.intake.note(service, POD_COUNTS, found)

    def reads_kept(self, before: Process) -> None:
        """The counts that the process before has kept come back, as a ConfigMap holds them."""
        for service in self.cluster.all(INFERENCE_SERVICES):
            found = before.intake.fact(service, POD_COUNTS)
            if found is not None:
                self.intake.note(service, POD_COUNTS, found)

    def look(self) -> bool:
        """One worker takes one key. Says whether there was one."""
        if len(self.queue) == 0:
            return False
        key = self._runner.run(self.queue.get())
        outcome = self._runner.run(self.reconciler.handle(key))
        if isinstance(outcome, Failed) and not isinstance(outcome.error, ApiError):
            raise outcome.error  # a planner that trips, or that never comes to rest
        self.queue.done(key)
        return True


def _is_ours(event: WatchEvent) -> bool:
    name, value = OURS.split("=")
    return labels(event.body).get(name) == value
