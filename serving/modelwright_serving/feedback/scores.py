"""Counts what predictions were worth: sums and cells from which scores follow, without a row being kept.

Accuracy, precision and recall follow from the confusion, AUC from the cells of the score, log loss and the Brier score
from the sums of losses, calibration from confidence, certainty and correct, errors of a regression from their moments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil, floor, isnan, log, log1p
from typing import Any, NamedTuple

from modelwright_serving.limits import FEEDBACK

# Of the logit of the probability, a quarter wide, so that the scores of rare classes are not all in one.
SCORE_CELLS = 64
CONFIDENCE_CELLS = 10
OTHER_CLASS = -1  # predicted: one that is not counted apart, and not the true one
_MOST_COUNTED = 2.0**53
# As scikit-learn's log_loss clips 32-bit probabilities: their machine epsilon.
_LEAST = 2.0**-23
_LARGEST = 3.4028234663852886e38  # of 32-bit floats: so sums of fourth powers stay finite


class Classified(NamedTuple):
    """One prediction of a class, beside the truth. `pair`: the predicted and the true class. With a probability: the
    `cell` of its `confidence`; of two classes also that of its `score`, and the terms of its `losses`."""

    pair: tuple[int, int]
    cell: int | None = None
    confidence: float = 0.0
    score: tuple[int, int] | None = None
    losses: tuple[float, ...] = ()


def classified(predicted: int, true: int, value: float, positive: int | None) -> Classified:
    """Compare one prediction with its truth.

    `value`: of two classes the probability of `positive`, of more the largest one; NaN if there is none.
    """
    if isnan(value):
        return Classified((predicted, true))
    confidence = value if positive is None or value > 0.5 else 1 - value
    cell = max(0, ceil(confidence * CONFIDENCE_CELLS) - 1)  # the upper edge belongs to it, as in profile.json
    if positive is None:
        return Classified((predicted, true), cell, confidence)
    is_positive = true == positive
    clipped = min(max(value, _LEAST), 1 - _LEAST)
    loss = -log(clipped) if is_positive else -log1p(-clipped)
    square = (value - is_positive) ** 2
    score = (int(is_positive), score_cell(value))
    return Classified(
        (predicted, true), cell, confidence, score, (1, loss, loss * loss, square, square * square)
    )


class ModelScores:
    """The predictions of one model that came back with the truth."""

    __slots__ = (
        "_certainty",
        "_confidence",
        "_correct",
        "confusion",
        "error",
        "labels",
        "loss",
        "post_squares",
        "posts",
        "scores",
    )

    def __init__(self) -> None:
        self.labels = 0
        self.posts = 0  # that brought them, and the sum of the squares of how many each brought
        self.post_squares = 0
        self.confusion: Counter[tuple[int, int]] = Counter()  # (predicted, true)
        self.scores: Counter[tuple[int, int]] = Counter()  # (1 for the positive class, cell)
        self._confidence = [0] * CONFIDENCE_CELLS
        self._correct = [0] * CONFIDENCE_CELLS
        self._certainty = [0.0] * CONFIDENCE_CELLS  # the sum of the confidence
        self.loss = dict.fromkeys(("n", "log", "logSquare", "square", "fourth"), 0.0)
        self.error = dict.fromkeys(("n", "abs", "square", "fourth", "truth", "truthSquare"), 0.0)

    def classified(self, found: Classified) -> None:
        """Count one prediction of a class."""
        self.labels += 1
        self._pair(found.pair, 1)
        if found.cell is not None:
            self._confidence[found.cell] += 1
            self._certainty[found.cell] += found.confidence
            self._correct[found.cell] += found.pair[0] == found.pair[1]
        if found.score is not None:
            self.scores[found.score] += 1
            _add(self.loss, found.losses)

    def _pair(self, pair: tuple[int, int], count: int) -> None:
        """Count a predicted and a true class: beyond many pairs, only how often the true one was not predicted."""
        if pair[0] != pair[1] and pair not in self.confusion and len(self.confusion) >= FEEDBACK.pairs:
            pair = (OTHER_CLASS, pair[1])
        self.confusion[pair] += count

    def estimated(self, predicted: float, true: float) -> None:
        """Count one prediction of a number; one whose error is beyond 32-bit floats is left out of the moments."""
        self.labels += 1
        error = predicted - true
        if abs(error) <= _LARGEST:
            square = error * error
            _add(self.error, (1, abs(error), square, square * square, true, true * true))

    def delivered(self, labels: int) -> None:
        """So many came together."""
        self.posts += 1
        self.post_squares += labels * labels

    def add(self, other: ModelScores) -> None:
        """Add what was counted elsewhere."""
        self.labels += other.labels
        self.posts += other.posts
        self.post_squares += other.post_squares
        for pair, count in other.confusion.items():
            self._pair(pair, count)
        self.scores.update(other.scores)
        for cell in range(CONFIDENCE_CELLS):
            self._confidence[cell] += other._confidence[cell]
            self._correct[cell] += other._correct[cell]
            self._certainty[cell] += other._certainty[cell]
        _add(self.loss, tuple(other.loss.values()))
        _add(self.error, tuple(other.error.values()))

    def document(self) -> dict[str, Any]:
        """As it stands in the report of a window (monitor.schema.json)."""
        found: dict[str, Any] = {"labels": self.labels}
        if self.posts:
            found |= {"posts": self.posts, "postSquares": self.post_squares}
        if self.confusion:
            found["confusion"] = [[*pair, count] for pair, count in sorted(self.confusion.items())]
        if any(self._confidence):
            found |= {"confidence": self._confidence[:], "correct": self._correct[:]}
            found["certainty"] = self._certainty[:]
        if self.scores:
            found["scores"] = [[*cell, count] for cell, count in sorted(self.scores.items())]
            found["loss"] = {**self.loss, "n": int(self.loss["n"])}
        if self.error["n"]:
            found["error"] = {**self.error, "n": int(self.error["n"])}
        return found


class Totals:
    """The few sums by which two models are compared, since the start. None is negative, and none shrinks."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str], float] = {}

    def classified(self, found: Classified) -> None:
        """Count one prediction of a class."""
        predicted, true = found.pair
        self._add("labels", right="true" if predicted == true else "false", by=1)
        for kind, term in zip(("n", "log", "logSquare"), found.losses, strict=False):
            self._add("loss", kind=kind, by=term)

    def estimated(self, predicted: float, true: float) -> None:
        """Count one prediction of a number."""
        error = predicted - true
        if abs(error) <= _LARGEST:
            for kind, term in (("n", 1), ("abs", abs(error)), ("square", error * error)):
                self._add("error", kind=kind, by=term)

    def delivered(self, labels: int) -> None:
        """So many came together."""
        for kind, term in (("n", 1), ("squares", labels * labels)):
            self._add("posts", kind=kind, by=term)

    def _add(self, name: str, *, by: float, **label: str) -> None:
        ((key, value),) = label.items()
        self._sums[name, key, value] = self._sums.get((name, key, value), 0) + by

    def sums(self) -> Iterator[tuple[str, str, str, float]]:
        """A name, a label with its value, and the sum. What is too large for a count is left out."""
        for (name, key, value), sum_ in self._sums.items():
            if 0 < sum_ <= _MOST_COUNTED:
                yield name, key, value, sum_


def score_cell(probability: float) -> int:
    """The cell of a probability: of its logit in quarters, from -8 on; the first and the last have all beyond."""
    if not 0 < probability < 1:
        return 0 if probability <= 0 else SCORE_CELLS - 1
    quarters = floor(4 * (log(probability) - log1p(-probability)))
    return min(max(quarters + SCORE_CELLS // 2, 0), SCORE_CELLS - 1)


def _add(sums: dict[str, float], terms: tuple[float, ...]) -> None:
    for name, term in zip(sums, terms, strict=True):
        sums[name] += term
