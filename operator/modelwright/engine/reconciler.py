"""Reconciles one object: plan, execute, and turn the outcome into what the queue does.

Decides nothing about the object itself (planners do) and sends nothing (the executor does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, assert_never

from modelwright.engine.cache import View
from modelwright.engine.compare import without_nulls
from modelwright.engine.errors import (
    ApiError,
    Conflict,
    NotLeader,
    Rejected,
    Retryable,
)
from modelwright.engine.executor import Recorder
from modelwright.engine.objects import Key, ResourceType
from modelwright.engine.outcome import Again, At, Done, Failed, Outcome, Standby
from modelwright.engine.plan import Event, Plan, Planner
from modelwright.engine.queue import WorkQueue

logger = logging.getLogger(__name__)

# So many writes in a row without a pause are no progress: two writers undo each other's work.
MOST_WRITES = 20
# The wall clock can be set, the queue's cannot: without a reconcile this often a long wait could miss its time.
LONGEST_WAIT = 600.0
# A planner that asks for a time that has passed must not keep a worker busy.
SHORTEST_WAIT = 0.5
# What refuses a status changes by hand.
REJECTED_WAIT = 60.0


class Executes(Protocol):
    """Executes plans."""

    async def execute(self, key: Key, plan: Plan) -> bool:
        """Whether anything was written or found out."""
        ...

    def retry_in(self, key: Key) -> float | None:
        """In how many seconds the first refused write for an object is due again; None if none was refused."""
        ...


class NeverSettles(Exception):  # noqa: N818 - it says what the planner does
    """A planner writes each time it runs."""


class Reconciler:
    """Reconciles objects, one key at a time in each worker."""

    def __init__(
        self,
        planners: Mapping[ResourceType, Planner],
        view: View,
        executor: Executes,
        recorder: Recorder,
        queue: WorkQueue[Key],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._planners = planners
        self._view = view
        self._executor = executor
        self._recorder = recorder
        self._queue = queue
        self._now = now
        self._writes: dict[Key, int] = {}
        self._waits_since: dict[Key, datetime] = {}

    async def handle(self, key: Key) -> Outcome:
        """Reconciles an object and queues its next reconcile."""
        outcome = self._bounded(key, await self.reconcile(key))
        self._requeue(key, outcome)
        return outcome

    async def reconcile(self, key: Key) -> Outcome:
        """Reconciles an object once. Raises only what ends the process."""
        now, plan = self._now(), Plan()
        try:
            plan = self._waiting(key, self._planners[key.resource](self._view, key, now), now)
            wrote = await self._executor.execute(key, plan)
        except NotLeader:
            return Standby()
        except ApiError as error:
            return await self._failed(key, error, plan.requeue_at)
        except Exception as error:
            # An object that a planner cannot bear must not end the worker, and with it the work on all others.
            logger.exception("%s: planning failed", key)
            await self._report(key, error)
            return Failed(error)
        if wrote:
            return Again()
        retry_in = self._executor.retry_in(key)
        retry_at = None if retry_in is None else now + timedelta(seconds=retry_in)
        next_at = min((moment for moment in (plan.requeue_at, retry_at) if moment is not None), default=None)
        return Done() if next_at is None else At(next_at)

    def _waiting(self, key: Key, plan: Plan, now: datetime) -> Plan:
        """The plan; without its status and events while these may still wait."""
        body = self._view.get(key)
        news = plan.status is not None and body is not None
        if not news or without_nulls(plan.status) == without_nulls((body or {}).get("status") or {}):
            self._waits_since.pop(key, None)
            return plan
        since = self._waits_since.setdefault(key, now)
        due = since + plan.patience
        if not since <= now < due:  # the clock may have been set back
            del self._waits_since[key]
            return plan
        requeue_at = due if plan.requeue_at is None else min(due, plan.requeue_at)
        return replace(plan, status=None, events=(), counts=(), requeue_at=requeue_at)

    async def _report(self, key: Key, error: Exception) -> None:
        """Posts what kept the operator from planning: the object's conditions say nothing of it."""
        body = self._view.get(key)
        if body is not None:
            what = (
                f"the operator cannot plan for this object, its log has more: {type(error).__name__}: {error}"
            )
            await self._recorder.record(body, Event("Warning", "PlanningFailed", what))

    async def _failed(self, key: Key, error: ApiError, requeue_at: datetime | None) -> Failed:
        """The outcome of an error. A refused status cannot be in the status: an event reports it."""
        body = self._view.get(key)
        if isinstance(error, Rejected) and body is not None:
            await self._recorder.record(body, Event("Warning", "ApplyFailed", str(error)))
        match error:
            case Rejected():
                return Failed(error, REJECTED_WAIT, requeue_at)
            case Retryable():
                return Failed(error, error.retry_after, requeue_at)
            case _:
                return Failed(error, 0.0, requeue_at)

    def _bounded(self, key: Key, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Again):
            self._writes.pop(key, None)
            return outcome
        writes = self._writes.get(key, 0) + 1
        self._writes[key] = writes
        if writes <= MOST_WRITES:
            return outcome
        return Failed(NeverSettles(f"{writes} writes in a row without coming to rest"))

    def _requeue(self, key: Key, outcome: Outcome) -> None:
        match outcome:
            case Done():
                self._queue.forget(key)
            case Again():
                self._queue.forget(key)
                self._queue.add(key)
            case At(time):
                self._queue.forget(key)
                self._add_at(key, time)
            case Failed(error, at_least, requeue_at):
                delay = self._queue.retry(key, at_least)
                if (
                    requeue_at is not None and requeue_at > self._now()
                ):  # a deadline does not wait for the error to go
                    self._add_at(key, requeue_at)
                # A newer version exists: the guard worked, and the next try starts from it.
                level = logging.DEBUG if isinstance(error, Conflict) else logging.WARNING
                logger.log(level, "%s: %s: %s; next try in %.1f s", key, type(error).__name__, error, delay)
            case Standby():
                self._queue.add(key)
            case _:
                assert_never(outcome)

    def _add_at(self, key: Key, time: datetime) -> None:
        wait = (time - self._now()).total_seconds()
        self._queue.add_at(key, self._queue.now() + min(max(wait, SHORTEST_WAIT), LONGEST_WAIT))
