"""Quantiles of histograms, and evidence about the ratio of two of them that may be looked at all the time. Pure.

A histogram is a mapping of cells to counts. The cell (lower, upper] counts the values above `lower` and up to `upper`.
Cells may overlap, as those of two servers with different bounds do. All results hold wherever in its cell a value is.

The number of values up to a point v is binomial, and its rate is compared with the rank of the quantile as `evidence`
does. Only the true quantile matters, so no correction for the choice of v is needed (S. R. Howard, A. Ramdas,
Sequential estimation of quantiles with applications to A/B testing and best-arm identification, Bernoulli 28 (2022),
1704-1728).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import ceil, exp, inf, log, sqrt

from modelwright.checks.evidence import Interval, rate_above, rate_below, times_needed

Cells = Mapping[tuple[float, float], float]
# `rate_above` or `rate_below`.
_Side = Callable[[float, float, float], float]

# The share of the stake that is not wagered: so a point far from both quantiles takes away at most log(1 / RESERVE)
# from what the other histogram shows.
RESERVE = 0.2
# So the evidence of one histogram is never less than this.
LEAST = log(RESERVE)
# The ends of the interval of a ratio are exact to this factor.
STEP = 1.01
# More evidence than this is as good as certain; its exponential would overflow.
MOST = 500.0
# Ratios beyond these are not distinguished.
LARGEST_RATIO = 1e6


@dataclass(frozen=True)
class Histogram:
    """A histogram, with its counts up to each point."""

    cells: Cells

    @cached_property
    def samples(self) -> float:
        """The number of values."""
        return sum(self.cells.values())

    @cached_property
    def possible(self) -> list[tuple[float, float]]:
        """Points in order, each with how many values may lie at or below a point just above it."""
        return _sums((lower, count) for (lower, _), count in self.cells.items())

    @cached_property
    def certain(self) -> list[tuple[float, float]]:
        """Points in order, each with how many values are certainly at or below it."""
        return _sums((upper, count) for (_, upper), count in self.cells.items() if upper < inf)

    def scaled(self, factor: float) -> Histogram:
        """The histogram with `factor` times as many values."""
        return Histogram({cell: count * factor for cell, count in self.cells.items()})


def quantile(histogram: Histogram, rank: float) -> float | None:
    """Returns the value that the share `rank` of the values is below; None without values.

    It is interpolated within its cell. In a cell without an upper bound it is the lower bound.
    """
    wanted, before = rank * histogram.samples, 0.0
    if not histogram.samples:
        return None
    last = 0.0
    for (lower, upper), count in sorted(histogram.cells.items(), key=lambda item: item[0][::-1]):
        if count and before + count >= wanted:
            return lower if upper == inf else lower + (upper - lower) * (wanted - before) / count
        before, last = before + count, lower
    return last


def quantile_interval(histogram: Histogram, rank: float, alpha: float) -> Interval:
    """Returns the values that the quantile may have, each end with the error alpha over all looks."""
    enough, samples = log(1 / alpha), histogram.samples
    low, high = 0.0, inf
    if rate_below(0.0, samples, rank) >= enough:
        low = next(point for point, count in histogram.possible if rate_below(count, samples, rank) < enough)
    for point, count in histogram.certain:
        if rate_above(count, samples, rank) >= enough:
            high = point
            break
    return Interval(low, high)


def share_above(histogram: Histogram, limit: float) -> tuple[float, float]:
    """Returns how many values are certainly, and how many may be, above the limit."""
    certain = sum(
        count for (lower, upper), count in histogram.cells.items() if lower >= limit and upper > limit
    )
    return certain, sum(count for (_, upper), count in histogram.cells.items() if upper > limit)


class Ratio:
    """The ratio of a quantile of one histogram, `above`, to that of another, `below`.

    If the ratio is at most `factor`, there is a point v from the quantile of `above` to `factor` times that of `below`.
    At this point two hypotheses hold: at least the share `rank` of `above` is up to v, and at most that share of
    `below` is up to v / factor. The product of independent e-processes is an e-process. Which point it is is unknown,
    so the smallest product over all points is the evidence against the ratio.
    """

    def __init__(self, above: Histogram, below: Histogram, rank: float) -> None:
        self.above, self.below, self.rank = above, below, rank
        self._starts = [(0.0, 0.0), *above.possible]
        self._bounds = [0.0, *(point for point, _ in below.certain)]
        self._counts = [0.0, *(count for _, count in below.certain)]
        self._known: dict[tuple[_Side, float], float] = {}

    def evidence(self, factor: float) -> float:
        """Returns the natural logarithm of the evidence against the hypothesis that the ratio is at most `factor`."""
        # From point to point `above` shows less and `below` more. So the smallest sum is not far from the point where
        # both show as much, and the rest of them need not be computed.
        last = len(self._starts) - 1
        left, right = 0, last
        while right - left > 1:
            middle = (left + right) // 2
            if self._of_above(middle) > self._of_below(middle, factor):
                left = middle
            else:
                right = middle
        smallest = min(self._at(index, factor) for index in (0, left, right, last))
        while left > 0 and self._of_above(left) + LEAST < smallest:
            left -= 1
            smallest = min(smallest, self._at(left, factor))
        while right < last and self._of_below(right, factor) + LEAST < smallest:
            right += 1
            smallest = min(smallest, self._at(right, factor))
        return smallest

    def at_least(self, alpha: float) -> float:
        """Returns the largest ratio that is rejected as too low, with the error alpha over all looks; 0 if none is."""
        enough = log(1 / alpha)
        low, high = 1 / LARGEST_RATIO, LARGEST_RATIO
        if self.evidence(low) < enough:
            return 0.0
        while high > low * STEP:
            middle = sqrt(low * high)
            if self.evidence(middle) >= enough:
                low = middle
            else:
                high = middle
        return low

    def _at(self, index: int, factor: float) -> float:
        """The evidence at a point: that of both histograms."""
        return self._of_above(index) + self._of_below(index, factor)

    def _of_above(self, index: int) -> float:
        """What the values of `above` up to a point show."""
        _, count = self._starts[index]
        return self._wagered(rate_below, count, self.above.samples)

    def _of_below(self, index: int, factor: float) -> float:
        """What the values of `below` up to a point, divided by the factor, show."""
        point, _ = self._starts[index]
        count = self._counts[bisect_right(self._bounds, point / factor) - 1]
        return self._wagered(rate_above, count, self.below.samples)

    def _wagered(self, side: _Side, count: float, samples: float) -> float:
        """The evidence about one of the histograms when only 1 - RESERVE of the stake is wagered."""
        known = self._known.get((side, count))
        if known is None:
            evidence = min(side(count, samples, self.rank), MOST)
            known = self._known[side, count] = log(RESERVE + (1 - RESERVE) * exp(evidence))
        return known


def ratio_interval(above: Histogram, below: Histogram, rank: float, alpha: float) -> Interval:
    """Returns the ratios of both quantiles that the values do not contradict; `Ratio` rejects all others."""
    most = Ratio(below, above, rank).at_least(alpha)
    return Interval(Ratio(above, below, rank).at_least(alpha), 1 / most if most else inf)


def samples_needed(
    above: Histogram, below: Histogram, rank: float, factor: float, alpha: float
) -> int | None:
    """Returns how many values would show on which side of `factor` the ratio is, if they are distributed as now.

    They are counted in the smaller histogram. None if FARTHEST times as many are too few.
    """
    of_above, of_below = quantile(above, rank), quantile(below, rank)
    if of_above is None or of_below is None:
        return None
    samples = min(above.samples, below.samples)
    is_more = of_above > factor * of_below

    def evidence(times: float) -> float:
        more, base = above.scaled(times), below.scaled(times)
        return (
            Ratio(more, base, rank).evidence(factor)
            if is_more
            else Ratio(base, more, rank).evidence(1 / factor)
        )

    times = times_needed(evidence, log(1 / alpha))
    return None if times is None else ceil(samples * times)


def _sums(counts: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points in order, each with the sum of all counts up to it."""
    by_point: dict[float, float] = defaultdict(float)
    for point, count in counts:
        by_point[point] += count
    points = sorted(by_point)
    return list(zip(points, accumulate(by_point[point] for point in points), strict=True))
