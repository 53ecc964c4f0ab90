"""How long a canary has by default follows what the stable revision's own answers take."""

from __future__ import annotations

import pytest

from modelwright_serving.histogram import FINE_DURATION_BOUNDS, MOST_RATIO, Histogram
from modelwright_serving.traffic.default_time import DefaultTime


class World:
    """The durations that a server has counted, and its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.durations = Histogram(FINE_DURATION_BOUNDS)
        self.lookups = 0

    def default_time(self) -> DefaultTime:
        return DefaultTime(self._looked_up, lambda: self.now)

    def _looked_up(self) -> Histogram:
        self.lookups += 1
        return self.durations


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ({}, 1.0),
        ({0.001: 1000}, 1.0),
        ({0.25: 10}, 1.0),
        ({0.5: 10}, 2.0),
        ({0.001: 985, 2.5: 15}, 10.0),
        ({0.001: 995, 2.5: 5}, 1.0),
        ({10.0: 5}, 40.0),
        ({20.0: 1}, 60.0),
        ({1000.0: 1}, 60.0),
    ],
)
def test_it_is_four_times_the_99th_percentile_within_bounds(
    durations: dict[float, int], expected: float
) -> None:
    world = World()
    for seconds, times in durations.items():
        world.durations.observe(seconds, times)
    found = world.default_time().seconds()
    assert expected <= found <= expected * MOST_RATIO


def test_it_is_looked_up_once_a_second_at_most() -> None:
    world = World()
    default = world.default_time()
    assert default.seconds() == 1.0
    world.durations.observe(2.5)
    world.now += 0.9
    assert (default.seconds(), world.lookups) == (1.0, 1)
    world.now += 0.2
    assert (default.seconds(), default.seconds(), world.lookups) == (10.0, 10.0, 2)
