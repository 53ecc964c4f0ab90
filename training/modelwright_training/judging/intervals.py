"""Confidence intervals of metrics: the expanded percentile bootstrap over the rows of a hold-out, or over their groups.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Where rows belong together (those of one
customer), whole groups are drawn: rows of a group say the same again, and intervals by rows would be too narrow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.special import ndtr, stdtrit

from modelwright_training.judging.scorers import Codes, Floats, Scorer

LEVEL = 0.95
MOST, LEAST = 1000, 200
# Rows times the passes over them that a metric takes, in all resamples: a few seconds.
WORK = 40_000_000
# The share of resamples in which a metric may have no value (no row of the class was drawn).
UNDEFINED = 0.1
# Between values that are equal but for the order in which they were added up.
EQUAL = 1e-12

Interval = tuple[float, float]
# What is left of a difference of equal numbers in float64.
TINY = 1e-15


@dataclass(frozen=True)
class Intervals:
    """The interval of each metric that has one: those that mostly have a value, and vary between resamples."""

    resamples: int
    values: dict[str, Interval] = field(default_factory=dict)


def resamples(rows: int, passes: int) -> int:
    """How many resamples are drawn: 1,000, or fewer of many rows, but at least 200."""
    return int(np.clip(WORK // (rows * passes), LEAST, MOST))


def draws(
    scorer: Scorer, rows: int, groups: Codes | None, seed: int, count: int, names: Sequence[str]
) -> Floats:
    """The metrics in `names` of `count` resamples of the rows: a row per resample, a column per metric.

    `groups` holds the number of each row's group. The same seed draws the same rows, for whatever scorer: what two of
    them give can be compared resample by resample. Two groups are the least that can be drawn from."""
    units = rows if groups is None else int(groups.max()) + 1
    if units < 2:
        return np.empty((0, len(names)))
    random = np.random.default_rng(seed)
    drawn = np.full((count, len(names)), np.nan)
    for place in range(count):
        times = np.bincount(random.integers(0, units, units), minlength=units).astype(np.float64)
        found = scorer(times if groups is None else times[groups])
        drawn[place] = [found[name] for name in names]
    return drawn


def ends(column: Floats, point: float, units: int, constant: bool = False) -> Interval | None:
    """The interval of a value, given what it is in resamples; None if few of them have one, or if all have the same.

    `point`: the value of all rows. `units`: how many rows or groups it rests on; few of them vary less from resample to
    resample than from hold-out to hold-out, so their interval is wider. `constant`: for a difference, which may be the
    same in all resamples (0)."""
    there = column[np.isfinite(column)]
    if not len(there) or len(there) < len(column) * (1 - UNDEFINED):
        return None
    there[np.abs(there) < TINY] = 0.0
    share = tail(units)
    # With this definition of a quantile the next draw is below it with that probability, also of few draws.
    low, high = np.quantile(there, [share, 1 - share], method="weibull")
    if not constant and high - low <= EQUAL * max(abs(low), abs(high)):
        return None
    # A biased estimate (a calibration error) can lie outside of what is drawn.
    return min(float(low), point), max(float(high), point)


@cache
def tail(units: int) -> float:
    """The share of resamples beyond each end of an interval: 2.5 %, or less of few units.

    The expanded percentile interval: as wide as Student's t would have it, and without what the bootstrap's variance
    lacks, (n - 1) / n of it (Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69,
    2015)."""
    if units < 2:
        return 0.0
    return float(ndtr(-np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 + LEVEL) / 2)))


def bootstrap(
    scorer: Scorer, rows: int, groups: Codes | None, seed: int, count: int, names: list[str]
) -> Intervals:
    """The intervals of the metrics in `names`, as `draws` makes them."""
    drawn = draws(scorer, rows, groups, seed, count, names)
    point = scorer(np.ones(rows))
    units = rows if groups is None else int(groups.max()) + 1
    found = {name: ends(column, point[name], units) for name, column in zip(names, drawn.T, strict=True)}
    return Intervals(len(drawn), {name: interval for name, interval in found.items() if interval})


def wilson(hits: float, count: float) -> Interval:
    """The interval of a proportion, also where it is 0 or 1 (Wilson, Probable Inference, JASA 22, 1927)."""
    z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
    share, extra = hits / count, z**2 / count
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * float(np.sqrt(share * (1 - share) / count + extra / (4 * count)))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == count else high)
