"""The work queue behaves as client-go's does."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright.engine.backoff import Backoff
from modelwright.engine.queue import QueueClosed, WorkQueue


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock, Backoff(base=1, factor=2, cap=10), jitter=lambda: 1.0)


async def test_keys_come_out_in_the_order_in_which_they_came(queue: WorkQueue[str]) -> None:
    for key in "bac":
        queue.add(key)

    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


async def test_a_key_that_is_added_three_times_comes_out_once(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")

    assert len(queue) == 1


async def test_a_key_in_work_is_not_given_to_a_second_worker(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")

    assert len(queue) == 0


async def test_a_key_that_changed_while_in_work_comes_back_once_it_is_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    queue.done("a")

    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_that_is_done_and_did_not_change_stays_away(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.done(await queue.get())

    assert len(queue) == 0


async def test_a_key_for_later_comes_at_its_time_and_not_before(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_at("a", 105)

    clock.time = 104.9
    assert len(queue) == 0
    clock.time = 105
    assert await queue.get() == "a"


async def test_of_two_times_the_earlier_counts(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_at("a", 110)
    queue.add_at("a", 105)
    queue.add_at("a", 120)

    clock.time = 105
    assert await queue.get() == "a"
    queue.done("a")
    clock.time = 200
    assert len(queue) == 0, "the later times went with the earlier one"


async def test_a_time_that_has_passed_means_now(queue: WorkQueue[str]) -> None:
    queue.add_at("a", 99)

    assert len(queue) == 1


async def test_a_key_in_work_that_comes_due_waits_for_its_worker(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    await queue.get()
    queue.add_at("a", 101)
    clock.time = 102

    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1


@pytest.mark.parametrize(("failures", "delay"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (5000, 10)])
def test_each_failure_in_a_row_waits_longer_up_to_a_cap(
    queue: WorkQueue[str], failures: int, delay: float
) -> None:
    waits = [queue.retry("a") for _ in range(failures)]

    assert waits[-1] == delay


def test_success_makes_the_next_failure_the_first(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")
    queue.forget("a")

    assert queue.retry("a") == 1


def test_one_keys_failures_do_not_delay_another(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")

    assert queue.retry("b") == 1


def test_a_retry_waits_at_least_as_long_as_the_api_server_asks(queue: WorkQueue[str]) -> None:
    assert queue.retry("a", at_least=30) == 30


async def test_a_change_ends_the_wait_after_a_failure(queue: WorkQueue[str]) -> None:
    queue.retry("a", at_least=1000)
    queue.add("a")

    assert await queue.get() == "a"


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_jitter_keeps_a_delay_between_half_and_all_of_it(failures: int, jitter: float) -> None:
    backoff = Backoff(base=0.5, factor=2, cap=300)
    whole = min(300, 0.5 * 2 ** min(failures, 64))

    assert whole / 2 <= backoff.delay(failures, jitter) <= whole


def test_the_age_is_that_of_the_key_that_waits_longest(queue: WorkQueue[str], clock: Clock) -> None:
    assert queue.oldest_age() == 0
    queue.add("a")
    clock.time += 3
    queue.add("b")
    clock.time += 4
    queue.add("a")

    assert queue.oldest_age() == 7


async def test_a_waiting_worker_gets_a_key_as_soon_as_there_is_one(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")

    assert await asyncio.wait_for(worker, 5) == "a"


async def test_a_waiting_worker_wakes_by_itself_when_a_key_comes_due() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_at("a", queue.now() + 0.02)

    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_a_waiting_worker_wakes_for_a_time_that_is_earlier_than_the_one_it_waits_for() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_at("late", queue.now() + 3600)
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_at("soon", queue.now() + 0.02)

    assert await asyncio.wait_for(worker, 5) == "soon"


async def test_closing_sends_waiting_workers_home(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()

    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueClosed) for result in results)


async def test_times_that_are_overtaken_do_not_pile_up(queue: WorkQueue[str]) -> None:
    for round_ in range(10_000):
        queue.add_at("a", 1_000_000 - round_)

    assert len(queue._heap) < 200


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "at", "get", "done", "tick"]), st.integers(0, 3), st.integers(0, 5)),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=300)
def test_whatever_happens_no_key_is_lost_or_in_two_hands(steps: list[tuple[str, int, int]]) -> None:
    async def play() -> None:
        clock = Clock()
        queue: WorkQueue[int] = WorkQueue(clock)
        wanted: Counter[int] = Counter()  # asked for and not yet handed out after that
        hands: set[int] = set()
        due: dict[int, float] = {}
        for action, key, number in steps:
            if action == "add":
                queue.add(key)
                wanted[key] = 1
            elif action == "at":
                queue.add_at(key, clock.time + number)
                if number == 0:  # at once; a later time still counts
                    wanted[key] = 1
                else:
                    due[key] = min(due.get(key, float("inf")), clock.time + number)
            elif action == "tick":
                clock.time += number
            elif action == "done" and key in hands:
                queue.done(key)
                hands.discard(key)
            elif action == "get" and len(queue):
                got = await queue.get()
                assert got not in hands
                hands.add(got)
                wanted[got] = 0
            for late in [k for k, when in due.items() if when <= clock.time]:
                wanted[late] = 1
                del due[late]
            ready = {key for key, count in wanted.items() if count and key not in hands}
            assert len(queue) == len(ready)

    asyncio.run(play())
