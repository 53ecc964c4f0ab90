"""Evidence about a rate that may be looked at all the time. Pure.

A fixed-sample interval of 95 % errs in 5 % of cases for one look. Looked at every two seconds, it errs almost surely in
the end. An e-process does not: it is a number that starts at 1, and whose expected value stays at most 1 at every time,
however that time is chosen, as long as the hypothesis is true. So it reaches 1 / alpha at any time with a probability
of at most alpha (Ville's inequality). Here it is a mixture of likelihood ratios (H. Robbins, Statistical methods
related to the law of the iterated logarithm, Ann. Math. Stat. 41 (1970), 1397-1409; S. R. Howard, A. Ramdas,
J. McAuliffe, J. Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences, Ann. Stat. 49 (2021),
1055-1080).

The samples need not be independent. It is enough that the rate, given all samples before, stays within the hypothesis.
A sample may also be a number from 0 to 1, such as the share of labels of a request that agree. `hits` is then the sum
of the samples. The likelihood ratio is convex in the sample, so its expected value is at most that of a sample of 0 or
1 with the same mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log

# Alternatives in a mixture. More of them change the result by less than 1 %.
POINTS = 24
# The ends of an interval are exact to this share of its width to the observed rate.
PRECISION = 1e-3
# The most that `samples_needed` looks ahead: this many times the samples at hand.
FARTHEST = 1e6


@dataclass(frozen=True)
class Interval:
    """A confidence interval that holds at every look. Each end errs with probability alpha over all looks."""

    low: float
    high: float


def rate_above(hits: float, samples: float, limit: float) -> float:
    """Returns the natural logarithm of the evidence against the hypothesis that the rate is at most `limit`.

    `hits`: the sum of `samples` numbers from 0 to 1. The hypothesis is rejected at level alpha when the result reaches
    log(1 / alpha). The alternatives are spread evenly over the logarithms of the rates from `limit` to 1, the near ones
    more densely.
    """
    if limit >= 1 or samples <= 0:
        return 0.0
    if limit <= 0:
        return inf if hits > 0 else 0.0
    misses = samples - hits
    terms = [weight + hits * hit + misses * miss for weight, hit, miss in _mixture(limit)]
    largest = max(terms)
    return largest + log(sum(exp(term - largest) for term in terms))


def rate_below(hits: float, samples: float, limit: float) -> float:
    """Returns the natural logarithm of the evidence against the hypothesis that the rate is at least `limit`."""
    return rate_above(samples - hits, samples, 1 - limit)


def rate_interval(hits: float, samples: float, alpha: float) -> Interval:
    """Returns the rates that the samples do not contradict: `rate_above` and `rate_below` reject all others."""
    if samples <= 0:
        return Interval(0.0, 1.0)
    return Interval(_lowest(hits, samples, alpha), 1 - _lowest(samples - hits, samples, alpha))


def samples_needed(hits: float, samples: float, limit: float, alpha: float) -> int | None:
    """Returns how many samples would show on which side of the limit the rate is, if it stays as it is now.

    None if more than FARTHEST times the present ones would be needed, or there are none.
    """
    if samples <= 0:
        return None
    side = rate_above if hits > limit * samples else rate_below
    times = times_needed(lambda factor: side(hits * factor, samples * factor, limit), log(1 / alpha))
    return None if times is None else round(samples * times + 0.5)


def times_needed(evidence: Callable[[float], float], enough: float) -> float | None:
    """Returns by how many times the samples have to grow until the evidence is enough; None if FARTHEST is too few.

    `evidence`: as a function of that factor, with the samples distributed as they are now.
    """
    low, high = 1.0, 1.0
    while evidence(high) < enough:
        low, high = high, 2 * high
        if low > FARTHEST:
            return None
    while high - low > 0.02 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if evidence(middle) >= enough else (middle, high)
    return high


def _lowest(hits: float, samples: float, alpha: float) -> float:
    """The largest rate that is rejected as too low; 0 if none is."""
    if hits <= 0:
        return 0.0
    enough = log(1 / alpha)
    low, high = 0.0, hits / samples
    while high - low > PRECISION * max(high, 1 / samples):
        middle = (low + high) / 2
        if rate_above(hits, samples, middle) >= enough:
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=1024)
def _mixture(limit: float) -> tuple[tuple[float, float, float], ...]:
    """For each alternative: the logarithms of its weight, and of the likelihood ratio of a hit and of a miss."""
    places = [((point + 0.5) / POINTS) ** 1.5 for point in range(POINTS)]
    total = sum(place ** (1 / 3) for place in places)
    rates = [limit ** (1 - place) for place in places]
    return tuple(
        (log(place ** (1 / 3) / total), log(rate / limit), log((1 - rate) / (1 - limit)))
        for place, rate in zip(places, rates, strict=True)
    )
