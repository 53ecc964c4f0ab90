"""Latencies are those of the block in the middle, beside the champion's in turns; slow models are not waited for."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from modelwright_training.judging.gates import latency
from modelwright_training.judging.gates.evidence import Unmeasurable


class Machine:
    """A clock, and models that move it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []

    def clock(self) -> float:
        return self.now

    def model(self, name: str, seconds: Iterator[float]) -> Callable[[], None]:
        def ask() -> None:
            self.asked.append(name)
            self.now += next(seconds)

        return ask


def always(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


def counted(machine: Machine, name: str, seconds: Callable[[int], float]) -> Callable[[], None]:
    """A model whose requests take a time by their number; those that warm it up are as the first."""
    count = iter(range(-1 - latency.WARM_UP, 10**9))
    return machine.model(name, (seconds(max(0, place)) for place in count))


def test_a_percentile_of_each_block() -> None:
    machine = Machine()
    found = latency.blocks([machine.model("a", always(0.001))], 50, 5, machine.clock)
    assert found.table.shape == (1, latency.BLOCKS)
    assert found.table == pytest.approx(0.001)
    assert found.requests * latency.BLOCKS * 0.001 == pytest.approx(latency.USUAL, rel=0.01)


def test_a_moment_in_which_the_machine_is_busy_does_not_count() -> None:
    """One block of six is ten times as slow."""
    machine = Machine()
    ask = counted(machine, "a", lambda place: 0.01 if 0 < place < 250 else 0.001)
    table = latency.blocks([ask], 50, 5, machine.clock).table[0]
    assert np.median(table) == pytest.approx(0.001)
    assert table.max() == pytest.approx(0.01)


def test_both_models_take_turns() -> None:
    machine = Machine()
    asks = [machine.model("a", always(0.01)), machine.model("b", always(0.02))]
    found = latency.blocks(asks, 50, 5, machine.clock)
    assert found.table == pytest.approx(np.array([[0.01] * 6, [0.02] * 6]))
    measured = machine.asked[2 * (1 + latency.WARM_UP) :]
    firsts = [measured[block * 2 * found.requests] for block in range(latency.BLOCKS)]
    assert firsts == ["a", "b", "a", "b", "a", "b"]
    assert measured[: 2 * found.requests] == ["a"] * found.requests + ["b"] * found.requests


def test_a_high_percentile_gets_the_requests_that_it_takes() -> None:
    machine = Machine()
    ask = counted(machine, "a", lambda place: 0.05 if place % 50 == 49 else 0.001)
    found = latency.blocks([ask], 99, 100, machine.clock)
    assert found.requests >= 100
    assert found.table.min() > 0.01


def test_a_percentile_that_would_take_too_long_is_not_measured() -> None:
    machine = Machine()
    with pytest.raises(Unmeasurable, match=r"takes about 0.05 s: 600 of them") as refused:
        latency.blocks([machine.model("a", always(0.05))], 99, 100, machine.clock)
    assert refused.value.reason == "TooSlow"
    assert machine.now < 1
    assert latency.blocks([machine.model("a", always(0.05))], 50, 5, machine.clock).requests == 5
