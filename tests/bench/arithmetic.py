"""The arithmetic of the bench: order of rounds, medians, spreads, ratios and slopes. Measures nothing."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ratio:
    """How many times one is the other: of the medians, and the lowest and highest of the rounds."""

    middle: float
    low: float
    high: float


def there_and_back(items: Sequence[Item], passes: int) -> list[list[Item]]:
    """A B C, C B A, A B C, ...: a machine that slows down steadily harms all alike."""
    return [list(items) if number % 2 == 0 else list(reversed(items)) for number in range(passes)]


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of two series that were measured in the same rounds."""
    rounds = [one / other for one, other in zip(mine, theirs, strict=True)]
    return Ratio(statistics.median(mine) / statistics.median(theirs), min(rounds), max(rounds))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Growth of the second number per unit of the first, by least squares."""
    found = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return found.slope
