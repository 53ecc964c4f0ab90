"""Confidence intervals of what compares groups: the smallest and the largest of several values, the difference and the
ratio of these two.

The smallest of several estimates is too small, and the more so the more groups there are and the fewer rows they have:
that groups of equal chances look unequal is the rule. So the interval holds for all groups, or all pairs of groups, at
once. Each group has an interval of its own (shares: Wilson, JASA 22, 1927); those of two groups give the one of their
difference (Newcombe, Statistics in Medicine 17, 1998) or ratio (Donner and Zou, Statistical Methods in Medical
Research 21, 2012); its width is that of Tukey and Kramer for all pairs (Hayter, Annals of Statistics 12, 1984).
Where rows belong together, an interval has the width that sums over their units give."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from modelwright_training.judging.intervals import LEVEL, Interval
from modelwright_training.judging.scorers import Codes, Floats

NORMAL = NormalDist()
# The end of an interval that says that groups differ is that of a wider one: few rows must not look unfair.
STRICT = 0.99
# A share of a single unit is worth next to nothing: its interval is all there is, but a number.
LEAST = 1e-6
# The lower and the upper ends of each group's interval, of so many standard errors.
Around = Callable[[float], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Estimates:
    """A value for each group, its interval, and how many rows it is of."""

    values: Floats
    around: Around
    rows: Codes

    def mapped(self, function: Callable[[Floats], Floats]) -> "Estimates":
        """The same of a function of the values that rises with them."""

        def around(z: float) -> tuple[Floats, Floats]:
            low, high = self.around(z)
            return function(low), function(high)

        return Estimates(function(self.values), around, self.rows)


def shares(hits: Floats, groups: Codes, count: int, units: Codes | None = None) -> Estimates:
    """The share of hits (0 or 1) in each of `count` groups; NaN for a group without rows.

    groups, units: for each row the number of its group, and of what it belongs to."""
    rows = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.bincount(groups, hits, count) / rows
    size, wider = _effective(hits, share, groups, rows, units)

    def around(z: float) -> tuple[Floats, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            extra = wider(z) ** 2 / size
            middle = (share + extra / 2) / (1 + extra)
            half = np.sqrt(extra * share * (1 - share) + extra**2 / 4) / (1 + extra)
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half, 1)
        return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)

    return Estimates(share, around, rows)


def means(values: Floats, groups: Codes, count: int, units: Codes | None = None) -> Estimates:
    """The mean of values of at least 0 in each group: on a logarithmic scale, which suits their long tail."""
    rows = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(groups, values, count) / rows
        error, wider = _error(values - mean[groups], groups, rows, units)
        spread = np.where(mean > 0, error / mean, 0.0)

    def around(z: float) -> tuple[Floats, Floats]:
        by = np.exp(np.minimum(wider(z) * spread, 700))
        return mean / by, mean * by

    return Estimates(mean, around, rows)


def log_ratios(
    upper: Floats, lower: Floats, groups: Codes, count: int, units: Codes | None = None
) -> Estimates:
    """The logarithm of the ratio of two means of each group, to first order (the delta method)."""
    rows = np.bincount(groups, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        above, below = (np.bincount(groups, part, count) / rows for part in (upper, lower))
        influence = upper / above[groups] - lower / below[groups]
        error, wider = _error(influence, groups, rows, units)
        value = np.log(above) - np.log(below)
    return Estimates(value, lambda z: (value - wider(z) * error, value + wider(z) * error), rows)


def averages(parts: Sequence[Estimates]) -> Estimates:
    """The mean of several independent estimates."""
    value = np.mean([part.values for part in parts], axis=0)

    def around(z: float) -> tuple[Floats, Floats]:
        ends = [part.around(z) for part in parts]
        below = sum((part.values - low) ** 2 for part, (low, _) in zip(parts, ends, strict=True))
        above = sum((high - part.values) ** 2 for part, (_, high) in zip(parts, ends, strict=True))
        return value - np.sqrt(below) / len(parts), value + np.sqrt(above) / len(parts)

    return Estimates(value, around, np.sum([part.rows for part in parts], axis=0))


def smallest(groups: Estimates) -> Interval:
    """The interval of the smallest value of the groups."""
    low, high = groups.around(_for_each(len(groups.values)))
    return float(low.min()), float(high.min())


def largest(groups: Estimates) -> Interval:
    """The interval of the largest value of the groups."""
    low, high = groups.around(_for_each(len(groups.values)))
    return float(low.max()), float(high.max())


def difference(groups: Estimates, parts: int = 1) -> Interval:
    """The interval of the largest value less the smallest, one of so many independent ones that hold at once."""
    value = groups.values
    low, high = groups.around(for_pairs(len(value), STRICT, parts))
    below = np.sqrt(np.add.outer((value - low) ** 2, (high - value) ** 2))
    low, high = groups.around(for_pairs(len(value), LEVEL, parts))
    above = np.sqrt(np.add.outer((high - value) ** 2, (value - low) ** 2))
    apart, pairs = np.subtract.outer(value, value), _pairs(value)
    return max(0.0, float((apart - below)[pairs].max())), float((apart + above)[pairs].max())


def ratio(groups: Estimates, parts: int = 1) -> Interval:
    """The interval of the smallest value over the largest, of values of at least 0 not all of which are 0; one of so
    many independent ones that hold at once."""
    value, pairs = groups.values, _pairs(groups.values)
    both = np.multiply.outer(value, value)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = groups.around(for_pairs(len(value), LEVEL, parts))
        own, other = low * (2 * value - low), high * (2 * value - high)
        # The lower end of Donner and Zou, with its root in the denominator: that of theirs may be 0.
        root = np.sqrt(np.maximum(both**2 - np.multiply.outer(own, other), 0))
        below = np.nan_to_num(own[:, None] / (both + root), nan=0.0)[pairs]
        low, high = groups.around(for_pairs(len(value), STRICT, parts))
        own, other = low * (2 * value - low), high * (2 * value - high)
        root = np.sqrt(np.maximum(both**2 - np.multiply.outer(other, own), 0))
        above = np.nan_to_num((both + root) / own[None, :], nan=np.inf)[pairs]
    return max(0.0, float(below.min())), min(1.0, float(above.min()))


def _pairs(values: Floats) -> npt.NDArray[np.bool_]:
    return ~np.eye(len(values), dtype=bool)


def worst(intervals: Sequence[Interval], choose: Callable[[Sequence[float]], float]) -> Interval:
    """The interval of the largest or the smallest of several values, whose intervals hold at once."""
    return choose([low for low, _ in intervals]), choose([high for _, high in intervals])


def _for_each(count: int) -> float:
    """The standard errors of `count` independent intervals that hold at once (Sidak, JASA 62, 1967)."""
    return NORMAL.inv_cdf((1 + LEVEL ** (1 / count)) / 2)


@cache
def for_pairs(count: int, level: float, parts: int = 1) -> float:
    """The standard errors of the intervals of all differences of `count` values that hold at once, `parts` times: the
    quantile of the studentized range over the square root of 2; 1.96 for two at 95 %."""
    level = level ** (1 / parts)
    grid = np.linspace(-8, 8, 321)
    weights = np.array([NORMAL.pdf(x) for x in grid]) * (grid[1] - grid[0])
    below = np.array([NORMAL.cdf(x) for x in grid])
    lower, upper = 0.0, 10.0
    for _ in range(40):
        middle = (lower + upper) / 2
        above = np.array([NORMAL.cdf(x + middle * np.sqrt(2)) for x in grid])
        held = count * float(weights @ (above - below) ** (count - 1))
        lower, upper = (middle, upper) if held < level else (lower, middle)
    return upper


def _effective(
    hits: Floats, share: Floats, groups: Codes, rows: Codes, units: Codes | None
) -> tuple[Floats, Callable[[float], Floats]]:
    """How many independent rows the share of each group is worth, and how much wider few units make it."""
    if units is None:
        return rows.astype(np.float64), lambda z: np.full(len(rows), z)
    error, wider = _error(hits - share[groups], groups, rows, units)
    with np.errstate(invalid="ignore", divide="ignore"):
        worth = np.maximum(share * (1 - share) / error**2, LEAST)
    there = _units(groups, units, len(rows))
    return np.where((share > 0) & (share < 1), np.minimum(worth, rows), there), wider


def _error(
    residuals: Floats, groups: Codes, rows: Codes, units: Codes | None
) -> tuple[Floats, Callable[[float], Floats]]:
    """The standard error of each group's mean, given what is left of its rows; and how many of it z stands for, as the
    t distribution has a longer tail than the normal one (Cornish and Fisher, 1937)."""
    count = len(rows)
    if units is None:
        there, sums = rows.astype(np.float64), np.bincount(groups, residuals**2, count)
    else:
        pairs, places = np.unique(np.column_stack([groups, units]), axis=0, return_inverse=True)
        of_units = np.bincount(places.ravel(), residuals)
        there = np.bincount(pairs[:, 0], minlength=count).astype(np.float64)
        sums = np.bincount(pairs[:, 0], of_units**2, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(there > 1, np.sqrt(sums * there / (there - 1)), np.inf) / rows
        freedom = np.maximum(there - 1, 1)
    return error, lambda z: z + (z**3 + z) / (4 * freedom)


def _units(groups: Codes, units: Codes, count: int) -> Floats:
    pairs = np.unique(np.column_stack([groups, units]), axis=0)
    return np.bincount(pairs[:, 0], minlength=count).astype(np.float64)
