"""Counts what predictions were worth: sums and cells from which scores follow, without a row being kept.

Accuracy, precision and recall follow from the confusion, AUC from the cells of the score, log loss and the Brier score
from the sums of losses, calibration from confidence and correct, and errors of a regression from its moments.
"""

from __future__ import annotations

from collections import Counter
from math import isfinite, isnan, log, log1p
from typing import Any

from modelwright_serving.limits import FEEDBACK

SCORE_CELLS = 20
CONFIDENCE_CELLS = 10
OTHER_CLASS = -1  # predicted: one that is not counted apart, and not the true one
# As scikit-learn's log_loss clips 32-bit probabilities: their machine epsilon.
_LEAST = 2.0**-23


class ModelScores:
    """The predictions of one model that came back with the truth."""

    __slots__ = ("_confidence", "_confusion", "_correct", "_error", "_loss", "_scores", "labels")

    def __init__(self) -> None:
        self.labels = 0
        self._confusion: Counter[tuple[int, int]] = Counter()  # (predicted, true)
        self._scores: Counter[tuple[int, int]] = Counter()  # (1 for the positive class, cell)
        self._confidence = [0] * CONFIDENCE_CELLS
        self._correct = [0] * CONFIDENCE_CELLS
        self._loss = [0, 0.0, 0.0, 0.0]  # predictions, -log p(true), its square, (1 - p(true))^2
        self._error = [0, 0.0, 0.0, 0.0, 0.0]  # predictions, |error|, error^2, truth, truth^2

    def classified(self, predicted: int, true: int, value: float, positive: int | None) -> None:
        """Count one prediction of a class.

        `value`: of two classes the probability of `positive`, of more the largest one; NaN if there is none.
        """
        self.labels += 1
        pair = (predicted, true)
        if predicted != true and pair not in self._confusion and len(self._confusion) >= FEEDBACK.pairs:
            pair = (OTHER_CLASS, true)
        self._confusion[pair] += 1
        if isnan(value):
            return
        confidence = value if positive is None else max(value, 1 - value)
        cell = min(CONFIDENCE_CELLS - 1, int(confidence * CONFIDENCE_CELLS))
        self._confidence[cell] += 1
        self._correct[cell] += predicted == true
        if positive is not None:
            self._scored(value, is_positive=true == positive)

    def _scored(self, probability: float, *, is_positive: bool) -> None:
        self._scores[int(is_positive), min(SCORE_CELLS - 1, int(probability * SCORE_CELLS))] += 1
        clipped = min(max(probability, _LEAST), 1 - _LEAST)
        loss = -log(clipped) if is_positive else -log1p(-clipped)
        self._loss[0] += 1
        self._loss[1] += loss
        self._loss[2] += loss * loss
        self._loss[3] += (probability - is_positive) ** 2

    def estimated(self, predicted: float, true: float) -> None:
        """Count one prediction of a number; an error that is not finite is left out of the moments."""
        self.labels += 1
        error = predicted - true
        if isfinite(error):
            for place, term in enumerate((1, abs(error), error * error, true, true * true)):
                self._error[place] += term

    def document(self) -> dict[str, Any]:
        """As it stands in the report of a window (monitor.schema.json)."""
        found: dict[str, Any] = {"labels": self.labels}
        if self._confusion:
            found["confusion"] = [[*pair, count] for pair, count in sorted(self._confusion.items())]
        if any(self._confidence):
            found |= {"confidence": self._confidence[:], "correct": self._correct[:]}
        if self._scores:
            found["scores"] = [[*cell, count] for cell, count in sorted(self._scores.items())]
            found["loss"] = dict(zip(("n", "log", "logSquare", "square"), self._loss, strict=True))
        if self._error[0]:
            found["error"] = dict(
                zip(("n", "abs", "square", "truth", "truthSquare"), self._error, strict=True)
            )
        return found
