"""What is as much as an effect: of a normal feature in the deciles of the hold-out, and of shares. No chance."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import asin, sin, sqrt
from statistics import NormalDist

from gates_simulated.row import Cells, Chance
from verdicts.tables import percent

from modelwright.checks.twosample import Ordered, ordered

_EDGES = [NormalDist().inv_cdf(tenth / 10) for tenth in range(1, 10)]
_PRECISION = 1e-6


def as_much(effect: float, _chance: Chance, _windows: int) -> Cells:
    """The changes that are as large as this effect."""
    mean = _where(lambda shift: compared(shift, 1.0).location.value, effect, 0.0, 10.0)
    spread = _where(lambda factor: compared(0.0, factor).spread.value, effect, 1.0, 1000.0)
    shares = (percent(sin(asin(sqrt(share)) + effect / 2) ** 2) for share in (0.0, 0.05, 0.5))
    return [f"{mean:.2g} sd", f"{spread - 1:.0%}".replace("%", " %"), f"{effect**2:.2g}", *shares]


def compared(mean: float, deviation: float) -> Ordered:
    """A window and a hold-out of equally many rows without noise."""
    window, reference = _cells(mean, deviation), _cells(0.0, 1.0)
    return ordered(list(zip(window, reference, strict=True)))


def _cells(mean: float, deviation: float) -> list[float]:
    ends = [0.0, *(NormalDist(mean, deviation).cdf(edge) for edge in _EDGES), 1.0]
    return [high - low for low, high in pairwise(ends)]


def _where(grows: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where the function is as wanted."""
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (middle, high) if grows(middle) < wanted else (low, middle)
    return low
