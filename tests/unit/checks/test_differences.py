"""Evidence about the difference of two means, and how often it errs although it is looked at all the time."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pytest

from modelwright.checks.differences import Sum, difference_interval, mean_interval, more_than, together
from modelwright.checks.evidence import rate_above, rate_below
from modelwright.checks.quantiles import RESERVE

ALPHA = 0.05
LOOKS = range(20, 1001, 20)


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(15)


@pytest.mark.parametrize(
    ("one", "other", "limit"),
    [
        (Sum(300, 1000), Sum(200, 1000), 0.0),
        (Sum(300, 1000), Sum(200, 1000), 0.05),
        (Sum(20, 100), Sum(1000, 20_000), 0.0),
        (Sum(5.5, 20), Sum(0, 300), 0.0),
        (Sum(900, 1000), Sum(950, 1000), -0.2),
        (Sum(100, 1000), Sum(200, 1000), 0.0),
    ],
)
def test_the_evidence_is_the_smallest_at_any_point(one: Sum, other: Sum, limit: float) -> None:
    def at(point: float) -> float:
        above = rate_above(one.total, one.samples, point + limit)
        below = rate_below(other.total, other.samples, point)
        return float(sum(np.logaddexp(log(RESERVE), log(1 - RESERVE) + each) for each in (above, below)))

    points = np.linspace(max(0.0, -limit), min(1.0, 1 - limit), 2001)
    assert more_than(one, other, limit) == pytest.approx(min(map(at, points)), abs=0.1)


def test_evidence_grows_with_samples_and_falls_with_the_limit() -> None:
    one, other = Sum(30, 100), Sum(20, 100)
    assert more_than(one, other, 0.0) < 0
    assert more_than(one.scaled(10), other.scaled(10), 0.0) > 6
    assert more_than(one.scaled(10), other.scaled(10), 0.05) < 2


def test_equal_revisions_are_hardly_ever_found_to_differ_at_any_look(chance: np.random.Generator) -> None:
    """One that is worse by exactly as much as it may be: looked at 50 times."""
    wrong = 0
    for _ in range(80):
        one = np.cumsum(chance.random(1000) < 0.15)
        other = np.cumsum(chance.random(5000) < 0.10)
        wrong += any(
            more_than(Sum(one[at - 1], at), Sum(other[5 * at - 1], 5 * at), 0.05) >= log(1 / ALPHA)
            for at in LOOKS
            if one[at - 1] / at - other[5 * at - 1] / 5 / at > 0.08
        )
    assert wrong <= 4


def test_the_interval_holds_the_difference(chance: np.random.Generator) -> None:
    for _ in range(20):
        one, other = (Sum(chance.binomial(400, rate), 400) for rate in (0.3, 0.2))
        around = difference_interval(one, other, ALPHA)
        assert around.low < 0.1 < around.high
        assert around.low < one.mean - other.mean < around.high
        assert more_than(one, other, around.low - 0.002) >= log(1 / ALPHA)
    nothing = difference_interval(Sum(0, 0), Sum(0, 0), ALPHA)
    assert (nothing.low, nothing.high) == (-1, 1)


@pytest.mark.parametrize("shape", ["exponential", "normal"])
def test_the_interval_of_a_mean_holds_at_every_look(chance: np.random.Generator, shape: str) -> None:
    wrong = 0
    for _ in range(400):
        drawn = chance.exponential(1.0, 1000) if shape == "exponential" else chance.normal(1.0, 1.0, 1000)
        sums, squares = np.cumsum(drawn), np.cumsum(drawn**2)
        around = [mean_interval(Sum(sums[at - 1], at, squares[at - 1]), ALPHA) for at in LOOKS if at >= 100]
        wrong += any(not each.low <= 1.0 <= each.high for each in around)
    assert wrong / 400 < 2 * ALPHA
    last = around[-1]
    assert last.high - last.low < 0.4


def test_one_number_has_no_interval() -> None:
    around = mean_interval(Sum(1.0, 1, 1.0), ALPHA)
    assert (around.low, around.high) == (-inf, inf)


def test_tests_of_one_hypothesis_share_the_stake() -> None:
    assert together([log(40)], tests=4) == pytest.approx(log(10))
    assert together([log(40), log(40)], tests=4) == pytest.approx(log(20))
    assert together([], tests=4) == -inf
    assert together([-inf], tests=4) == -inf
