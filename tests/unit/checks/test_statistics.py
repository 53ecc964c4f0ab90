"""Intervals hold what they promise, and quantiles are those of Prometheus."""

from __future__ import annotations

import random
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.checks.statistics import quantile, quantile_interval, share

BOUNDS = (0.001, 0.01, 0.1, 1.0, inf)


@st.composite
def histograms(draw: st.DrawFn) -> dict[float, float]:
    total, found = 0, {}
    for bound in BOUNDS:
        total += draw(st.integers(0, 500))
        found[bound] = float(total)
    return found


@given(samples=st.integers(1, 10_000), data=st.data())
def test_a_share_lies_in_its_interval_and_the_interval_between_nothing_and_all(
    samples: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, samples))
    found = share(hits, samples)
    assert 0 <= found.low <= hits / samples + 1e-12
    assert hits / samples - 1e-12 <= found.high <= 1


@pytest.mark.parametrize(
    ("hits", "samples", "low", "high"),
    # R: binom::binom.wilson(hits, samples)
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (1, 1000, 0.0002, 0.0056)],
)
def test_the_interval_is_wilsons(hits: int, samples: int, low: float, high: float) -> None:
    found = share(hits, samples)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)


def test_without_samples_everything_is_possible() -> None:
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)
    assert quantile({}, 0.99) is None
    assert quantile_interval(dict.fromkeys(BOUNDS, 0.0), 0.99) is None


def test_the_interval_holds_the_true_share_as_often_as_it_says() -> None:
    chance = random.Random(1)
    for true in (0.01, 0.1, 0.5):
        held = 0
        for _ in range(1000):
            hits = sum(chance.random() < true for _ in range(200))
            found = share(hits, 200)
            held += found.low <= true <= found.high
        assert held > 920, true


@given(buckets=histograms(), ranks=st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_a_higher_rank_is_no_lower_value(buckets: dict[float, float], ranks: list[float]) -> None:
    values = [quantile(buckets, rank) for rank in sorted(ranks)]
    if buckets[inf] == 0:
        assert set(values) == {None}
        return
    known = [value for value in values if value is not None]
    assert all(low <= high + 1e-12 for low, high in pairwise(known))
    assert all(0 <= value <= 1.0 for value in known)


@given(buckets=histograms())
def test_a_quantile_lies_in_its_interval(buckets: dict[float, float]) -> None:
    found, value = quantile_interval(buckets, 0.99), quantile(buckets, 0.99)
    if found is None or value is None:
        assert buckets[inf] == 0
    else:
        assert found.low <= value + 1e-12
        assert value <= found.high + 1e-12


def test_a_quantile_is_what_prometheus_makes_of_a_histogram() -> None:
    # histogram_quantile(0.9, ...) of these counts: 100 + (0.9 * 20 - 10) / 10 * 0.9 in the bucket from 0.1 to 1.
    buckets = {0.1: 10.0, 1.0: 20.0, inf: 20.0}
    assert quantile(buckets, 0.9) == pytest.approx(0.1 + 0.9 * 8 / 10)
    assert quantile({0.1: 0.0, 1.0: 0.0, inf: 5.0}, 0.5) == 1.0, "nothing is known above the last bound"
