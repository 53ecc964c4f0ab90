"""The tables of docs/verdicts.md: what is simulated for each row, and how the rows are shown."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
from bench.report import table
from numpy.typing import NDArray

from modelwright.checks.budget import check_alpha
from modelwright.checks.verdict import Demands
from verdicts import counted, timed, whole
from verdicts.checked import compared_rollout
from verdicts.counted import NEVER
from verdicts.looks import DAY, GROWTH, GROWTH_OF_DURATIONS, HOUR, MINUTE, Chance, samples_at, share

Cells = list[str]
# A check alone in the first step, which has the most of the budget that a check can have; and one of as many as can be.
ALONE = Demands(check_alpha(whole.BUDGET, 1, 1), whole.MIN_SAMPLES, whole.MIN_FAILURES)
AMONG_SIX = Demands(check_alpha(whole.BUDGET, 1, 6), whole.MIN_SAMPLES, whole.MIN_FAILURES)
RATES = (1, 10, 100, 1000)
# The most requests of a step of which durations are simulated.
LIMITED = 1e5
HOLDS = {MINUTE: "a minute", HOUR: "an hour", DAY: "a day"}
SHAPES: dict[str, timed.Shape] = {
    "narrow": partial(timed.lognormal, sigma=0.3),
    "wide": partial(timed.lognormal, sigma=0.5),
    "heavy tail": timed.heavy,
}


@dataclass(frozen=True)
class Row:
    """A row of a table: computed by `simulate` from a source of chance and the number of rollouts."""

    table: str
    name: str
    simulate: Callable[[Chance, int], Cells]

    @property
    def key(self) -> str:
        """Identifies the row among all."""
        return f"{self.table}: {self.name}"

    def cells(self, rollouts: int) -> Cells:
        """Simulates it. The same name gives the same numbers."""
        seed = zlib.crc32(self.key.encode())
        return [self.name, *self.simulate(np.random.default_rng(seed), rollouts)]


def false_alarms(rate: float, hold: float, growth: float, chance: Chance, rollouts: int) -> Cells:
    """The error rate, looked at every 2 seconds: at its limit and at 80 % of it."""
    samples = samples_at(rate, hold, growth)
    bounds = {
        "ours": counted.fewest(counted.error_rate(whole.LIMIT, ALONE), samples),
        "fixed": counted.fewest(counted.fixed_interval(whole.LIMIT), samples),
    }
    cells = [f"{samples_at(rate, hold, 1.0).size:,}"]
    for true in (whole.LIMIT, 0.8 * whole.LIMIT):
        found = counted.first_failures(counted.hits_at(chance, true), samples, bounds, rollouts)
        cells += [percent(share(found[name] != NEVER)) for name in ("ours", "fixed")]
    return cells


def clustered(rows: int, likeness: float, chance: Chance, rollouts: int) -> Cells:
    """Agreement at its limit: a request a second for an hour."""
    samples = samples_at(1, HOUR)
    limit = 1 - whole.LEAST_AGREEMENT
    bounds = {
        "ours": counted.fewest(counted.agreement(whole.LEAST_AGREEMENT, ALONE), samples, rows),
        "fixed": counted.fewest(counted.fixed_interval(limit, 1, rows), samples, rows),
    }
    cells = []
    for true in (limit, 0.8 * limit):
        found = counted.first_failures(
            counted.parts_at(chance, true, rows, likeness), samples, bounds, rollouts
        )
        cells += [percent(share(found[name] != NEVER)) for name in ("ours", "fixed")]
    return cells


def found_after(true: float, chance: Chance, rollouts: int) -> Cells:
    """How many requests it takes until a canary that fails so many of them is found, at several rates of requests."""
    cells = []
    for demands, rate in ((ALONE, 5), (AMONG_SIX, 5), (ALONE, 1), (ALONE, 100), (ALONE, 1000)):
        samples = samples_at(rate, DAY)
        bounds = {"ours": counted.fewest(counted.error_rate(whole.LIMIT, demands), samples)}
        if demands is ALONE and rate == 5:
            bounds["fixed"] = counted.fewest(counted.fixed_interval(whole.LIMIT), samples)
        found = counted.first_failures(counted.hits_at(chance, true), samples, bounds, rollouts)
        cells += [middle_and_last(each) for each in found.values()]
    return cells


def disagreement_found(true: float, chance: Chance, rollouts: int) -> Cells:
    """The same for agreement, whose limit is 0.95: one row in each request, and 100 rows."""
    cells = []
    for rows, likeness in ((1, 1.0), (100, 1.0), (100, 0.2)):
        samples = samples_at(1, HOUR)
        bounds = {"ours": counted.fewest(counted.agreement(whole.LEAST_AGREEMENT, AMONG_SIX), samples, rows)}
        draw = counted.parts_at(chance, 1 - true, rows, likeness)
        cells.append(middle_and_last(counted.first_failures(draw, samples, bounds, rollouts)["ours"]))
    return cells


def difference_found(true: float, chance: Chance, rollouts: int) -> Cells:
    """The same for differences: so large a share of the answers is farther apart than `maxDifference`."""
    samples = samples_at(1, DAY)
    bounds = {"ours": counted.fewest(counted.error_rate(whole.LIMIT, AMONG_SIX), samples)}
    draw = counted.hits_at(chance, true)
    return [middle_and_last(counted.first_failures(draw, samples, bounds, rollouts)["ours"])]


def slow_found(shape: timed.Shape, median: float, slower: float, chance: Chance, rollouts: int) -> Cells:
    """How many answers of each revision it takes until `slower` times as slow fails, and until an equal one passes."""
    increase = whole.INCREASE
    stable = timed.Durations.of(shape(median))
    looks = samples_at(50, HOUR, GROWTH_OF_DURATIONS)
    cells = []
    for times in (slower, 1.0):
        canary = timed.Durations.of(shape(median * times))
        for rank, enough in ((0.5, 1000), (0.99, 20_000)):
            percentile = timed.Percentile(canary, stable, rank, 1 + increase)
            if times == 1:
                percentile = timed.Percentile(stable, canary, rank, 1 / (1 + increase))
            found = timed.first_failures(
                chance, {"": (percentile, AMONG_SIX.alpha)}, (looks, looks), rollouts
            )[""]
            answers = np.where(found == NEVER, NEVER, looks[found])
            cells.append(middle_and_last(answers))
            if times != 1:
                cells.append(percent(share((answers != NEVER) & (answers <= enough))))
    return cells


def equally_slow(shape: timed.Shape, weight: float, increase: float, chance: Chance, rollouts: int) -> Cells:
    """A canary exactly as slow as it may be: ten requests a second for an hour."""
    canary, stable = timed.Durations.of(shape(0.002 * (1 + increase))), timed.Durations.of(shape(0.002))
    requests = samples_at(10, HOUR, 1.15)
    own = np.floor(requests * weight + 1e-9).astype(np.int64)
    percentiles = {
        f"{rank}": (timed.Percentile(canary, stable, rank, 1 + increase), ALONE.alpha) for rank in (0.5, 0.99)
    }
    found = timed.first_failures(chance, percentiles, (own, requests - own), rollouts)
    return [percent(share(each != NEVER)) for each in found.values()]


def late(before: int, chance: Chance, rollouts: int) -> Cells:
    """How many requests it takes if a revision fails none of so many at first, and then some."""
    cells = []
    for true in (0.05, 0.2, 1.0):
        after = samples_at(5, DAY)
        bounds = {"ours": counted.fewest(counted.error_rate(whole.LIMIT, ALONE), before + after)}
        found = counted.first_failures(counted.hits_at(chance, true), after, bounds, rollouts)["ours"]
        cells.append(middle_and_last(found))
    return cells


def whole_rates(number: int, harm: float, chance: Chance, rollouts: int) -> Cells:
    """The share of rollouts that a step's checks of rates fail, for each of RATES and HOLDS in turn."""
    most = max(RATES) * max(HOLDS)
    return _by_case(whole.rates_of(chance, whole.STEPS[number - 1], harm, rollouts, most))


def whole_durations(number: int, chance: Chance, rollouts: int) -> Cells:
    """The same of its checks of durations, exactly at their limits."""
    step, slower = whole.STEPS[number - 1], 1 + whole.INCREASE
    return _by_case(whole.durations_of(chance, step, SHAPES["narrow"], slower, rollouts, LIMITED))


def _by_case(found: Iterable[whole.Found]) -> Cells:
    failures = list(found)
    return [f"{share(whole.failed(failures, rate, hold))!r}" for rate in RATES for hold in HOLDS]


def whole_table(parts: Sequence[Cells]) -> list[Cells]:
    """Whole rollouts by rate of requests and hold of each step, from the rows of the two functions above.

    Their steps and checks are independent, so the probabilities that none of them fails are multiplied. Durations are
    at their limits in both.
    """
    lines = []
    for case, (rate, hold) in enumerate((rate, hold) for rate in RATES for hold in HOLDS):
        passed = {name: 1 - float(cells[case]) for name, *cells in parts}

        def fails(at: str, steps: Iterable[whole.Step], passed: dict[str, float] = passed) -> str:
            names = [f"{kind}, {step.number}" for kind in (at, "durations") for step in steps]
            return percent(1 - prod(passed.get(name, 1.0) for name in names))

        steps = [fails("limit", [step]) for step in whole.STEPS]
        lines.append(
            [f"{rate:,}/s, {HOLDS[hold]}", fails("limit", whole.STEPS), *steps, fails("80 %", whole.STEPS)]
        )
    return lines


def agreed(chance: Chance, rollouts: int) -> Cells:
    """Compares the simulation with the product's judge: verdicts, and how many of them failed."""
    found = [compared_rollout(chance) for _ in range(rollouts // 400)]
    return [f"{sum(all_of for all_of, _ in found):,}", f"{sum(failed for _, failed in found):,}"]


def percent(value: float) -> str:
    """A share as people read it, with two digits; with more where it is nearly all."""
    digits = f"{100 * value:.2f}" if 0.95 < value < 1 else f"{100 * value:.2g}"
    return f"{float(digits):g} %"


def middle_and_last(first: NDArray[np.int64]) -> str:
    """The median, and the 99th percentile. Rollouts in which nothing was found count as endless."""
    endless = np.where(first == NEVER, np.iinfo(np.int64).max, first)
    middle, last = np.quantile(endless, [0.5, 0.99], method="inverted_cdf")
    return " / ".join("-" if each == np.iinfo(np.int64).max else f"{each:,}" for each in (middle, last))


ERRORS, WHOLE, AGREEMENT, EQUAL, FOUND, LATE, LABELS, DIFFERENCE, SLOW, CHECKED = (
    "errors", "whole", "agreement", "equal", "found", "late", "labels", "difference", "slow", "checked"
)  # fmt: skip
ROLLOUTS = "rollouts"
HEADS = {
    ERRORS: ("requests to the canary, hold", "looks", "at the limit", "*fixed*", "at 80 % of it", "*fixed*"),
    WHOLE: ("requests, each step", "all at their limits", "shadow", "5 %", "50 %", "bake", "rates at 80 %"),
    AGREEMENT: ("a request has", "at the limit", "*fixed, by label*", "at 80 % of it", "*fixed, by label*"),
    EQUAL: ("durations; canary's share; limit", "p50", "p99"),
    FOUND: ("it fails", "5/s", "*fixed*", "5/s, one of six checks", "1/s", "100/s", "1,000/s"),
    LATE: ("good requests before", "then fails 5 %", "20 %", "100 %"),
    LABELS: ("it agrees in", "1 row", "100 rows, all alike", "100 rows, correlation 0.2"),
    DIFFERENCE: ("too far apart", "compared answers"),
    SLOW: (
        *("durations, median", "p50: fails after", "by 1,000", "p99: fails after", "by 20,000"),
        *("p50: equal passes after", "p99: equal passes after"),
    ),
    CHECKED: ("", "verdicts", "of them failures"),
}


def rows() -> list[Row]:
    """All rows, those that take longest first."""
    found = [
        Row(SLOW, f"{name}, {median * 1000:g} ms", partial(slow_found, SHAPES[name], median, 2.0))
        for name, medians in (
            ("heavy tail", (4e-3,)),
            ("wide", (2e-4, 0.2)),
            ("narrow", (2e-4, 4e-3, 0.2)),
        )
        for median in medians
    ]
    found += [Row(WHOLE, f"durations, {number}", partial(whole_durations, number)) for number in (1, 2, 3)]
    found += [
        Row(EQUAL, f"{name}; {percent(weight)}; {most:g}", partial(equally_slow, SHAPES[name], weight, most))
        for name, weight, most in (("heavy tail", 0.5, 0.0), ("narrow", 0.5, 0.0), ("narrow", 0.05, 0.5))
    ]
    found += [
        Row(WHOLE, f"{at}, {step.number}", partial(whole_rates, step.number, harm))
        for at, harm in (("limit", 1.0), ("80 %", 0.8))
        for step in whole.STEPS
    ]
    found += [
        Row(AGREEMENT, name, partial(clustered, count, likeness))
        for name, count, likeness in (
            ("1 row", 1, 1.0),
            ("100 rows, all alike", 100, 1.0),
            ("100 rows, correlation 0.5", 100, 0.5),
            ("100 rows, correlation 0.1", 100, 0.1),
        )
    ]
    found += [Row(ERRORS, "5/s, an hour", partial(false_alarms, 5, HOUR, GROWTH))]
    found += [
        Row(ERRORS, f"{rate:,}/s, {name}", partial(false_alarms, rate, hold, GROWTH))
        for rate in RATES
        for hold, name in HOLDS.items()
    ]
    found += [Row(ERRORS, "5/s, an hour, every look", partial(false_alarms, 5, HOUR, 1.0))]
    found += [
        Row(FOUND, percent(true), partial(found_after, true)) for true in (0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1)
    ]
    found += [
        Row(LATE, f"{before:,}", partial(late, before)) for before in (0, 1000, 10_000, 100_000, 360_000)
    ]
    found += [Row(LABELS, percent(true), partial(disagreement_found, true)) for true in (0.9, 0.8, 0.5, 0.0)]
    found += [
        Row(DIFFERENCE, percent(true), partial(difference_found, true)) for true in (0.02, 0.05, 0.2, 1)
    ]
    return [*found, Row(CHECKED, "whole rollouts", agreed)]


def tables(found: Iterable[tuple[str, Cells]]) -> dict[str, str]:
    """The tables in Markdown, by name."""
    by_table: dict[str, list[Cells]] = {}
    for name, cells in found:
        by_table.setdefault(name, []).append(cells)
    if WHOLE in by_table:
        by_table[WHOLE] = whole_table(by_table[WHOLE])
    return {name: table(HEADS[name], lines) for name, lines in by_table.items()}
