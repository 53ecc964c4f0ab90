"""Fine cells and the coarse buckets that are sums of them: one count for each value, exact for both."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import HistogramMetricFamily

from modelwright_serving.histogram import (
    DURATION_BOUNDS,
    FINE_DURATION_BOUNDS,
    MOST_RATIO,
    Histogram,
)
from modelwright_serving.traffic.counts import DIFFERENCE_BOUNDS, FINE_DIFFERENCE_BOUNDS

KINDS = {
    "durations": (FINE_DURATION_BOUNDS, DURATION_BOUNDS),
    "differences": (FINE_DIFFERENCE_BOUNDS[1:], DIFFERENCE_BOUNDS),
}


@pytest.mark.parametrize(("bounds", "coarse"), KINDS.values(), ids=KINDS)
def test_neighbouring_bounds_are_close_short_as_text_and_hold_the_coarse_ones(
    bounds: tuple[float, ...], coarse: tuple[float, ...]
) -> None:
    assert sorted(set(bounds)) == list(bounds)
    assert max(above / below for below, above in pairwise(bounds)) <= MOST_RATIO
    assert set(coarse) <= set(bounds)
    assert all(float(f"{bound:g}") == bound for bound in bounds)


def test_they_reach_from_the_quickest_request_to_the_slowest_and_down_to_no_difference() -> None:
    assert (FINE_DURATION_BOUNDS[0], FINE_DURATION_BOUNDS[-1]) == (2e-5, 120.0)
    assert FINE_DIFFERENCE_BOUNDS[:2] == (0.0, 1e-9)


def buckets(histogram: Histogram) -> dict[str, float]:
    family = HistogramMetricFamily("h", "", labels=())
    histogram.add_to(family, ())
    return {sample.labels["le"]: sample.value for sample in family.samples if sample.name == "h_bucket"}


VALUES = st.lists(st.floats(0, 200) | st.sampled_from(FINE_DURATION_BOUNDS), max_size=50)


@given(values=VALUES)
def test_the_coarse_buckets_are_those_of_a_coarse_histogram(values: list[float]) -> None:
    fine, coarse = Histogram(FINE_DURATION_BOUNDS, DURATION_BOUNDS), Histogram(DURATION_BOUNDS)
    for value in values:
        fine.observe(value)
        coarse.observe(value)
    assert buckets(fine) == buckets(coarse)
    assert (fine.count, fine.total) == (coarse.count, coarse.total)
    assert fine.count == len(values)


@given(value=st.floats(0, 200) | st.sampled_from(FINE_DURATION_BOUNDS))
def test_a_value_is_in_the_cell_whose_bounds_it_lies_between(value: float) -> None:
    histogram = Histogram(FINE_DURATION_BOUNDS)
    histogram.observe(value)
    ((bound, count),) = histogram.cells()
    assert count == 1
    assert value <= bound
    assert all(other < value for other in FINE_DURATION_BOUNDS if other < bound)


def test_two_histograms_are_added_up() -> None:
    one, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    one.observe(0.5, times=2)
    other.observe(1.5)
    other.observe(9.0)
    assert dict((one + other).cells()) == {1.0: 2, 2.0: 1, inf: 1}
    assert ((one + other).total, dict(one.cells())) == (11.5, {1.0: 2})
