"""Which runs the event loop can bear, and the thread for all others."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.pace import QUICK_SECONDS, Pace, measure
from modelwright_serving.worker import Worker

ROW = [np.zeros((1, 3), np.float32)]


@pytest.mark.parametrize(
    ("pace", "rows", "quick"),
    [
        (Pace(), 10**6, True),
        (Pace(base=QUICK_SECONDS / 2, per_row=QUICK_SECONDS / 100), 50, True),
        (Pace(base=QUICK_SECONDS / 2, per_row=QUICK_SECONDS / 100), 51, False),
        (Pace(base=2 * QUICK_SECONDS), 1, False),
    ],
)
def test_a_run_is_quick_up_to_its_limit(pace: Pace, rows: int, quick: bool) -> None:
    assert pace.is_quick(rows) is quick


def took(pace: Pace, *times: float) -> None:
    for seconds in times:
        pace.took(1, seconds)


def test_one_hiccup_is_forgiven_and_three_in_a_row_are_not() -> None:
    pace = Pace()
    took(pace, 1.0, 1.0, 0.0, 1.0, 1.0)
    assert pace.is_quick(1)
    took(pace, 1.0)
    assert not pace.is_quick(1)


def test_a_model_that_proves_quick_on_the_worker_comes_back_to_the_event_loop() -> None:
    pace = Pace()
    took(pace, *[1.0] * 3, *[0.0] * 15)
    assert not pace.is_quick(1)
    took(pace, 0.0)
    assert pace.is_quick(1)
    took(pace, *[1.0] * 3, *[0.0] * 31)
    assert not pace.is_quick(1)
    took(pace, 0.0)
    assert pace.is_quick(1)


def test_a_run_that_is_expected_to_be_long_says_nothing_about_short_ones() -> None:
    pace = Pace(per_row=QUICK_SECONDS)
    for _ in range(9):
        pace.took(2, 1.0)
    assert pace.is_quick(1)


def test_a_model_whose_time_depends_on_the_values_is_never_quick() -> None:
    assert not Pace(steady=False).is_quick(1)


@pytest.mark.parametrize(
    ("pace", "rows"), [(Pace(), 2**31), (Pace(0.5, 0.25), 2), (Pace(2.0, 0.25), 1), (Pace(2.0), 1)]
)
def test_rows_of_a_run_follow_from_its_time(pace: Pace, rows: int) -> None:
    assert pace.rows_within(1.0) == rows


def recording(rows: list[int]) -> Callable[[list[Tensor]], None]:
    return lambda inputs: rows.append(len(inputs[0]))


def test_one_row_and_many_rows_are_timed_where_rows_can_be_joined() -> None:
    rows: list[int] = []
    pace = measure(recording(rows), ROW, most_rows=256)
    assert set(rows) == {1, 128}
    assert pace.base >= 0
    assert pace.per_row >= 0


def test_no_more_rows_are_timed_than_may_share_a_run() -> None:
    rows: list[int] = []
    measure(recording(rows), ROW, most_rows=16)
    assert set(rows) == {1, 16}


def test_a_sample_is_timed_as_it_is_where_rows_cannot_be_joined() -> None:
    rows: list[int] = []
    measure(recording(rows), [np.zeros((4, 3), np.float32)], most_rows=1)
    assert set(rows) == {4}


def test_a_slow_model_is_timed_once() -> None:
    pause = threading.Event()
    pace = measure(lambda _: pause.wait(0.03), ROW, most_rows=256)
    assert pace.base > 0.02
    assert not pace.is_quick(1)


async def test_work_is_done_on_another_thread_and_reported_on_this_one() -> None:
    worker: Worker[int] = Worker(asyncio.get_running_loop())
    done: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    worker.start(threading.get_ident, done.set_result)
    assert worker.busy_seconds() > 0
    assert await done not in {None, threading.get_ident()}
    assert worker.busy_seconds() == 0


async def test_a_defect_is_reported_and_the_next_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: traced.set())
    loop = asyncio.get_running_loop()
    worker: Worker[float] = Worker(loop)
    outcomes: list[float | None] = []
    for work in (lambda: 1 / 0, lambda: 0.5):
        reported = loop.create_future()
        worker.start(work, reported.set_result)
        outcomes.append(await reported)
    assert outcomes == [None, 0.5]
    assert await loop.run_in_executor(None, traced.wait, 5)
