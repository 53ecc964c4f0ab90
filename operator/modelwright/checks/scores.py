"""Scores of a model by the predictions that came back with the truth, with their 95 % intervals. Pure.

The counts are those of docs/contracts/monitor.schema.json, of one model. Shares of predictions have Wilson's interval,
means the normal one, the area under the ROC curve that of DeLong. All are for one look: a model exactly at a limit is
found beyond it in 2.5 of 100 looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, isfinite, pi, sqrt
from typing import Any, Literal

from modelwright.checks.distributions import normal_quantile
from modelwright.checks.drift import ALIKE
from modelwright.checks.evidence import FARTHEST

Result = Literal["Pass", "Fail", "Inconclusive"]
Feedback = Mapping[str, Any]

# The half of an interval of 95 %, in standard errors.
WIDTH = normal_quantile(0.025)
# The cells of scores that have all beyond a probability.
ENDS = (0, 63)


@dataclass(frozen=True)
class Score:
    """A score, and its 95 % interval."""

    value: float
    low: float
    high: float
    # Labels that it was made of.
    samples: int
    # Of a calibration error: what a calibrated model has on average on as many labels.
    noise: float | None = None


def score(name: str, feedback: Feedback, positive: int | None) -> Score | None:
    """Returns a score by its name; None if these counts do not have it.

    `feedback`: the counts of one model, added up over windows and pods. Its `postSquares`, if it is there, is the sum
    of the squares of how many labels came at a time: those are alike, and widen the interval. `positive`: the number of
    the positive class.
    """
    compute = _SCORES.get(name)
    try:
        found = None if compute is None else compute(feedback, positive)
    except (ArithmeticError, LookupError, ValueError):  # Counts that contradict each other.
        return None
    if found is None or not all(map(isfinite, (found.value, found.low, found.high))):
        return None
    # Cells of confidence may be sums that are no whole numbers in type.
    return _widened(replace(found, samples=int(found.samples)), _alike(feedback))


def verdict(
    found: Score | None, minimum: float | None, maximum: float | None, min_labels: int
) -> tuple[Result, int | None]:
    """Returns whether a score is within its limits, and how many labels would decide if it is not known yet.

    Fail: the whole interval is beyond a limit. Pass: it is within all of them. The interval shrinks with the root of
    the number of labels. None labels: it is decided, or more than FARTHEST times as many would be needed.
    """
    if found is None or found.samples < min_labels:
        return "Inconclusive", min_labels
    low = -inf if minimum is None else minimum
    high = inf if maximum is None else maximum
    if found.high < low or found.low > high:
        return "Fail", None
    if found.low >= low and found.high <= high:
        return "Pass", None
    needed = max(
        (_half(found, limit) / abs(found.value - limit)) ** 2 if found.value != limit else inf
        for limit in (low, high)
        if found.low <= limit <= found.high
    )
    return "Inconclusive", ceil(needed * found.samples) if needed <= FARTHEST else None


def proportion(hits: float, samples: float) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a proportion (E. B. Wilson 1927). It is not too narrow for a mean of numbers
    from 0 to 1."""
    share, weight = min(1.0, hits / samples), WIDTH**2 / samples
    middle = (share + weight / 2) / (1 + weight)
    half = sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def _alike(feedback: Feedback) -> float:
    """By how much labels that come together, and are alike, widen an interval (as rows of one request in `drift`)."""
    labels, squares = feedback.get("labels") or 0, feedback.get("postSquares") or 0
    size = min(labels, squares / labels) if labels else 1.0
    return sqrt(1 + (max(1.0, size) - 1) * ALIKE)


def _widened(found: Score, times: float) -> Score:
    """The score with an interval that is so many times as wide, within what its values can be."""
    if times == 1:
        return found
    low = found.value - (found.value - found.low) * times
    return replace(found, low=max(0.0, low), high=found.value + (found.high - found.value) * times)


def _half(found: Score, limit: float) -> float:
    """The half of the interval that faces the limit."""
    return found.value - found.low if limit < found.value else found.high - found.value


def _accuracy(feedback: Feedback, _positive: int | None) -> Score | None:
    pairs = _pairs(feedback)
    return _share(sum(count for (predicted, true), count in pairs.items() if predicted == true), pairs)


def _balanced(feedback: Feedback, _positive: int | None) -> Score | None:
    """The mean of the recalls. A recall of 0 or 1 of a few rows is not taken for certain: its variance is that of two
    more rows of either kind (A. Agresti, B. A. Coull 1998)."""
    of_class: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (predicted, true), count in _pairs(feedback).items():
        of_class[true][0] += count * (predicted == true)
        of_class[true][1] += count
    if not of_class:
        return None
    classes = len(of_class)
    value = sum(right / rows for right, rows in of_class.values()) / classes
    variance = sum(
        (guess := (right + 2) / (rows + 4)) * (1 - guess) / (rows + 4) for right, rows in of_class.values()
    )
    half = WIDTH * sqrt(variance) / classes
    samples = sum(rows for _, rows in of_class.values())
    return Score(value, max(0.0, value - half), min(1.0, value + half), samples)


def _of_positive(
    rows: Callable[[int, int, int], bool], feedback: Feedback, positive: int | None
) -> Score | None:
    """The share of right answers of those that `rows` holds for: of the predicted, the true and the positive class."""
    if positive is None:
        return None
    pairs = {pair: count for pair, count in _pairs(feedback).items() if rows(*pair, positive)}
    return _share(pairs.get((positive, positive), 0), pairs)


def _f1(feedback: Feedback, positive: int | None) -> Score | None:
    """Of the share s of right answers in all rows that are positive or were said to be: 2 s / (1 + s)."""
    found = _of_positive(lambda predicted, true, wanted: wanted in (predicted, true), feedback, positive)
    if found is None:
        return None
    value, low, high = (2 * share / (1 + share) for share in (found.value, found.low, found.high))
    return Score(value, low, high, found.samples)


def _area(feedback: Feedback, _positive: int | None) -> Score | None:
    """The area under the ROC curve, of rows in cells of the score (E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson
    1988). Of two rows in one cell, each is above the other in half of the cases. In the cells without an end their
    order is unknown: the interval allows for both."""
    cells: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for true, cell, count in feedback.get("scores") or ():
        cells[cell][true] += count
    ordered = [cells[cell] for cell in sorted(cells)]
    negatives, positives = (sum(cell[true] for cell in ordered) for true in (0, 1))
    if min(negatives, positives) < 2:
        return None
    below = wins = squares = 0.0
    for other, hits in ordered:
        above = (below + other / 2) / negatives
        wins, squares, below = wins + hits * above, squares + hits * above**2, below + other
    value = wins / positives
    of_positives = (squares / positives - value**2) / (positives - 1)
    above, squares = positives, 0.0
    for other, hits in ordered:
        above -= hits
        squares += other * ((above + hits / 2) / positives) ** 2
    of_negatives = (squares / negatives - value**2) / (negatives - 1)
    half = WIDTH * sqrt(max(0.0, of_positives + of_negatives))
    low, high = value - half, value + half
    if value in (0.0, 1.0):  # Without an error there is no variance either.
        fewer = min(negatives, positives)
        low, high = proportion(value * fewer, fewer)
    unknown = sum(cells[end][0] * cells[end][1] for end in ENDS if end in cells) / positives / negatives / 2
    low, high = max(0.0, low - unknown), min(1.0, high + unknown)
    return Score(value, low, high, round(negatives + positives))


def _log_loss(feedback: Feedback, _positive: int | None) -> Score | None:
    loss = feedback.get("loss") or {}
    return _mean(loss.get("n", 0), loss.get("log", 0.0), loss.get("logSquare", 0.0))


def _brier(feedback: Feedback, _positive: int | None) -> Score | None:
    loss = feedback.get("loss") or {}
    rows, square, fourth = loss.get("n", 0), loss.get("square", 0.0), loss.get("fourth")
    if fourth is not None or not rows:
        return _mean(rows, square, fourth or 0.0)
    return Score(square / rows, *proportion(square, rows), int(rows))


def _mae(feedback: Feedback, _positive: int | None) -> Score | None:
    error = feedback.get("error") or {}
    return _mean(error.get("n", 0), error.get("abs", 0.0), error.get("square", 0.0))


def _rmse(feedback: Feedback, _positive: int | None) -> Score | None:
    """The root of the mean square. Without fourth powers, errors are taken for normal: those are 3 times as large as
    the squares of the squares."""
    error = feedback.get("error") or {}
    rows, square, fourth = error.get("n", 0), error.get("square", 0.0), error.get("fourth")
    found = _mean(rows, square, 3 * square**2 / rows if fourth is None and rows else fourth or 0.0)
    return found and Score(sqrt(found.value), sqrt(found.low), sqrt(found.high), found.samples)


def _calibration(feedback: Feedback, _positive: int | None) -> Score | None:
    """The mean gap between the confidence in the likeliest class and how often it is right, over cells of confidence.

    It is above 0 for a calibrated model as well, by what the shares of right answers are off by chance. The lower end
    of the interval is that much lower.
    """
    cells = list(
        zip(*(feedback.get(name) or () for name in ("confidence", "correct", "certainty")), strict=False)
    )
    total = sum(rows for rows, _, _ in cells)
    if not total:
        return None
    value = noise = variance = 0.0
    for rows, right, certainty in cells:
        if rows:
            mean = min(1.0, certainty / rows)
            value += abs(right - certainty) / total
            noise += sqrt(2 / pi * rows * mean * (1 - mean)) / total
            guess = (right + 2) / (rows + 4)
            variance += rows * guess * (1 - guess) / total**2
    half = WIDTH * sqrt(variance)
    return Score(value, max(0.0, value - noise - half), min(1.0, value + half), total, noise)


_SCORES: dict[str, Callable[[Feedback, int | None], Score | None]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "precision": partial(_of_positive, lambda predicted, _, positive: predicted == positive),
    "recall": partial(_of_positive, lambda _, true, positive: true == positive),
    "f1": _f1,
    "roc_auc": _area,
    "log_loss": _log_loss,
    "brier_score": _brier,
    "expected_calibration_error": _calibration,
    "mae": _mae,
    "rmse": _rmse,
}


def _pairs(feedback: Feedback) -> dict[tuple[int, int], int]:
    """How often which class was predicted, and which was true."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    for predicted, true, count in feedback.get("confusion") or ():
        found[predicted, true] += count
    return found


def _share(right: int, of: Mapping[tuple[int, int], int]) -> Score | None:
    samples = sum(of.values())
    return Score(right / samples, *proportion(right, samples), samples) if samples else None


def _mean(rows: int, total: float, squares: float) -> Score | None:
    """The mean of numbers of which none is below 0, from their sum and that of their squares."""
    if rows < 2 or rows != int(rows):
        return None
    mean = total / rows
    half = WIDTH * sqrt(max(0.0, squares / rows - mean**2) / (rows - 1))
    return Score(mean, max(0.0, mean - half), mean + half, int(rows))
