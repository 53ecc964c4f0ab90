"""The check of a percentile's increase, case by case."""

from __future__ import annotations

from collections import Counter
from math import ceil, exp, inf, log

import pytest

from modelwright.checks.latency import increase
from modelwright.checks.quantiles import Cells, Histogram
from modelwright.checks.verdict import Demands, Verdict

DEMANDS = Demands(alpha=0.0125, min_samples=100, min_failures=3)
MEDIAN, P99 = 0.5, 0.99
FEW, UNCLEAR = ("Inconclusive", "TooFewSamples"), ("Inconclusive", "IncreaseUnclear")
SLOW, FAST = ("Fail", "TooSlow"), ("Pass", "FastEnough")


def durations(median: float, count: int) -> Cells:
    """So many durations, spread evenly over the logarithms from half of the median to twice of it, in fine cells."""
    cells: Counter[int] = Counter()
    for number in range(count):
        value = median * exp((2 * (number + 0.5) / count - 1) * log(2))
        cells[ceil(log(value, 1.05))] += 1
    return {(1.05 ** (number - 1), 1.05**number): float(count) for number, count in sorted(cells.items())}


def judged(canary: Cells, stable: Cells, rank: float = MEDIAN, most: float = 0.5) -> Verdict:
    return increase("p50Seconds", rank, Histogram(canary), Histogram(stable), most, DEMANDS)


@pytest.mark.parametrize(
    ("canary", "stable", "rank", "expected"),
    [
        ({}, {}, MEDIAN, FEW),
        (durations(0.02, 1_000), {}, MEDIAN, FEW),
        (durations(0.02, 99), durations(0.02, 1_000), MEDIAN, FEW),
        (durations(0.02, 1_000), durations(0.02, 99), MEDIAN, FEW),
        (durations(0.02, 100), durations(0.02, 100), MEDIAN, UNCLEAR),
        (durations(0.02, 1_000), durations(0.02, 1_000), MEDIAN, FAST),
        (durations(0.01, 1_000), durations(0.02, 1_000), MEDIAN, FAST),
        (durations(0.03, 1_000), durations(0.02, 1_000), MEDIAN, UNCLEAR),
        (durations(0.04, 1_000), durations(0.02, 1_000), MEDIAN, SLOW),
        # Much slower is seen at once, however few there are.
        (durations(0.2, 30), durations(0.02, 30), MEDIAN, SLOW),
        (durations(0.0004, 1_000), durations(0.0002, 1_000), MEDIAN, SLOW),
        (durations(0.4, 1_000), durations(0.2, 1_000), MEDIAN, SLOW),
        # The slowest hundredth of 200 is two.
        (durations(0.02, 200), durations(0.02, 200), P99, UNCLEAR),
        (durations(0.02, 20_000), durations(0.02, 20_000), P99, FAST),
        (durations(0.04, 20_000), durations(0.02, 20_000), P99, SLOW),
        # In the wide cells of earlier servers both may be anywhere.
        ({(0.01, 0.1): 1e6}, {(0.01, 0.1): 1e6}, MEDIAN, UNCLEAR),
        ({(1.0, 10.0): 1e6}, {(0.01, 0.1): 1e6}, MEDIAN, SLOW),
        ({(0.01, 0.1): 1e6}, {(1.0, 10.0): 1e6}, MEDIAN, FAST),
        ({(10.0, inf): 1e6}, {(10.0, inf): 1e6}, MEDIAN, UNCLEAR),
    ],
)
def test_latency(canary: Cells, stable: Cells, rank: float, expected: tuple[str, str]) -> None:
    found = judged(canary, stable, rank)
    assert (found.result, found.reason) == expected
    assert found.samples == min(sum(canary.values()), sum(stable.values()))


def test_it_is_told_in_seconds() -> None:
    found = judged(durations(0.04, 1_000), durations(0.02, 1_000)).detailed()
    assert found.value == pytest.approx(0.04, rel=0.05)
    assert found.threshold == pytest.approx(0.03, rel=0.05)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(0.034, rel=0.1)
    assert found.interval.high == pytest.approx(0.046, rel=0.1)


@pytest.mark.parametrize("times", [0.5, 1.0, 1.4, 1.5, 1.6, 1.7, 2.0, 4.0])
@pytest.mark.parametrize("count", [100, 1_000, 10_000])
def test_it_fails_exactly_if_the_interval_is_above_the_threshold(times: float, count: int) -> None:
    found = judged(durations(0.02 * times, count), durations(0.02, count)).detailed()
    assert found.interval is not None
    assert found.threshold is not None
    assert (found.result == "Fail") == (found.interval.low >= found.threshold)
    if found.result == "Pass":
        assert found.interval.high <= found.threshold * 1.01


@pytest.mark.parametrize("times", [1.0, 1.9])
def test_it_says_how_many_samples_would_tell(times: float) -> None:
    found = judged(durations(0.02 * times, 100), durations(0.02, 100)).detailed()
    assert (found.reason, found.beyond) == ("IncreaseUnclear", times > 1.5)
    assert found.samples_needed is not None
    assert 100 < found.samples_needed < 2_000
    later = judged(durations(0.02 * times, found.samples_needed), durations(0.02, found.samples_needed))
    assert later.result == ("Fail" if times > 1.5 else "Pass")


@pytest.mark.parametrize(
    ("canary", "stable"),
    [
        ({(0.01, 0.1): 1e6}, {(0.01, 0.1): 1e6}),
        (durations(0.03, 100), durations(0.02, 100)),
    ],
)
def test_what_no_number_of_samples_would_tell_has_no_number(canary: Cells, stable: Cells) -> None:
    found = judged(canary, stable).detailed()
    assert (found.reason, found.samples_needed) == ("IncreaseUnclear", None)


def test_the_samples_that_the_spec_asks_for_come_first() -> None:
    found = judged(durations(0.02, 50), durations(0.02, 500)).detailed()
    assert (found.samples, found.samples_needed) == (50, 100)
