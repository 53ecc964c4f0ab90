"""Cuts numbers into cells and counts them: the rule by which a server counts the same values into the same cells.

Whatever type a value arrives in, it is compared as float64. Cell i holds edges[i-1] < x <= edges[i]."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CELLS = 10
# A value, or a cell, that fewer rows have could point to a person.
FEWEST = 10
# Fewer values have no tenth smallest one that is near their end.
OUTER = 100
# Digits of the spread that the outer limits are rounded to.
COARSE = 3
LARGEST = float(np.finfo(np.float64).max)


def ranked(values: Floats) -> Floats:
    """The values in ascending order, infinite ones as the largest that are finite."""
    return np.sort(np.clip(values, -LARGEST, LARGEST))


def edges(ordered: Floats, apart: float = 0.0) -> list[float]:
    """The inner edges of at most ten cells with about as many values each, at least ten; a frequent value has its own.

    `ordered`: ascending. An edge is in a gap wider than `apart`, and is the number of fewest digits near its middle."""
    if len(ordered) < 2 * FEWEST:
        return []
    with np.errstate(over="ignore"):
        ends = np.append(np.flatnonzero(np.diff(ordered) > apart), len(ordered) - 1)
    below = (ends + 1).astype(np.int64)  # how many values there are up to the end of each block
    cuts = _split(_merged([0, *sorted(_wanted(below)), len(ordered)]), below)
    return [_between(float(ordered[cut - 1]), float(ordered[cut])) for cut in cuts[1:-1]]


def count(values: Floats, between: Sequence[float]) -> list[int]:
    """How many values are in each cell; NaN is none of them."""
    there = values[~np.isnan(values)]
    found: list[int] = np.bincount(
        np.searchsorted(np.asarray(between, dtype=np.float64), there, side="left"), minlength=len(between) + 1
    ).tolist()
    return found


def outer(ordered: Floats) -> tuple[float, float] | None:
    """The tenth smallest and the tenth largest value, rounded outwards; None of fewer than a hundred values."""
    if len(ordered) < OUTER:
        return None
    low, high = float(ordered[FEWEST - 1]), float(ordered[-FEWEST])
    with localcontext() as context:
        context.prec = 400
        spread = Decimal(high) - Decimal(low)
        if not spread:
            return low, high
        step = Decimal(1).scaleb(spread.adjusted() - COARSE + 1)
        ends = (
            (Decimal(low) / step).to_integral_value(ROUND_FLOOR) * step,
            (Decimal(high) / step).to_integral_value(ROUND_CEILING) * step,
        )
    smallest, largest = (min(max(float(end), -LARGEST), LARGEST) for end in ends)
    return smallest, largest


def outside(values: Floats, limits: tuple[float, float] | None) -> int:
    """How many values are beyond the outer limits."""
    return 0 if limits is None else int(((values < limits[0]) | (values > limits[1])).sum())


def rounded(value: float, spread: float) -> float:
    """A number with six significant digits of the spread of what it describes."""
    if not value or not spread:
        return value
    digits = 6 + max(0, Decimal(value).adjusted() - Decimal(spread).adjusted())
    return float(f"{value:.{min(digits, 17)}g}")


def _wanted(below: npt.NDArray[np.int64]) -> set[int]:
    """How many values there are below each edge: the deciles, moved to an end of the block that they are in. A block of
    a tenth of all values gets both of its ends."""
    total = int(below[-1])
    found: set[int] = set()
    for place in range(1, CELLS):
        target = total * place / CELLS
        block = int(np.searchsorted(below, target))
        first, last = int(below[block - 1]) if block else 0, int(below[block])
        if (last - first) * CELLS >= total:
            found |= {first, last}
        else:
            found.add(first if target - first < last - target else last)
    return found - {0, total}


def _merged(cuts: list[int]) -> list[int]:
    """The cuts, without some of them: the smallest cell joins its smaller neighbour while it is too small, or while
    there are too many."""
    while len(cuts) > 2:
        sizes = np.diff(cuts)
        smallest = int(sizes.argmin())
        if sizes[smallest] >= FEWEST and len(sizes) <= CELLS:
            break
        left = sizes[smallest - 1] if smallest > 0 else np.inf
        right = sizes[smallest + 1] if smallest + 1 < len(sizes) else np.inf
        del cuts[smallest if left <= right else smallest + 1]
    return cuts


def _split(cuts: list[int], below: npt.NDArray[np.int64]) -> list[int]:
    """The cuts, with more of them while there are few: the rows beside a very frequent value are in the largest cells
    otherwise. No cell is cut into parts of less than a fortieth of all values."""
    least = max(FEWEST, int(below[-1]) // (4 * CELLS))
    tried: set[int] = set()
    while len(cuts) <= CELLS:
        sizes = {cut: after - cut for cut, after in pairwise(cuts) if cut not in tried}
        start = max(sizes, key=lambda cut: sizes[cut], default=None)
        if start is None:
            break
        middle = start + sizes[start] / 2
        block = int(np.searchsorted(below, middle))
        cut = min(map(int, below[max(block - 1, 0) : block + 1]), key=lambda each: abs(each - middle))
        if min(cut - start, start + sizes[start] - cut) >= least:
            cuts = sorted([*cuts, cut])
        else:
            tried.add(start)
    return cuts


def _between(low: float, high: float) -> float:
    """The number of fewest digits near the middle of `low` and `high`; `low` if there is none between them."""
    middle = low / 2 + high / 2
    for digits in range(1, 18):
        short = float(f"{middle:.{digits}g}")
        if low < short < high:
            return short + 0.0
    return low


def places(values: npt.NDArray[Any], known: Sequence[object]) -> npt.NDArray[np.int64]:
    """Where each value is in a list of texts or whole numbers; -1 if it is not."""
    of = {value: place for place, value in enumerate(known)}
    return np.fromiter((of.get(value, -1) for value in values.tolist()), dtype=np.int64, count=len(values))


def whole(values: Iterable[int]) -> Floats:
    """Whole numbers, such as lengths, as the numbers that cells are made of."""
    return np.fromiter(values, dtype=np.float64)
