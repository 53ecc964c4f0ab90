"""Rollouts that are judged by a rate: failed requests, labels that differ, differences above a limit.

The fewest hits with which the product's check fails are looked up once for each number of samples. Then the counts of
all rollouts are drawn at once and compared with them. `checked` holds this to the product's own judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lgamma, sqrt

import numpy as np
from numpy.typing import NDArray

from modelwright.checks import rates
from modelwright.checks.verdict import Demands
from verdicts.looks import Chance, Counts, increments

# Whether so many hits of so many samples fail.
Fails = Callable[[float, int], bool]
# Draws for each of so many rollouts the hits of so many samples.
Draw = Callable[[int, int], NDArray[np.int64]]
NEVER = -1
OUTCOMES = 2**16
# The standard normal quantile of a two-sided interval of 95 %.
Z = 1.959963984540054


def error_rate(limit: float, demands: Demands) -> Fails:
    """The product's check of the rate of failures."""

    def fails(hits: float, samples: int) -> bool:
        return rates.rate_verdict(rates.ERROR_RATE, hits, samples, limit, demands).result == "Fail"

    return fails


def agreement(least: float, demands: Demands) -> Fails:
    """The product's check of labels. `hits`: the sum of the shares of labels that differ."""

    def fails(hits: float, samples: int) -> bool:
        return rates.agreement(samples - hits, samples, least, demands).result == "Fail"

    return fails


def fixed_interval(limit: float, fewest_hits: int = 3, each: int = 1) -> Fails:
    """For comparison: Wilson's interval of 95 %, which is made for one look.

    `each`: every sample counts as so many.
    """

    def fails(hits: float, samples: int) -> bool:
        number = samples * each
        observed = hits * each / number
        middle = observed + Z * Z / (2 * number)
        reach = Z * sqrt(observed * (1 - observed) / number + Z * Z / (4 * number * number))
        return hits * each >= fewest_hits and (middle - reach) / (1 + Z * Z / number) > limit

    return fails


def fewest(fails: Fails, samples: Counts, parts: int = 1) -> Counts:
    """For each number of samples: the fewest hits that fail, in parts of a hit. More than all if none do."""
    found: list[int] = []
    known = 0
    for number in samples.tolist():
        step, low, high = 1, known - 1, known
        while high <= number * parts and not fails(high / parts, number):
            low, high, step = high, high + step, 2 * step
        high = min(high, number * parts + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fails(middle / parts, number) else (middle, high)
        # More samples with as many hits are less evidence.
        known = high
        found.append(high)
    return np.array(found, dtype=np.int64)


def hits_at(chance: Chance, rate: float) -> Draw:
    """Independent samples, each of them all good or all bad."""
    return lambda samples, rollouts: chance.binomial(samples, rate, rollouts)


def parts_at(chance: Chance, rate: float, rows: int, likeness: float) -> Draw:
    """Requests of so many rows. The hits are rows. `likeness`: the correlation of two rows of a request.

    The number of hits of a request follows the beta-binomial distribution.
    """
    if likeness >= 1 or rate >= 1 or rate <= 0:
        return lambda samples, rollouts: rows * chance.binomial(samples, rate, rollouts)
    scale = 1 / likeness - 1
    good, bad = rate * scale, (1 - rate) * scale
    logs = [
        sum(map(lgamma, (hits + good, rows - hits + bad))) - sum(map(lgamma, (hits + 1, rows - hits + 1)))
        for hits in range(rows + 1)
    ]
    weights = np.exp(np.array(logs) - max(logs))
    # So many outcomes that are equally likely: drawing one takes a hundredth of the time of the distributions.
    places = (np.arange(OUTCOMES) + 0.5) / OUTCOMES
    outcomes = np.searchsorted(weights.cumsum() / weights.sum(), places).astype(np.uint8)

    def draw(samples: int, rollouts: int) -> NDArray[np.int64]:
        drawn = chance.integers(0, OUTCOMES, (rollouts, samples), dtype=np.uint16)
        return np.asarray(outcomes[drawn].sum(axis=1, dtype=np.int64))

    return draw


def first_failures(
    draw: Draw, samples: Counts, bounds: Mapping[str, Counts], rollouts: int
) -> dict[str, NDArray[np.int64]]:
    """For each rollout: how many samples there were at the first look that failed, by each of the bounds; or NEVER."""
    found = {name: np.full(rollouts, NEVER, dtype=np.int64) for name in bounds}
    hits = np.zeros(rollouts, dtype=np.int64)
    for look, (number, more) in enumerate(zip(samples.tolist(), increments(samples), strict=True)):
        hits += draw(more, rollouts)
        for name, fewest_hits in bounds.items():
            found[name][(hits >= fewest_hits[look]) & (found[name] == NEVER)] = number
        if all((first != NEVER).all() for first in found.values()):
            break
    return found
