"""Whether a window of requests is drawn from what the hold-out was drawn from. Pure.

All tests are of one hypothesis: the rows of the window and those of the hold-out are from one distribution. So both
have noise, and a limit has 1 / n + 1 / m in it, of n rows in the window and m in the hold-out. Which statistics there
are, `twosample` says:

- location, spread: the difference of mean scores in units of their standard deviation. A mean that moves by d standard
  deviations has a location of nearly d.
- psi: the squared differences of all cells. Times 1 / n + 1 / m they are the population stability index of a small
  shift, and finite where a cell is empty.
- missing, unseen, outside: the same of two cells. The value is the distance of two shares, Cohen's h.

Each test has the same part of alpha (Bonferroni). The hold-out is the same in each window, so its noise repeats: two
windows have errors with the correlation n / (n + m). The part is smaller by up to five times where that matters, so
that two false alarms in a row are as rare as a fifth of alpha.

Rows of one request are alike. They count as n / (1 + (b - 1) ALIKE) rows, b being the size of the request that a row
is in on average (L. Kish, Survey Sampling, 1965).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from math import ceil, sqrt
from typing import Literal, NamedTuple

from modelwright.checks.distributions import chi_square_quantile, normal_quantile
from modelwright.checks.monitored import Counts, Feature, Profile, Window
from modelwright.checks.twosample import (
    Pairs,
    Rank,
    distance,
    joined,
    most_changed,
    ordered,
    pairs,
    squares,
    sums,
)

Result = Literal["NoDrift", "Drifted", "Inconclusive"]
Statistic = Literal["location", "spread", "psi", "missing", "unseen", "outside"]
Part = Literal["feature", "projection", "prediction"]
# How far a value is to its limit, above 1 if it is beyond it; the statistic; its value; its limit.
_Sizes = tuple[float, Statistic, float, float]

# Reasons: of drift, in the order in which one of several is given; of none; and of no verdict.
REASONS: dict[Part, str] = {
    "feature": "FeatureDrift",
    "projection": "CorrelationDrift",
    "prediction": "PredictionDrift",
}
NO_DRIFT = "NoDrift"
COLLECTING, FEW_REQUESTS = "CollectingSamples", "FewRequests"
SMALL_REFERENCE, NOTHING = "ReferenceTooSmall", "NothingToCompare"
# What stands for a feature in results of how features go together, and of answers.
NAMES: dict[Part, str] = {"projection": "projections", "prediction": "prediction"}

MIN_SAMPLES, ALPHA, EFFECT = 500, 0.01, 0.2
# Rows of the hold-out without which nothing is judged.
MIN_REFERENCE = 100
# Requests without which nothing is judged, each as large as the one that a row is in on average.
MIN_REQUESTS = 20
# The correlation of the rows of a request that limits allow for.
ALIKE = 0.05
# The widest limit, in standard deviations, with which a window without an alarm is called NoDrift.
BLUNT = 0.5
# The rows that a cell is expected to have of the smaller sample; smaller cells are joined.
MIN_EXPECTED = 3.0
# Evidence below it is none, but what rounding leaves of a difference of nothing.
ROUNDING = 1e-4
# A profile names the values that 10 rows of its hold-out have, and no more than 50. This many rows a value has to be
# expected to have there, so that it is no chance that it is named.
SURE, MOST_NAMED = 30.0, 50
# The results that a judgement has.
WORST = 5
# The share of shifts as large as `detectable` that is missed.
MISSED = 0.05


@dataclass(frozen=True)
class Demands:
    """What is asked of a window. `effect`: the smallest drift worth an alarm, in standard deviations of a mean."""

    min_samples: int = MIN_SAMPLES
    alpha: float = ALPHA
    effect: float = EFFECT


@dataclass(frozen=True)
class Found:
    """The result of one test. It is drift if the size of `value` is above `threshold`.

    psi is a population stability index. All others are in standard deviations, with the sign of the change.
    """

    feature: str
    part: Part
    statistic: Statistic
    value: float
    threshold: float
    # The cell whose share has changed most, in words, its share of the window and of the hold-out.
    cell: str
    share: float
    expected: float

    @property
    def drifted(self) -> bool:
        """True if it is drift."""
        return abs(self.value) > self.threshold


@dataclass(frozen=True)
class Judgement:
    """The verdict on a window, and the tests that are furthest beyond their limits, or nearest to them."""

    verdict: Result
    reason: str
    # Rows that are in the counts.
    rows: int
    # How many would be judged, if requests stay as large as they are. None: these are, or none will be.
    rows_needed: int | None = None
    worst: tuple[Found, ...] = ()
    tests: int = 0
    # The shift of the mean of one feature that a window like this one finds in 95 of 100 cases, in standard deviations.
    detectable: float | None = None


def judge(profile: Profile, window: Window, demands: Demands) -> Judgement:
    """Returns the verdict on a window of requests for the version that the profile is of."""
    tests = count_tests(profile, window)
    if (lacking := _lacking(profile, window, demands, tests)) is not None:
        return lacking
    scale = Scale.of(profile, window, demands, tests)
    found = list(results(profile, window, scale))
    drifted = {test.part for test in found if test.ratio > 1}
    reason = next((reason for part, reason in REASONS.items() if part in drifted), None)
    return Judgement(
        "NoDrift" if reason is None else "Drifted",
        reason or NO_DRIFT,
        window.counted,
        worst=tuple(_in_words(test) for test in nlargest(WORST, found, key=lambda test: test.ratio)),
        tests=tests,
        detectable=max(demands.effect, scale.limit) + normal_quantile(MISSED) * scale.noise,
    )


def count_tests(profile: Profile, window: Window) -> int:
    """Returns how many tests there may be of such a window. It does not depend on the counts."""
    of_parts = (features for _, features, counts in _parts(profile, window) if counts)
    tests = sum(_tests_of(feature) for features in of_parts for feature in features)
    return tests + (len(profile.features) if window.features else 0)


@dataclass(frozen=True)
class Scale:
    """How much noise both samples have, and the limits that follow from it."""

    # As how many a row of the window counts.
    weight: float
    # The standard deviation of the difference of two means, in standard deviations of the variable.
    noise: float
    # The probability of a false alarm that each test may have.
    alpha: float
    effect: float

    @classmethod
    def of(cls, profile: Profile, window: Window, demands: Demands, tests: int) -> Scale:
        """The scale of so many tests of a window and a profile that both have rows."""
        weight = 1 / (1 + (_size(window) - 1) * ALIKE)
        rows = window.counted * weight
        alpha = demands.alpha / tests / (1 + 4 * rows / (rows + profile.rows))
        return cls(weight, sqrt(1 / rows + 1 / profile.rows), alpha, demands.effect)

    @cached_property
    def deviation(self) -> float:
        """The deviation of a normal variable, to either side, that is the limit."""
        return normal_quantile(self.alpha / 2)

    @property
    def limit(self) -> float:
        """The limit of location by the noise alone."""
        return self.deviation * self.noise

    def rank(self, statistic: Statistic, found: Rank, noise: float) -> _Sizes:
        """The result of a rank statistic. Its limit is wider on the side that its distribution leans to (the first term
        of E. A. Cornish, R. A. Fisher 1938)."""
        lean = found.skewness if found.value > 0 else -found.skewness
        limit = self.deviation + max(0.0, lean) * (self.deviation**2 - 1) / 6
        threshold = max(self.effect, limit * noise)
        return abs(found.value) / threshold, statistic, found.value, threshold

    def cells(self, found: float, cells: int, noise: float) -> _Sizes:
        """The result of the squared differences of so many cells."""
        value = found * noise**2
        threshold = max(self.effect**2, chi_square_quantile(self.alpha, cells - 1) * noise**2)
        return sqrt(value / threshold), "psi", value, threshold

    def shares(self, statistic: Statistic, having: _Both, others: _Both) -> _Sizes:
        """The result of one share: the rows of both samples that have a property, and those that do not."""
        first, second = sums((having, others))
        if not first or not second:
            return 0.0, statistic, 0.0, self.effect
        evidence = sqrt(squares((having, others)))
        value = distance(having[0] / first, having[1] / second)
        # The limit of the evidence, in the unit of the distance. Of equal shares there is only what rounding leaves.
        noise = abs(value) / evidence if value and evidence > ROUNDING else sqrt(1 / first + 1 / second)
        threshold = max(self.effect, self.deviation * noise)
        return abs(value) / threshold, statistic, value, threshold


# Rows of the window, and of the hold-out.
_Both = tuple[float, float]


class _Test(NamedTuple):
    """One test, before it is put into words."""

    ratio: float
    statistic: Statistic
    value: float
    threshold: float
    part: Part
    feature: Feature
    counts: Counts


def results(profile: Profile, window: Window, scale: Scale) -> Iterator[_Test]:
    """Yields the result of each test that the rows of both samples allow for."""
    for part, features, counted in _parts(profile, window):
        for feature, counts in zip(features, counted, strict=False):
            for found in _compared(feature, counts, scale):
                yield _Test(*found, part, feature, counts)


def _compared(feature: Feature, counts: Counts, scale: Scale) -> Iterator[_Sizes]:
    """The tests of one feature."""
    places = len(feature.counts)
    cells = pairs(counts[:places], feature.counts, scale.weight)
    unseen, missing, outside = (count * scale.weight for count in counts[places:] or (0, 0, 0))
    first, second = sums(cells)
    if missing or feature.missing:
        present = (first + unseen, second + (feature.other or 0))
        yield scale.shares("missing", (missing, feature.missing), present)
    if feature.outside is not None and outside:
        # The ends of the range are rows of the hold-out, so one more of them counts as beyond it.
        having = outside, feature.outside + 1
        others = max(0.0, first - outside), max(0.0, second - feature.outside)
        if having[0] * others[1] > having[1] * others[0]:
            yield scale.shares("outside", having, others)
    if unseen or feature.other:
        cells, rest = _sure(feature, cells, (unseen, feature.other or 0))
        first, second = sums(cells)
        yield scale.shares("unseen", rest, (first, second))
    if first and second:
        yield from _of_cells(feature, cells, first, second, scale)


def _of_cells(feature: Feature, cells: Pairs, first: float, second: float, scale: Scale) -> Iterator[_Sizes]:
    """The tests of the cells of one feature."""
    in_order, noise = feature.kind == "Ordered", sqrt(1 / first + 1 / second)
    least = MIN_EXPECTED * (first + second) / min(first, second)
    cells = joined(cells if in_order else sorted(cells, key=sum), least)
    if in_order and len(cells) > 2:
        differences = ordered(cells)
        yield scale.rank("location", differences.location, noise)
        yield scale.rank("spread", differences.spread, noise)
        yield scale.cells(differences.squares, len(cells), noise)
    elif len(cells) > 1:
        yield scale.cells(squares(cells), len(cells), noise)


def _sure(feature: Feature, cells: Pairs, rest: _Both) -> tuple[Pairs, _Both]:
    """The cells that the hold-out was sure to name, and the rows of both samples in others.

    Which values have a cell was decided by the hold-out. A value that has hardly more rows than that takes is named
    because it has, by chance, more than its share: it would seem to be rarer in any window. How many rows a value has
    in both samples together favours neither of them.
    """
    if not rest[1]:
        return cells, rest
    first, second = (one + other for one, other in zip(sums(cells), rest, strict=True))
    fewest = min(feature.counts, default=0)
    sure = SURE if len(cells) < MOST_NAMED else max(SURE, fewest + 5 * sqrt(fewest))
    least = sure * (first + second) / second
    kept = [pair for pair in cells if sum(pair) >= least]
    of_kept = sums(kept)
    return kept, (max(0.0, first - of_kept[0]), max(0.0, second - of_kept[1]))


def _tests_of(feature: Feature) -> int:
    """How many tests there may be of a feature, without the one of missing values."""
    cells = len(feature.counts)
    of_cells = 0 if cells < 2 else 1 if cells == 2 or feature.kind == "Named" else 3
    return of_cells + (feature.other is not None) + (feature.outside is not None)


def _parts(
    profile: Profile, window: Window
) -> tuple[tuple[Part, tuple[Feature, ...], tuple[Counts, ...]], ...]:
    """What is compared: features, and the counts of each in the window, none if the window has none."""
    return (
        ("feature", profile.features, window.features),
        ("projection", profile.projections, window.projections),
        ("prediction", profile.predictions, window.predictions),
    )


def _size(window: Window) -> float:
    """The rows of the request that a row is in, on average."""
    return min(max(1.0, window.squares / window.counted), float(window.counted))


def _lacking(profile: Profile, window: Window, demands: Demands, tests: int) -> Judgement | None:
    """Why the window is not judged; None if it can be."""
    counted = window.counted

    def lacking(reason: str, needed: float | None = None) -> Judgement:
        return Judgement(
            "Inconclusive", reason, counted, None if needed is None else ceil(needed), tests=tests
        )

    if not tests:
        return lacking(NOTHING)
    if profile.rows < MIN_REFERENCE:
        return lacking(SMALL_REFERENCE)
    if counted < max(1, demands.min_samples):
        return lacking(COLLECTING, max(1, demands.min_samples))
    enough = MIN_REQUESTS * _size(window)
    if counted < enough and _size(window) > 1:
        return lacking(FEW_REQUESTS, enough)
    scale = Scale.of(profile, window, demands, tests)
    if scale.limit <= BLUNT:
        return None
    # The noise of the hold-out stays, however many rows the window has.
    left = (BLUNT / scale.deviation) ** 2 - 1 / profile.rows
    return lacking(COLLECTING, 1 / (left * scale.weight)) if left > 0 else lacking(SMALL_REFERENCE)


def _in_words(test: _Test) -> Found:
    """The result, with the cell that has changed most."""
    feature, places = test.feature, len(test.feature.counts)
    cells, (unseen, missing, outside) = test.counts[:places], test.counts[places:] or (0, 0, 0)
    rows, reference = sum(cells), sum(feature.counts)
    present, known = rows + unseen, reference + (feature.other or 0)
    cell: str = test.statistic
    if test.statistic == "missing":
        shares = (missing, present + missing, feature.missing, known + feature.missing)
    elif test.statistic == "unseen":
        shares = (unseen, present, feature.other or 0, known)
    elif test.statistic == "outside":
        shares = (outside, rows, feature.outside or 0, reference)
    else:
        index = most_changed(pairs(cells, feature.counts, 1))
        cell, shares = feature.cell(index), (cells[index], rows, feature.counts[index], reference)
    count, of_window, other, of_reference = shares
    if test.part != "feature":
        cell = f"{feature.name}: {cell}"
    return Found(
        NAMES.get(test.part, feature.name),
        test.part,
        test.statistic,
        test.value,
        test.threshold,
        cell,
        min(1.0, count / of_window) if of_window else 0.0,
        min(1.0, other / of_reference) if of_reference else 0.0,
    )
