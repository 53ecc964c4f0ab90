"""Whether two samples, counted in the same cells, are from one distribution: the statistics. Pure.

Given the cells of both samples together, which rows are in which sample is chance alone if the distribution is one. So
the statistics need no model of it. Counts may be fractions, where rows count as less than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, log, sqrt

Pairs = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Rank:
    """A linear rank statistic. `value`: the mean score of the first sample, less that of the second, in units of the
    standard deviation of the scores of both. `skewness`: that of its distribution."""

    value: float
    skewness: float


@dataclass(frozen=True)
class Ordered:
    """What differs between two samples whose cells have an order."""

    location: Rank
    spread: Rank
    squares: float


def ordered(cells: Pairs) -> Ordered:
    """Returns the differences of two samples. `cells`: in their order, of at least three the rows of both samples.

    The score of a cell is its mid-rank u, from -1/2 to 1/2, for location (Wilcoxon), and its square for spread (Mood).
    """
    first, second = sums(cells)
    total = first + second
    share, passed = first / total, 0.0
    lean = wide = second_moment = third = fourth = sixth = squared = 0.0
    for a, b in cells:
        both = a + b
        score = (passed + both / 2) / total - 0.5
        passed += both
        square = score * score
        lean += a * score
        wide += a * square
        weighted = both * square
        second_moment += weighted
        third += weighted * score
        fourth += weighted * square
        sixth += weighted * square * square
        squared += _square(a, b, both * share, both - both * share)
    scale, asymmetry = total / (first * second), (second - first) / sqrt(first * second * total)
    mean = second_moment / total
    of_location = sqrt(mean)
    of_spread = sqrt(max(fourth / total - mean * mean, 0.0))
    if not of_spread:
        return Ordered(Rank(lean * scale / of_location if of_location else 0.0, 0.0), Rank(0.0, 0.0), squared)
    skew = third / total / (mean * of_location)
    skew_of_spread = (sixth - 3 * mean * fourth + 2 * total * mean**3) / total / of_spread**3
    return Ordered(
        Rank(lean * scale / of_location, asymmetry * skew),
        Rank((wide - first * mean) * scale / of_spread, asymmetry * skew_of_spread),
        squared,
    )


def squares(cells: Pairs) -> float:
    """Returns the squared differences of two samples, which are distributed as chi-square with a degree of freedom less
    than there are cells.

    Of the term of Pearson and that of the likelihood ratio, each cell takes the smaller one: the first overrates a few
    rows where hardly one is expected, the second no rows where some are.
    """
    first, second = sums(cells)
    if not first or not second:
        return 0.0
    share = first / (first + second)
    return sum(_square(a, b, (a + b) * share, (a + b) * (1 - share)) for a, b in cells)


def distance(share: float, expected: float) -> float:
    """Returns the distance of two shares in units of the standard deviation of either: Cohen's h, from -pi to pi."""
    return 2 * (asin(sqrt(min(1.0, share))) - asin(sqrt(min(1.0, expected))))


def joined(cells: Pairs, least: float) -> Pairs:
    """Returns the cells, neighbours joined until each has at least so many rows of both samples together."""
    if all(a + b >= least for a, b in cells):
        return cells
    found: list[tuple[float, float]] = []
    first = second = 0.0
    for a, b in cells:
        first, second = first + a, second + b
        if first + second >= least:
            found.append((first, second))
            first = second = 0.0
    if first + second:
        if not found:
            return [(first, second)]
        a, b = found.pop()
        found.append((a + first, b + second))
    return found


def sums(cells: Pairs) -> tuple[float, float]:
    """Returns the rows of both samples."""
    return sum(a for a, _ in cells), sum(b for _, b in cells)


def most_changed(cells: Pairs) -> int:
    """Returns the number of the cell whose shares differ most, in units of their noise."""
    first, second = sums(cells)

    def change(pair: tuple[float, float]) -> float:
        a, b = pair
        return abs(a * second - b * first) / sqrt(a + b) if a + b else 0.0

    return max(range(len(cells)), key=lambda index: change(cells[index]))


def pairs(first: Sequence[int], second: Sequence[int], weight: float) -> Pairs:
    """Returns the cells of two samples. `weight`: as how many a row of the first one counts."""
    if weight == 1:
        return list(zip(first, second, strict=True))
    return [(count * weight, other) for count, other in zip(first, second, strict=True)]


def _square(a: float, b: float, expected: float, other: float) -> float:
    """The squared difference of a cell: a and b rows where `expected` and `other` are expected."""
    excess = a - expected
    if excess > 0:
        ratio = a * log(a / expected) - excess
        return 2 * max(0.0, ratio) + excess * excess / other
    if excess < 0:
        ratio = b * log(b / other) + excess
        return 2 * max(0.0, ratio) + excess * excess / expected
    return 0.0
