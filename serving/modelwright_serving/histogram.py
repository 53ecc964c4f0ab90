"""A histogram that costs little per value and shows itself to Prometheus when it is scraped.

One that has fine cells counts a value once as well: the coarse buckets for Prometheus are sums of whole cells.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, inf, log

import numpy as np
from prometheus_client.core import HistogramMetricFamily

DURATION_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
# Between the upper and the lower bound of a fine cell. The bounds are rounded, so that they are short as text.
MOST_RATIO = 1.05
_RATIO = 1.048


def fine(coarse: tuple[float, ...], low: float, high: float) -> tuple[float, ...]:
    """Bounds from `low` to `high`, neighbours at most MOST_RATIO apart, and those of `coarse` among them."""
    stops = (low, *coarse, high)
    bounds = [low]
    for start, end in pairwise(stops):
        cells = ceil(log(end / start) / log(_RATIO))
        bounds += [float(f"{start * (end / start) ** (cell / cells):.4g}") for cell in range(1, cells)]
        bounds.append(end)
    return tuple(bounds)


_MOST_PENDING = 256

# Seconds. The first cell begins at 0: no request is as quick.
FINE_DURATION_BOUNDS = fine(DURATION_BOUNDS, 2e-5, 120.0)


class Histogram:
    """Counts per cell; a tenth of the cost of a locked, labelled one.

    Values are put into their cells many at a time: finding the cell of each on its own costs several times as much.

    `bounds`: the upper bounds of the cells, of which each includes its own; what is above the last is one more cell.
    `shown`: those of the buckets for Prometheus, which have to be among them; all of them by default.
    """

    __slots__ = ("_bounds", "_counts", "_edges", "_pending", "_shown", "_sum")

    def __init__(self, bounds: tuple[float, ...], shown: tuple[float, ...] | None = None) -> None:
        self._bounds = bounds
        self._edges = np.array(bounds)
        self._shown = bounds if shown is None else shown
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._pending: list[float] = []
        self._sum = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return int(self._counts.sum()) + len(self._pending)

    @property
    def total(self) -> float:
        """The sum of all values."""
        self._sort()
        return self._sum

    def observe(self, value: float, times: int = 1) -> None:
        if times == 1:
            pending = self._pending
            pending.append(value)
            if len(pending) == _MOST_PENDING:
                self._sort()
        else:
            self._counts[bisect_left(self._bounds, value)] += times
            self._sum += value * times

    def _sort(self) -> None:
        """Put the values that came since into their cells."""
        if self._pending:
            cells = np.searchsorted(self._edges, self._pending)
            self._counts += np.bincount(cells, minlength=len(self._counts))
            self._sum += sum(self._pending)
            self._pending.clear()

    def __add__(self, other: "Histogram") -> "Histogram":
        """The values of both, which have to have the same bounds."""
        self._sort()
        other._sort()
        both = Histogram(self._bounds, self._shown)
        both._counts = self._counts + other._counts
        both._sum = self._sum + other._sum
        return both

    def quantile(self, share: float) -> float | None:
        """The upper bound of the cell that holds this quantile, such as 0.99; None without values."""
        left = share * self.count
        for bound, count in self.cells():
            left -= count
            if left <= 0:
                return bound
        return None

    def cells(self) -> Iterator[tuple[float, int]]:
        """The upper bound and the count of each cell that is not empty, in order."""
        self._sort()
        for bound, count in zip((*self._bounds, inf), self._counts.tolist(), strict=True):
            if count:
                yield bound, count

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        self._sort()
        below = np.cumsum(self._counts).tolist()
        buckets = [(str(bound), below[bisect_left(self._bounds, bound)]) for bound in self._shown]
        family.add_metric(labels, [*buckets, ("+Inf", below[-1])], sum_value=self._sum)
