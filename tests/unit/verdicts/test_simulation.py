"""A short run of `make verdicts`: what docs/verdicts.md promises holds, and the simulation decides as the product does.

Seeds are fixed, and each bound is many standard deviations away from what is expected.
"""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np
import pytest
from verdicts import counted, tables, timed, whole
from verdicts.checked import compared_rollout
from verdicts.counted import NEVER
from verdicts.looks import HOUR, samples_at, share, thinned

from modelwright.api.inferenceservice import Analysis
from modelwright.checks import evidence
from modelwright.checks.quantiles import Histogram, Ratio
from modelwright.inferenceservice.analysis import judge
from modelwright.inferenceservice.analysis.counts import StepCounts

ROLLOUTS = 4000
NARROW = partial(timed.lognormal, sigma=0.3)


@pytest.fixture
def chance() -> np.random.Generator:
    return np.random.default_rng(20)


def test_looks_are_every_two_seconds_where_something_new_was_counted() -> None:
    assert samples_at(5, 10, 1.0).tolist() == [10, 20, 30, 40, 50]
    assert samples_at(0.1, 60, 1.0).tolist() == [1, 2, 3, 4, 5, 6]
    assert samples_at(5, HOUR, 1.0).size == 1800
    assert thinned(np.array([10, 11, 12, 20, 21]), 1.5).tolist() == [10, 20, 21]


@pytest.mark.parametrize(
    ("fails", "parts"),
    [
        (counted.error_rate(0.01, tables.ALONE), 1),
        (counted.error_rate(0.5, tables.AMONG_SIX), 1),
        (counted.agreement(0.95, tables.ALONE), 10),
        (counted.fixed_interval(0.01), 1),
    ],
)
def test_the_fewest_hits_that_fail_are_those_that_a_search_from_0_finds(
    fails: counted.Fails, parts: int
) -> None:
    samples = np.array([1, 2, 3, 10, 57, 100, 400])
    by_search = [
        next((hits for hits in range(number * parts + 1) if fails(hits / parts, number)), number * parts + 1)
        for number in samples.tolist()
    ]
    assert counted.fewest(fails, samples, parts).tolist() == by_search


def test_the_limit_is_exceeded_by_chance_in_fewer_rollouts_than_promised(chance: np.random.Generator) -> None:
    samples = samples_at(5, HOUR)
    bounds = {
        "ours": counted.fewest(counted.error_rate(0.01, tables.ALONE), samples),
        "fixed": counted.fewest(counted.fixed_interval(0.01), samples),
    }
    at_limit = counted.first_failures(counted.hits_at(chance, 0.01), samples, bounds, ROLLOUTS)
    assert share(at_limit["ours"] != NEVER) < 0.012
    assert share(at_limit["fixed"] != NEVER) > 0.2
    within = counted.first_failures(counted.hits_at(chance, 0.008), samples, bounds, ROLLOUTS)
    assert share(within["ours"] != NEVER) < 0.005


@pytest.mark.parametrize(("true", "most"), [(0.05, 130), (0.2, 20), (1.0, 10)])
def test_a_bad_canary_is_found_soon(chance: np.random.Generator, true: float, most: int) -> None:
    samples = samples_at(5, HOUR)
    bounds = {"": counted.fewest(counted.error_rate(0.01, tables.ALONE), samples)}
    found = counted.first_failures(counted.hits_at(chance, true), samples, bounds, ROLLOUTS)[""]
    assert (found != NEVER).all()
    assert np.median(found) <= most


@pytest.mark.parametrize("likeness", [1.0, 0.5])
def test_a_request_of_many_rows_is_one_sample(chance: np.random.Generator, likeness: float) -> None:
    samples = samples_at(1, HOUR / 6)
    bounds = {
        "ours": counted.fewest(counted.agreement(0.95, tables.ALONE), samples, 100),
        "by label": counted.fewest(counted.fixed_interval(0.05, 1, 100), samples, 100),
    }
    found = counted.first_failures(counted.parts_at(chance, 0.05, 100, likeness), samples, bounds, ROLLOUTS)
    assert share(found["ours"] != NEVER) < 0.025
    assert share(found["by label"] != NEVER) > 0.5


@pytest.mark.parametrize("samples", [(3, 7), (50, 2000), (20_000, 20_000), (10**8, 10**7)])
@pytest.mark.parametrize("rank", [0.5, 0.99])
def test_many_rollouts_at_once_have_the_evidence_of_each(
    chance: np.random.Generator, samples: tuple[int, int], rank: float
) -> None:
    slow, fast = timed.Durations.of(timed.heavy(0.003)), timed.Durations.of(timed.lognormal(0.002, 0.5))
    above, below = slow.drawn(chance, samples[0], 20), fast.drawn(chance, samples[1], 20)
    for factor in (0.7, 1.0, 1.49, 2.0):
        found = timed.Percentile(slow, fast, rank, factor).evidence(above, below)
        each = [
            Ratio(Histogram(slow.cells(one)), Histogram(fast.cells(other)), rank).evidence(factor)
            for one, other in zip(above, below, strict=True)
        ]
        assert found.tolist() == pytest.approx(each, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("limit", [0.01, 0.5, 0.99])
def test_the_evidence_of_many_rates_is_that_of_each(limit: float) -> None:
    hits = np.arange(0, 1001, 50)
    each = [evidence.rate_above(number, 1000, limit) for number in hits.tolist()]
    assert timed.rate_above(hits, 1000, limit).tolist() == pytest.approx(each)


def test_durations_are_distributed_over_the_cells_of_the_server() -> None:
    durations = timed.Durations.of(NARROW(0.002))
    assert durations.probability.sum() == pytest.approx(1)
    middle = int(np.searchsorted(durations.probability.cumsum(), 0.5))
    assert durations.lower[middle] < 0.002 <= durations.upper[middle]
    ratios = durations.upper[1:] / durations.upper[:-1]
    assert ratios.max() <= 1.05
    assert timed.Durations.of(timed.heavy(100.0)).upper[-1] == inf


def test_rows_of_a_request_are_as_alike_as_asked_for(chance: np.random.Generator) -> None:
    for likeness in (0.1, 0.5, 1.0):
        hits = counted.parts_at(chance, 0.05, 100, likeness)(1, 200_000) / 100
        assert hits.mean() == pytest.approx(0.05, rel=0.03)
        # Of two rows: the variance of their mean is made of their own and of what they have in common.
        assert hits.var() / (0.05 * 0.95) == pytest.approx(likeness + (1 - likeness) / 100, rel=0.03)


def slow(chance: np.random.Generator, times: float, rank: float, looks: np.ndarray) -> np.ndarray:
    """How many answers of each it takes until the check of an increase of 0.5 fails, one of six."""
    canary, stable = timed.Durations.of(NARROW(0.002 * times)), timed.Durations.of(NARROW(0.002))
    percentile = timed.Percentile(canary, stable, rank, 1.5)
    found = timed.first_failures(chance, {"": (percentile, tables.AMONG_SIX.alpha)}, (looks, looks), 400)[""]
    return np.where(found == NEVER, 10**9, looks[found])


def test_twice_as_slow_is_found_by_the_median_and_by_the_99th_percentile(chance: np.random.Generator) -> None:
    assert share(slow(chance, 2.0, 0.5, np.array([100, 300, 1000])) <= 1000) > 0.99
    assert share(slow(chance, 2.0, 0.99, np.array([1000, 5000, 20_000])) <= 20_000) > 0.99


def test_as_slow_as_allowed_is_not_found(chance: np.random.Generator) -> None:
    for rank in (0.5, 0.99):
        assert share(slow(chance, 1.5, rank, np.array([10, 100, 1000, 10_000])) < 10**9) < 0.025


def test_whole_rollouts_at_all_limits_keep_the_budget(chance: np.random.Generator) -> None:
    failed = np.zeros(ROLLOUTS, dtype=bool)
    for step in whole.STEPS:
        failed |= whole.failed(list(whole.rates_of(chance, step, 1.0, ROLLOUTS, 1e4)), 10, 1000)
    # Half of the budget is 14 standard deviations below all of it.
    assert share(failed) < whole.BUDGET / 2


def test_the_judge_decides_each_rollout_as_the_simulation_does(chance: np.random.Generator) -> None:
    verdicts, failures = map(sum, zip(*(compared_rollout(chance) for _ in range(4)), strict=True))
    assert verdicts == 4 * 3 * 20 * 6
    assert failures


def test_a_bad_hour_of_all_callers_is_not_the_canarys_fault(chance: np.random.Generator) -> None:
    """Behind a Gateway each request is answered by one revision. Both fail 5 % of theirs; then only the canary."""
    analysis, behind = Analysis(max_error_rate=0.01), judge.Measurement(gateway=True)

    def fails(stable_rate: float) -> bool:
        own = usual = own_failed = usual_failed = 0
        for _ in range(15):
            own, own_failed = own + 40, own_failed + int(chance.binomial(40, 0.05))
            usual, usual_failed = usual + 160, usual_failed + int(chance.binomial(160, stable_rate))
            counts = StepCounts(
                since="",
                answered={"200": own - own_failed, "500": own_failed},
                stable_answered={"200": usual - usual_failed, "500": usual_failed},
            )
            if any(verdict.result == "Fail" for verdict in judge.checks(analysis, counts, behind)):
                return True
        return False

    assert sum(fails(0.05) for _ in range(100)) == 0
    assert sum(fails(0.001) for _ in range(20)) >= 15
