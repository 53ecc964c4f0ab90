"""How a look at an object ends decides when there is another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.objects import TOYS, seen, toy_key

from modelwright.engine.backoff import Backoff
from modelwright.engine.cache import Cache
from modelwright.engine.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NameTaken,
    NotFound,
    NotLeader,
    TooManyRequests,
    Unavailable,
)
from modelwright.engine.objects import Body, Key
from modelwright.engine.outcome import Again, At, Done, Failed, Standby
from modelwright.engine.plan import Confirm, Event, Plan
from modelwright.engine.queue import WorkQueue
from modelwright.engine.reconciler import LONGEST_WAIT, MOST_WRITES, REJECTED_WAIT, SHORTEST_WAIT, Reconciler

KEY = toy_key()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Bench:
    """A reconciler whose plans and whose executor do what a test says."""

    def __init__(self) -> None:
        self.time = 0.0
        self.queue: WorkQueue[Key] = WorkQueue(lambda: self.time, Backoff(base=1), jitter=lambda: 1.0)
        self.cache = Cache()
        self.cache.put(TOYS, seen(KEY, 1))
        self.plan = Plan()
        self.result: Callable[[], bool] = lambda: False
        self.told: list[Event] = []
        self.refused_for: float | None = None
        self.now = NOW
        self.executed: list[Plan] = []
        self.reconciler = Reconciler({TOYS: self._plan}, self.cache, self, self, self.queue, lambda: self.now)

    def _plan(self, view: Any, key: Key, now: datetime) -> Plan:
        assert now == self.now
        return self.plan

    async def execute(self, key: Key, plan: Plan) -> bool:
        assert key == KEY
        self.executed.append(plan)
        return self.result()

    def retry_in(self, key: Key) -> float | None:
        return self.refused_for

    async def record(self, about: Body, event: Event) -> None:
        self.told.append(event)

    def raises(self, error: BaseException) -> None:
        def result() -> bool:
            raise error

        self.result = result

    def wait(self) -> float | None:
        """Until when the key waits; None when it does not come back."""
        if len(self.queue):
            return 0.0
        return self.queue._heap[0][0] if self.queue._heap else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_nothing_to_do_ends_it(bench: Bench) -> None:
    assert await bench.reconciler.handle(KEY) == Done()
    assert bench.wait() is None


async def test_a_write_is_followed_by_another_look_at_once(bench: Bench) -> None:
    bench.result = lambda: True

    assert await bench.reconciler.handle(KEY) == Again()
    assert bench.wait() == 0


async def test_a_time_is_kept(bench: Bench) -> None:
    bench.plan = Plan(requeue_at=NOW + timedelta(seconds=90))

    assert await bench.reconciler.handle(KEY) == At(NOW + timedelta(seconds=90))
    assert bench.wait() == 90


async def test_a_write_comes_before_a_time(bench: Bench) -> None:
    bench.plan = Plan(requeue_at=NOW + timedelta(seconds=90))
    bench.result = lambda: True

    assert await bench.reconciler.handle(KEY) == Again()


async def test_a_far_time_is_looked_at_on_the_way_as_clocks_may_be_set(bench: Bench) -> None:
    bench.plan = Plan(requeue_at=NOW + timedelta(days=7))
    await bench.reconciler.handle(KEY)

    assert bench.wait() == LONGEST_WAIT


async def test_a_time_that_has_passed_does_not_keep_a_worker_busy(bench: Bench) -> None:
    bench.plan = Plan(requeue_at=NOW - timedelta(days=7))
    await bench.reconciler.handle(KEY)

    assert bench.wait() == SHORTEST_WAIT


@pytest.mark.parametrize(
    ("error", "ending", "wait", "told"),
    [
        (Unavailable("m"), Failed, 1, False),
        (TooManyRequests("m", retry_after=30), Failed, 30, False),
        (Conflict("m"), Failed, 1, False),
        (NotFound("m"), Failed, 1, False),
        (AlreadyExists("m"), Failed, 1, False),
        (Forbidden("m"), Failed, REJECTED_WAIT, True),
        (NameTaken("m"), Failed, REJECTED_WAIT, True),
        (Denied("m"), Failed, REJECTED_WAIT, True),
        (Invalid("m"), Failed, REJECTED_WAIT, True),
        (NamespaceTerminating("m"), Failed, REJECTED_WAIT, True),
        (NotLeader("m"), Standby, 0, False),
        (KeyError("a bug"), Failed, 1, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_each_error_has_its_consequence(
    bench: Bench, error: Exception, ending: type, wait: float | None, *, told: bool
) -> None:
    bench.raises(error)

    assert isinstance(await bench.reconciler.handle(KEY), ending)
    assert bench.wait() == wait
    events = [event for event in bench.told if event.reason != "PlanningFailed"]
    assert events == ([Event("Warning", "ApplyFailed", "m")] if told else [])


async def test_failures_in_a_row_wait_longer_and_longer_until_one_look_goes_well(bench: Bench) -> None:
    bench.raises(Unavailable("m"))
    for when in (1, 1 + 2, 1 + 2 + 4):
        await bench.reconciler.handle(KEY)
        assert bench.wait() == when
        bench.time = when
        bench.queue.done(await bench.queue.get())

    bench.result = lambda: False
    await bench.reconciler.handle(KEY)
    assert bench.queue.retry(KEY) == 1


async def test_a_planner_that_trips_is_logged_with_where_it_tripped(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.raises(ZeroDivisionError("oops"))
    with caplog.at_level(logging.WARNING):
        await bench.reconciler.handle(KEY)

    assert "Toy shop/churn" in caplog.text
    assert "Traceback" in caplog.text
    assert [event.reason for event in bench.told] == ["PlanningFailed"]
    assert "ZeroDivisionError: oops" in bench.told[0].message


async def test_the_end_of_the_process_is_not_held_up(bench: Bench) -> None:
    bench.raises(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        await bench.reconciler.handle(KEY)


async def test_a_planner_that_never_comes_to_rest_is_slowed_down(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.result = lambda: True
    endings = [await bench.reconciler.handle(KEY) for _ in range(MOST_WRITES + 2)]

    assert endings[:MOST_WRITES] == [Again()] * MOST_WRITES
    assert all(isinstance(ending, Failed) for ending in endings[MOST_WRITES:])
    assert "writes in a row without coming to rest" in caplog.text


async def test_coming_to_rest_ends_the_count_of_writes(bench: Bench) -> None:
    for _ in range(3):
        bench.result = lambda: True
        for _ in range(MOST_WRITES):
            assert await bench.reconciler.handle(KEY) == Again()
        bench.result = lambda: False
        assert await bench.reconciler.handle(KEY) == Done()


async def test_a_refused_write_is_tried_again_when_it_is_due(bench: Bench) -> None:
    bench.refused_for = 20.0

    assert await bench.reconciler.handle(KEY) == At(NOW + timedelta(seconds=20))


async def test_the_earlier_of_a_deadline_and_a_refused_write_counts(bench: Bench) -> None:
    bench.refused_for, bench.plan = 20.0, Plan(requeue_at=NOW + timedelta(seconds=5))

    assert await bench.reconciler.handle(KEY) == At(NOW + timedelta(seconds=5))


async def test_a_deadline_does_not_wait_for_an_error_to_go(bench: Bench) -> None:
    bench.plan = Plan(requeue_at=NOW + timedelta(seconds=5))
    bench.raises(TooManyRequests("m", retry_after=30))
    await bench.reconciler.handle(KEY)

    assert bench.wait() == 5


class TestPatience:
    """A state that passes within the plan's patience is never written; effects do not wait for it."""

    WAITS = Plan(
        status={"state": "starts"},
        events=(Event("Warning", "Starts", ""),),
        effects=(Confirm(KEY),),
        patience=timedelta(seconds=10),
    )

    async def after(self, bench: Bench, seconds: float) -> Plan:
        """What is executed so many seconds later."""
        bench.now += timedelta(seconds=seconds)
        await bench.reconciler.handle(KEY)
        return bench.executed[-1]

    async def test_it_waits_with_its_events_and_the_effects_do_not(self, bench: Bench) -> None:
        bench.plan = self.WAITS

        assert await bench.reconciler.reconcile(KEY) == At(NOW + timedelta(seconds=10))
        (plan,) = bench.executed
        assert (plan.status, plan.events, plan.effects) == (None, (), (Confirm(KEY),))

    async def test_an_earlier_time_of_the_plan_is_kept(self, bench: Bench) -> None:
        bench.plan = replace(self.WAITS, requeue_at=NOW + timedelta(seconds=3))

        assert await bench.reconciler.reconcile(KEY) == At(NOW + timedelta(seconds=3))

    async def test_it_is_written_when_the_patience_is_over_whatever_came_in_between(
        self, bench: Bench
    ) -> None:
        bench.plan = self.WAITS
        await self.after(bench, 0)
        bench.plan = replace(self.WAITS, status={"state": "still starts"})
        assert (await self.after(bench, 6)).status is None

        assert (await self.after(bench, 4)) == bench.plan

    async def test_a_result_is_written_at_once_and_ends_the_wait(self, bench: Bench) -> None:
        bench.plan = self.WAITS
        await self.after(bench, 0)
        bench.plan = Plan(status={"state": "runs"})
        assert (await self.after(bench, 1)) == bench.plan

        bench.plan = self.WAITS
        assert (await self.after(bench, 10)).status is None, "the wait begins again"

    async def test_a_status_that_is_written_already_waits_for_nothing(self, bench: Bench) -> None:
        bench.plan = self.WAITS
        await self.after(bench, 0)
        bench.cache.put(TOYS, {**seen(KEY, 2), "status": {"state": "starts"}})

        assert (await self.after(bench, 1)) == bench.plan

    async def test_a_clock_that_is_set_back_does_not_prolong_it(self, bench: Bench) -> None:
        bench.plan = self.WAITS
        await self.after(bench, 0)

        assert (await self.after(bench, -3600)) == bench.plan
