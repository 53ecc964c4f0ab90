"""What the operator tells the kubelet about itself."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from fakes.api import FakeApi
from fakes.objects import MAPS, TOYS, toy_key
from fakes.toy_operator import KINDS
from kubernetes.aio.client import Configuration

from modelwright.engine import runtime
from modelwright.engine.lease import LEASES, Elector
from modelwright.engine.objects import Key
from modelwright.engine.outcome import Done, Outcome
from modelwright.engine.queue import WorkQueue
from modelwright.engine.runtime import STUCK, Operator, ProcessSettings


class Bench:
    """An operator that is not running, and its clock."""

    def __init__(self) -> None:
        self.time = 0.0
        api = FakeApi()
        self.operator = Operator(
            KINDS, ProcessSettings(lease_namespace="x"), Configuration(host="http://127.0.0.1:9")
        )
        self.operator._queue = WorkQueue(lambda: self.time)
        self.elector = Elector(api, Key(LEASES, "x", "x"), "me", clock=lambda: self.time)
        self.operator.election._elector = self.elector
        self.operator.election._leading.set()
        self.operator._watching = True
        for resource in (TOYS, MAPS):
            self.operator.watcher._places[None]._see(resource, None)

    async def pass_time(self, seconds: float, *, leading: bool) -> None:
        """Lets time pass in steps of a renewal."""
        for _ in range(int(seconds // 5)):
            if leading:
                await self.elector.step()
            self.time += 5
        if leading:
            await self.elector.step()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_all_is_well_at_first(bench: Bench) -> None:
    assert (bench.operator._livez(), bench.operator._readyz()) == ("", "")


def measured(bench: Bench, name: str) -> float | None:
    return bench.operator.metrics.registry.get_sample_value(name)


async def test_a_leader_with_a_long_queue_is_alive_and_shows_how_long_it_is(bench: Bench) -> None:
    bench.operator._queue.add(toy_key())
    await bench.pass_time(3600, leading=True)

    assert bench.operator._livez() == ""
    assert measured(bench, "modelwright_queue_oldest_seconds") == 3600
    assert measured(bench, "modelwright_queue_depth") == 1


async def test_a_single_reconcile_that_does_not_end_is_no_life(bench: Bench) -> None:
    hangs = asyncio.Event()

    class Hangs:
        async def handle(self, key: Key) -> Outcome:
            hangs.set()
            await asyncio.Event().wait()
            return Done()

    bench.operator._reconciler = Hangs()  # type: ignore[assignment]
    await bench.pass_time(5, leading=True)
    worker = asyncio.create_task(bench.operator._work())
    bench.operator._queue.add(toy_key())
    await asyncio.wait_for(hangs.wait(), 5)
    await bench.pass_time(STUCK, leading=True)
    assert bench.operator._livez() == ""

    await bench.pass_time(10, leading=True)
    assert bench.operator._livez() == f"Toy shop/churn has been reconciled for {STUCK + 10:.0f} seconds"
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert bench.operator._livez() == ""


async def test_a_standby_may_leave_objects_waiting_for_hours(bench: Bench) -> None:
    bench.operator._queue.add(toy_key())
    await bench.pass_time(10_000, leading=False)

    assert measured(bench, "modelwright_queue_oldest_seconds") == 0
    assert measured(bench, "modelwright_queue_depth") == 0


async def test_a_standby_that_takes_over_has_time_to_work_on_what_has_gathered(bench: Bench) -> None:
    bench.operator._queue.add(toy_key())
    await bench.pass_time(10_000, leading=False)
    await bench.pass_time(10, leading=True)

    assert measured(bench, "modelwright_queue_oldest_seconds") == 10
    assert measured(bench, "modelwright_queue_depth") == 1


async def test_without_watches_it_is_not_alive(bench: Bench) -> None:
    bench.operator._watching = False

    assert bench.operator._livez() == "the watches are not running"


async def test_it_is_ready_when_all_kinds_are_known(bench: Bench) -> None:
    bench.operator.watcher._places[None]._unfilled = {TOYS}

    assert bench.operator._readyz() == "not listed yet: Toy"


async def test_what_runs_beside_the_work_starts_again_when_it_ends_or_breaks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "Forever", lambda: itertools.repeat(0.0))
    ends = iter([None, ValueError("odd"), OverflowError("infinity"), None])
    lives_on = asyncio.Event()

    async def companion(_: runtime.Surroundings) -> None:
        for error in ends:
            if error is not None:
                raise error
            return
        lives_on.set()
        await asyncio.sleep(3600)

    around = runtime.Surroundings(
        bench.operator.intake, bench.operator._client, lambda: True, bench.operator.metrics
    )
    task = asyncio.create_task(runtime._accompany(companion, around))
    async with asyncio.timeout(5):
        await lives_on.wait()
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_runs_beside_the_work_starts_when_all_kinds_are_known(bench: Bench) -> None:
    bench.operator.watcher._filled, started = asyncio.Event(), asyncio.Event()

    async def companion(_: runtime.Surroundings) -> None:
        started.set()
        await asyncio.sleep(3600)

    around = runtime.Surroundings(
        bench.operator.intake, bench.operator._client, lambda: True, bench.operator.metrics
    )
    task = asyncio.create_task(bench.operator._beside(companion, around))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not started.is_set()
    bench.operator.watcher._filled.set()
    async with asyncio.timeout(5):
        await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_reconciles_that_send_nothing_give_the_event_loop_a_turn_after_each(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[Key] = []

    async def handle(key: Key) -> Outcome:
        handled.append(key)
        return Done()

    monkeypatch.setattr(bench.operator._reconciler, "handle", handle)
    await bench.pass_time(5, leading=True)
    for number in range(3):
        bench.operator._queue.add(toy_key(f"toy-{number}"))
    worker = asyncio.create_task(bench.operator._work())
    seen = set()
    while len(handled) < 3:
        seen.add(len(handled))
        await asyncio.sleep(0)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)

    assert {1, 2} <= seen
