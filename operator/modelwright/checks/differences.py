"""Evidence about the difference of the means of two revisions that may be looked at all the time. Pure.

If the mean of one revision is above that of the other by at most `limit`, there is a number v, the other's mean, for
which two hypotheses hold: the one's mean is at most v + limit, and the other's is at least v. The product of two
independent e-processes is one (`evidence`). Which number it is is unknown, so the smallest product over all v is the
evidence against the difference.

Numbers from 0 to 1 have exact evidence. Others, such as losses, have a confidence sequence that holds for large samples
(I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, Time-uniform central limit theory and asymptotic
confidence sequences, Ann. Stat. 52 (2024), 2613-2640).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, inf, log, log1p, sqrt

from modelwright.checks.evidence import Interval, rate_above, rate_below
from modelwright.checks.quantiles import RESERVE

# The smallest sum is sought to this distance on the scale of rates. What is between costs no evidence worth a name.
PRECISION = 1e-4
# The ends of an interval are exact to this. They err outwards.
WIDTH = 1e-3
# The number of samples for which the sequence of a mean is narrowest.
TUNED = 500
_GOLDEN = (sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Sum:
    """The sum of so many numbers, and that of their squares where they are not from 0 to 1."""

    total: float
    samples: float
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean; 0 of none."""
        return self.total / self.samples if self.samples else 0.0

    def scaled(self, factor: float) -> Sum:
        """As if there were so many times as many."""
        return Sum(self.total * factor, self.samples * factor, self.squares * factor)


def more_than(one: Sum, other: Sum, limit: float) -> float:
    """Returns the natural logarithm of the evidence against the hypothesis that the mean of `one` is above that of
    `other` by at most `limit`. Of numbers from 0 to 1; `limit`: from -1 to 1."""

    def at(place: float) -> float:
        above = rate_above(one.total, one.samples, place + limit)
        below = rate_below(other.total, other.samples, place)
        return _wagered(above) + _wagered(below)

    return _smallest(at, max(0.0, -limit), min(1.0, 1 - limit))


def together(evidence: Iterable[float], tests: int) -> float:
    """Returns the evidence of so many tests of one hypothesis: the mean of e-processes is one. Tests that are not named
    have none."""
    terms = list(evidence)
    largest = max(terms, default=-inf)
    return -inf if largest == -inf else largest + log(sum(exp(term - largest) for term in terms) / tests)


def difference_interval(one: Sum, other: Sum, alpha: float) -> Interval:
    """Returns the differences of the means that the samples do not contradict. Of numbers from 0 to 1."""
    return Interval(_least(one, other, alpha), -_least(other, one, alpha))


def mean_interval(of: Sum, alpha: float) -> Interval:
    """Returns the means that the samples do not contradict. Each end errs with the probability alpha over all looks."""
    samples, mean = of.samples, of.mean
    if samples < 2:
        return Interval(-inf, inf)
    # The scale that makes the width the smallest one at TUNED samples (equation 25 there).
    scale = (-2 * log(alpha) + log(-2 * log(alpha)) + 1) / TUNED
    spread = max(0.0, of.squares / samples - mean**2)
    grown = samples * scale + 1
    half = sqrt(spread * 2 * grown / (samples**2 * scale) * log1p(sqrt(grown) / (2 * alpha)))
    return Interval(mean - half, mean + half)


def _least(one: Sum, other: Sum, alpha: float) -> float:
    """The largest difference that is rejected as too small; -1 if none is."""
    enough, low, high = log(1 / alpha), -1.0, one.mean - other.mean
    while high - low > WIDTH:
        middle = (low + high) / 2
        low, high = (middle, high) if more_than(one, other, middle) >= enough else (low, middle)
    return low


def _smallest(function: Callable[[float], float], low: float, high: float) -> float:
    """The smallest value of a convex function, by the golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    smallest = min(function(low), function(high), at_left, at_right)
    while high - low > PRECISION:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
        smallest = min(smallest, at_left, at_right)
    return smallest


def _wagered(evidence: float) -> float:
    """The evidence when only 1 - RESERVE of the stake is wagered. It grows without an end: a flat part would hide where
    the smallest sum is."""
    if evidence > 0:
        return evidence + log(1 - RESERVE + RESERVE * exp(-evidence))
    return log(RESERVE + (1 - RESERVE) * exp(evidence))
