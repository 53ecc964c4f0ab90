"""Rollouts that are judged by a percentile of the durations, counted in the server's cells.

`Percentile` computes the evidence of `quantiles.Ratio` for many rollouts at once; tests hold it to the original.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import erfc, exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from modelwright.checks import evidence, quantiles
from modelwright.inferenceservice.analysis.tally import CELL_RATIO
from modelwright_serving.histogram import FINE_DURATION_BOUNDS
from verdicts.counted import NEVER
from verdicts.looks import Chance, Counts, increments

Numbers = NDArray[np.float64]
# The share of all durations up to each of some bounds.
Shares = Callable[[Numbers], Numbers]
# A distribution of durations by its median.
Shape = Callable[[float], Shares]
# Farther from a rank than so many standard deviations, and so many values besides, the evidence is as good as certain.
# Checked where it is used.
DEVIATIONS, MARGIN = 45, 12_000


def lognormal(median: float, sigma: float) -> Shares:
    """Durations of a model: `median` in seconds, `sigma` the standard deviation of their logarithms."""

    def shares(bounds: Numbers) -> Numbers:
        return np.array(
            [0.5 * erfc(-(log(bound) - log(median)) / sigma / sqrt(2)) for bound in bounds.tolist()]
        )

    return shares


def heavy(median: float, sigma: float = 0.3, tail: float = 0.03) -> Shares:
    """A lognormal distribution, of which a share follows Pareto's law with exponent 1.5 from 3 medians on instead."""
    usual = lognormal(median, sigma)

    def shares(bounds: Numbers) -> Numbers:
        waiting = np.where(bounds > 3 * median, 1 - (3 * median / np.maximum(bounds, 3 * median)) ** 1.5, 0.0)
        return (1 - tail) * usual(bounds) + tail * waiting

    return shares


@dataclass(frozen=True)
class Durations:
    """How durations are distributed over the server's cells, those without any left out."""

    lower: Numbers
    upper: Numbers
    probability: Numbers

    @classmethod
    def of(cls, shares: Shares, least: float = 1e-4) -> Durations:
        """The shortest and the longest durations, each the share `least` of all, are in one cell."""
        bounds = np.array(FINE_DURATION_BOUNDS)
        up_to = np.append(shares(bounds), 1.0)
        probability = np.diff(up_to, prepend=0.0)
        first, last = int(np.argmax(up_to > least)), int(np.argmax(up_to > 1 - least))
        kept = probability[first : last + 1].copy()
        kept[0] += probability[:first].sum()
        kept[-1] += probability[last + 1 :].sum()
        uppers = np.append(bounds, inf)
        lowers = np.append(bounds / CELL_RATIO, bounds[-1])
        return cls(lowers[first : last + 1], uppers[first : last + 1], kept / kept.sum())

    def drawn(self, chance: Chance, samples: int, rollouts: int) -> Counts:
        """The number of durations in each cell, for each of so many rollouts."""
        return np.asarray(chance.multinomial(samples, self.probability, rollouts), dtype=np.int64)

    def cells(self, counts: Counts) -> dict[tuple[float, float], float]:
        """The counts as the product reads them: by the bounds of their cells, without those that are empty."""
        bounds = zip(self.lower.tolist(), self.upper.tolist(), strict=True)
        return {cell: float(count) for cell, count in zip(bounds, counts.tolist(), strict=True) if count}


@dataclass(frozen=True)
class Percentile:
    """The evidence that a percentile of `above` is more than `factor` times that of `below`."""

    above: Durations
    below: Durations
    rank: float
    factor: float

    @cached_property
    def _cells_below(self) -> NDArray[np.int64]:
        """For each cell of `above`: how many of `below` end at or below its lower bound, divided by the factor."""
        finite = self.below.upper[self.below.upper < inf]
        return np.searchsorted(finite, self.above.lower / self.factor, side="right")

    def evidence(self, above: Counts, below: Counts) -> Numbers:
        """The natural logarithm of the evidence. `above`, `below`: by rollout and cell, of as many values in each."""
        of_above = _wagered(evidence.rate_below, int(above[0].sum()), self.rank)
        of_below = _wagered(evidence.rate_above, int(below[0].sum()), self.rank)
        up_to_above = np.cumsum(above, axis=1)
        up_to_below = np.concatenate([np.zeros((len(below), 1), np.int64), np.cumsum(below, axis=1)], axis=1)
        points = of_above(up_to_above) + of_below(up_to_below[:, self._cells_below])
        zero = of_above(np.zeros(1, np.int64))[0] + of_below(np.zeros(1, np.int64))[0]
        return np.asarray(np.minimum(points.min(axis=1), zero))


def _wagered(
    side: Callable[[float, float, float], float], samples: int, rank: float
) -> Callable[[Counts], Numbers]:
    """The evidence of one histogram by the number of its values up to a point, as `Ratio` wagers it."""
    spread = DEVIATIONS * sqrt(samples * rank * (1 - rank)) + MARGIN
    first, last = max(0, int(samples * rank - spread)), min(samples, int(samples * rank + spread) + 1)

    def of(counts: Counts) -> Numbers:
        hits, limit = (counts, rank) if side is evidence.rate_above else (samples - counts, 1 - rank)
        found = np.minimum(rate_above(hits, samples, limit), quantiles.MOST)
        return np.asarray(np.log(quantiles.RESERVE + (1 - quantiles.RESERVE) * np.exp(found)))

    # Outside of the window: nothing against the hypothesis on one side, as good as certain on the other.
    certain = log(quantiles.RESERVE + (1 - quantiles.RESERVE) * exp(quantiles.MOST))
    ends = (quantiles.LEAST, certain) if side is evidence.rate_above else (certain, quantiles.LEAST)
    edges = of(np.array([first, last]))
    if any(
        edge not in {0, samples} and abs(value - end) > 1e-9
        for edge, value, end in zip((first, last), edges.tolist(), ends, strict=True)
    ):
        raise ValueError(f"the window is too small for {samples} samples")
    if last - first < 10 * MARGIN:
        table = of(np.arange(first, last + 1))
        return lambda numbers: np.asarray(table[np.clip(numbers, first, last) - first])

    def wide(numbers: Counts) -> Numbers:
        found = np.where(numbers <= first, edges[0], edges[1])
        inside = (numbers > first) & (numbers < last)
        found[inside] = of(numbers[inside])
        return np.asarray(found)

    return wide


def rate_above(hits: NDArray[np.int64], samples: int, limit: float) -> Numbers:
    """`evidence.rate_above` for many numbers of hits."""
    result = np.full(len(hits), -inf)
    for weight, hit, miss in evidence._mixture(limit):
        result = np.logaddexp(result, weight + hits * hit + (samples - hits) * miss)
    return result


def first_failures(
    chance: Chance,
    percentiles: Mapping[str, tuple[Percentile, float]],
    sizes: tuple[Counts, Counts],
    rollouts: int,
) -> dict[str, NDArray[np.int64]]:
    """For each rollout: the number of the first look that fails, by each of the percentiles and its alpha; or NEVER.

    `percentiles`: all of the same durations. `sizes`: for each look, the number of values of `above` and of `below`.
    """
    first = next(iter(percentiles.values()))[0]
    found = {name: np.full(rollouts, NEVER, dtype=np.int64) for name in percentiles}
    above, below = (np.zeros((rollouts, len(which.upper)), np.int64) for which in (first.above, first.below))
    places = np.arange(rollouts)
    for look, (more_above, more_below) in enumerate(zip(*map(increments, sizes), strict=True)):
        above += first.above.drawn(chance, more_above, len(places))
        below += first.below.drawn(chance, more_below, len(places))
        for name, (percentile, alpha) in percentiles.items():
            failed = places[percentile.evidence(above, below) >= log(1 / alpha)]
            found[name][failed[found[name][failed] == NEVER]] = look
        # Those that have failed by all percentiles need no further looks.
        going = np.logical_or.reduce([each[places] == NEVER for each in found.values()])
        if not going.all():
            above, below, places = above[going], below[going], places[going]
        if not len(places):
            break
    return found
