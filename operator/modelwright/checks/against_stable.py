"""Checks of a canary against the stable revision by what each answered to callers of its own: the scores of both by
feedback, and how often each predicts what. Pure.

A check fails when it is shown that the difference is larger than its limit. It passes at or below the limit once there
are enough samples of both. In between it is inconclusive.

Rows of one request are alike, and so are labels that come together: they count as n / (1 + (b - 1) ALIKE), as in
`drift`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from math import ceil, log

from modelwright.api.checks import TOO_FEW
from modelwright.checks.differences import Sum, difference_interval, mean_interval, more_than, together
from modelwright.checks.drift import ALIKE
from modelwright.checks.evidence import Interval, times_needed
from modelwright.checks.verdict import Demands, Details, Verdict

SCORE, SHIFT = "scoreDrop", "predictionShift"
DROPPED, DROP_UNCLEAR, HOLDS = "ScoreDropped", "ScoreDropUnclear", "ScoreHolds"
SHIFTED, SHIFT_UNCLEAR, ALIKE_ENOUGH = "PredictionsShifted", "PredictionShiftUnclear", "PredictionsAlike"
OTHER_CLASSES = "OtherClasses"
# Labels of each revision that it takes to judge a score.
MIN_LABELS = 100

# The counts of the labels of one model, by their kind: labels, right, log, ...
Labels = Mapping[str, float]


@dataclass(frozen=True)
class Predicted:
    """What a revision predicted for its callers.

    `labels`: how often each, by the classes that it is one of and its number there. `cells`: how often its score was in
    each, by the classes and the number of the cell. `rows`, `requests`, `squares`: the rows in these counts, their
    requests, and the sum of the squares of each one's rows.
    """

    labels: Mapping[tuple[str, str], float] = field(default_factory=dict)
    cells: Mapping[tuple[str, int], float] = field(default_factory=dict)
    rows: float = 0.0
    requests: float = 0.0
    squares: float = 0.0

    @property
    def weight(self) -> float:
        """As how many a row counts."""
        return weight(self.rows, self.squares)

    @property
    def classes(self) -> frozenset[str]:
        """The classes that its labels and cells are of."""
        return frozenset((*(classes for classes, _ in self.labels), *(classes for classes, _ in self.cells)))


def weight(rows: float, squares: float) -> float:
    """Returns as how many a row counts. `squares`: the sum of the squares of the rows of each request."""
    return 1 / (1 + (max(1.0, squares / rows) - 1) * ALIKE) if rows else 1.0


def score_drop(
    metric: str, canary: Labels, stable: Labels, change: float, min_labels: int, demands: Demands
) -> Verdict:
    """Returns the verdict on how much worse a canary's score is than that of the stable revision.

    `metric`: accuracy, log_loss or mae. `change`: how much worse it may be, in its own unit.
    """
    one, other = (_worse(metric, labels) for labels in (canary, stable))
    samples = int(min(one.samples, other.samples))
    verdict = partial(
        Verdict,
        metric=SCORE,
        samples=samples,
        value=one.mean - other.mean if samples else None,
        threshold=change,
    )
    weighted = one.scaled(_of_labels(canary)), other.scaled(_of_labels(stable))
    bounded = metric == "accuracy"
    if samples < max(2, min_labels):
        return verdict(result="Inconclusive", reason=TOO_FEW, samples_needed=min_labels)
    details = partial(_details, *weighted, samples, demands.alpha, bounded=bounded)
    verdict = partial(verdict, details=details)
    if one.mean - other.mean <= change:
        return verdict(result="Pass", reason=HOLDS)
    if _is_above(*weighted, change, demands.alpha, bounded=bounded):
        return verdict(result="Fail", reason=DROPPED)
    unclear = partial(details, undecided=change)
    return verdict(result="Inconclusive", reason=DROP_UNCLEAR, beyond=True, details=unclear)


def prediction_shift(canary: Predicted, stable: Predicted, limit: float, demands: Demands) -> Verdict:
    """Returns the verdict on how differently both revisions predict: the largest difference of the share of a label, or
    of the share of scores up to a cell."""
    one, other = canary.weight, stable.weight
    samples = int(min(canary.requests, stable.requests))
    shares = [
        (Sum(a * one, canary.rows * one), Sum(b * other, stable.rows * other))
        for a, b in _shares(canary, stable)
    ]
    differences = [abs(a.mean - b.mean) for a, b in shares]
    value = max(differences, default=None)
    verdict = partial(Verdict, metric=SHIFT, samples=samples, value=value, threshold=limit)
    if canary.classes != stable.classes and canary.classes and stable.classes:
        return verdict(result="Inconclusive", reason=OTHER_CLASSES, value=None)
    if value is None or samples < demands.min_samples:
        return verdict(result="Inconclusive", reason=TOO_FEW, samples_needed=demands.min_samples)
    worst = max(shares, key=lambda pair: abs(pair[0].mean - pair[1].mean))
    higher, lower = worst if worst[0].mean >= worst[1].mean else worst[::-1]
    details = partial(_details, higher, lower, samples, demands.alpha, bounded=True)
    verdict = partial(verdict, details=details)
    if value <= limit:
        return verdict(result="Pass", reason=ALIKE_ENOUGH)
    # A difference within the limit has no evidence against it.
    found = (
        more_than(a, b, limit) for pair in shares for a, b in (pair, pair[::-1]) if a.mean - b.mean > limit
    )
    if together(found, tests=2 * len(shares)) >= log(1 / demands.alpha):
        return verdict(result="Fail", reason=SHIFTED)
    unclear = partial(details, undecided=limit)
    return verdict(result="Inconclusive", reason=SHIFT_UNCLEAR, beyond=True, details=unclear)


def _worse(metric: str, labels: Labels) -> Sum:
    """The sum of what is larger the worse the predictions are: of errors of 0 or 1, or of losses."""

    def count(kind: str) -> float:
        return labels.get(kind, 0.0)

    if metric == "accuracy":
        return Sum(count("labels") - count("right"), count("labels"))
    if metric == "log_loss":
        return Sum(count("log"), count("lossLabels"), count("logSquare"))
    return Sum(count("abs"), count("errorLabels"), count("square"))


def _of_labels(labels: Labels) -> float:
    """As how many a label counts."""
    return weight(labels.get("labels") or labels.get("errorLabels") or 0.0, labels.get("postSquares", 0.0))


def _shares(canary: Predicted, stable: Predicted) -> list[tuple[float, float]]:
    """How often both predicted each label, and had a score up to each cell but the last."""
    labels = sorted({*canary.labels, *stable.labels})
    cells = sorted({*canary.cells, *stable.cells})[:-1]
    below = [accumulate([each.cells.get(cell, 0.0) for cell in cells]) for each in (canary, stable)]
    return [
        *((canary.labels.get(label, 0.0), stable.labels.get(label, 0.0)) for label in labels),
        *zip(*below, strict=True),
    ]


def _is_above(one: Sum, other: Sum, limit: float, alpha: float, *, bounded: bool) -> bool:
    """True if it is shown that the mean of `one` is above that of `other` by more than the limit."""
    if bounded:
        return more_than(one, other, limit) >= log(1 / alpha)
    return _apart(one, other, alpha).low > limit


def _apart(one: Sum, other: Sum, alpha: float) -> Interval:
    """The differences of two means of any numbers that the samples do not contradict."""
    ours, theirs = (mean_interval(each, alpha / 2) for each in (one, other))
    return Interval(ours.low - theirs.high, ours.high - theirs.low)


def _details(
    one: Sum, other: Sum, samples: int, alpha: float, *, bounded: bool, undecided: float | None = None
) -> Details:
    """The interval of a difference. `undecided`: the limit that it is above, although that is not shown."""
    around = (difference_interval if bounded else _apart)(one, other, alpha)
    if undecided is None:
        return Details(around)

    def shown(times: float) -> float:
        grown = one.scaled(times), other.scaled(times)
        return 1.0 if _is_above(*grown, undecided, alpha, bounded=bounded) else 0.0

    times = times_needed(shown, 1.0)
    return Details(around, None if times is None else ceil(samples * times))
