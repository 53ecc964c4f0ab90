"""One look at one object: plan, carry out, and say how it ended; one switch turns that into what the queue does.

Decides nothing about the object itself (planners do) and sends nothing (the executor does).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, assert_never

from modelwright.engine.cache import View
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

# So many writes in a row without a pause are no progress: two sides undo each other's work.
MOST_WRITES = 20
# The wall clock can be set, the queue's cannot: a look this often keeps a long wait from missing its time.
LONGEST_WAIT = 600.0
# A planner that asks for a time that has passed must not keep a worker busy.
SHORTEST_WAIT = 0.5
# Rights, quotas and names change by hand.
REJECTED_WAIT = 60.0


class Executes(Protocol):
    """Carries out plans."""

    async def execute(self, key: Key, plan: Plan) -> bool:
        """Says whether anything was written or found out."""
        ...

    def retry_in(self, key: Key) -> float | None:
        """In how many seconds the first refused write for an object is due again; None if none was refused."""
        ...


class NeverSettles(Exception):  # noqa: N818 - it says what the planner does
    """A planner wants to write each time it is asked."""


class Reconciler:
    """Looks at objects, one key at a time in each worker."""

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

    async def handle(self, key: Key) -> Outcome:
        """Looks at an object and sees to it that it is looked at again when it has to be."""
        outcome = self._bounded(key, await self.reconcile(key))
        self._requeue(key, outcome)
        return outcome

    async def reconcile(self, key: Key) -> Outcome:
        """One look at an object. Never raises, but for what ends the process."""
        now, plan = self._now(), Plan()
        try:
            plan = self._planners[key.resource](self._view, key, now)
            wrote = await self._executor.execute(key, plan)
        except NotLeader:
            return Standby()
        except ApiError as error:
            return await self._failed(key, error, plan.requeue_at)
        except Exception as error:
            # A planner that trips over one object must not take the worker, and with it all other objects, down. The
            # traceback is in the log, the key comes back.
            logger.exception("%s: planning failed", key)
            return Failed(error)
        if wrote:
            return Again()
        retry_in = self._executor.retry_in(key)
        retry_at = None if retry_in is None else now + timedelta(seconds=retry_in)
        next_at = min((moment for moment in (plan.requeue_at, retry_at) if moment is not None), default=None)
        return Done() if next_at is None else At(next_at)

    async def _failed(self, key: Key, error: ApiError, requeue_at: datetime | None) -> Failed:
        """What follows from an error. A refused status cannot be in the status: an event has to do."""
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
                # Somebody else was faster: that is how it should be, and no news.
                level = logging.DEBUG if isinstance(error, Conflict) else logging.WARNING
                logger.log(level, "%s: %s: %s; next try in %.1f s", key, type(error).__name__, error, delay)
            case Standby():
                self._queue.add(key)
            case _:
                assert_never(outcome)

    def _add_at(self, key: Key, time: datetime) -> None:
        wait = (time - self._now()).total_seconds()
        self._queue.add_at(key, self._queue.now() + min(max(wait, SHORTEST_WAIT), LONGEST_WAIT))
