"""What callers send: 20 features of the kinds that tables have, a model's answers to them, and ways to change them.

Of 16 columns of numbers two pairs are correlated, by 0.8; some have heavy tails, few values, ties or gaps. Four are
categories: of two, three, twelve and hundreds of values, most of the latter rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

Chance = np.random.Generator
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

NUMBERS = 16
NAMES = (
    *("a", "with a", "b", "with b", "plain", "gappy", "c", "d"),
    *("lognormal", "heavy", "cauchy", "mostly 0", "few", "ties", "rare", "age"),
    *("plan", "region", "city", "flag"),
)
CORRELATION = 0.8
# The share of missing values of three features.
MISSING = {"with a": 0.05, "gappy": 0.005, "heavy": 0.3}
# Of each feature, in the logit of the positive class.
WEIGHTS = np.array([0.5, 0.4, -0.3, 0.2, 0.1, 0.3, 0, 0, 0.2, 0, 0, 0.1, 0, 0, 0, 0.3])
# The upper ends of the shares of categories.
_HALVES = np.array([0.5, 0.8])
_REGIONS = np.cumsum([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01, 0.006])
_CITIES = np.cumsum((rare := 1 / np.arange(1.0, 501)) / rare.sum())[:-1]
VALUES = 500


@dataclass(frozen=True)
class Change:
    """How what is sent differs from what the hold-out is drawn from."""

    # The mean of a feature moves by so many standard deviations; its standard deviation grows by this factor.
    feature: str = "a"
    shift: float = 0.0
    spread: float = 1.0
    # The correlations of both pairs.
    correlation: float = CORRELATION
    # So many more of the values of `feature` are missing; so many of the plans are ones never seen.
    missing: float = 0.0
    unseen: float = 0.0
    # Rows of a request, and the correlation of what they have in common.
    size: int = 1
    alike: float = 0.0


SAME = Change()


@dataclass(frozen=True)
class Rows:
    """Rows of requests: numbers, a column each; categories, as codes; and the probability of the positive class."""

    numbers: list[Floats]
    codes: list[Codes]
    probability: Floats


def drawn(chance: Chance, rows: int, change: Change = SAME) -> Rows:
    """So many rows."""
    normal = _normal(chance, rows, change)
    numbers = [row.copy() for row in normal[:NUMBERS]]
    numbers[8], numbers[9] = np.exp(normal[8]), np.exp(2 * normal[9])
    numbers[10] = normal[10] / np.abs(chance.standard_normal(rows))
    numbers[11] = np.where(chance.random(rows) < 0.6, 0.0, chance.exponential(size=rows))
    # Discrete values are those of normal ones, so that a shift means the same for all.
    numbers[12] = np.clip(np.floor(2 + 1.4 * normal[12]), 0, 8)
    numbers[13] = np.maximum(np.round(30 + 5.5 * normal[13]), 0)
    numbers[14] = (chance.random(rows) < 0.05).astype(float)
    numbers[15] = np.clip(np.round(40 + 12 * normal[15]), 18, 95)
    shares = ndtr(normal[NUMBERS:])
    ends = (_HALVES, _REGIONS, _CITIES, np.array([0.97]))
    codes = [np.searchsorted(end, share) for end, share in zip(ends, shares, strict=True)]
    if change.unseen:
        codes[0][chance.random(rows) < change.unseen] = VALUES - 1
    probability = expit(0.3 + WEIGHTS @ normal[:NUMBERS] / 1.2)
    for name, share in MISSING.items():
        numbers[NAMES.index(name)][chance.random(rows) < share] = np.nan
    if change.missing:
        numbers[NAMES.index(change.feature)][chance.random(rows) < change.missing] = np.nan
    return Rows(numbers, codes, probability)


def _normal(chance: Chance, rows: int, change: Change) -> Floats:
    """The normal variables that the features are made of, a row each."""
    normal = chance.standard_normal((len(NAMES), rows))
    if change.alike:
        requests = -(-rows // change.size)
        common = np.repeat(chance.standard_normal((len(NAMES), requests)), change.size, axis=1)[:, :rows]
        normal = np.sqrt(1 - change.alike) * normal + np.sqrt(change.alike) * common
    rest = np.sqrt(1 - change.correlation**2)
    for first, second in ((0, 1), (2, 3)):
        normal[second] = change.correlation * normal[first] + rest * normal[second]
    place = NAMES.index(change.feature)
    normal[place] = normal[place] * change.spread + change.shift
    return normal
