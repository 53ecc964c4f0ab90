"""Scores predictions against the truth by scikit-learn's metrics, and says which have no value and why.

Two classes: precision, recall, f1 and roc_auc are of the positive class, the last in sorted order.
More classes: their unweighted mean over the classes (roc_auc: one against the rest)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from modelwright_training.documents import Class
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Floats, Predictions
from modelwright_training.onnxfile.session import Array

CALIBRATION_BINS = 15
QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Measured:
    """Finite values by name, and why others are left out."""

    values: dict[str, float]
    omitted: dict[str, str] = field(default_factory=dict)
    averaging: Literal["Binary", "Macro"] | None = None
    positive_class: Class | None = None
    classes: list[Class] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)


def classification(
    truth: Array, predictions: Predictions, classes: Sequence[Class], known: Sequence[Class]
) -> Measured:
    """Score a classifier: `classes` are the model's, `known` are all that the data has."""
    labels = predictions.labels
    assert labels is not None  # noqa: S101 (a classifier has labels)
    everything = sorted({*known, *classes, *labels.tolist()})
    positive = everything[-1] if len(everything) == 2 else None
    averaging: Json = {"average": "macro", "labels": everything}
    if positive is not None:
        averaging = {"average": "binary", "pos_label": positive}
    precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, labels, zero_division=0, **averaging)
    seen = sorted(set(truth.tolist()))
    values = {
        "accuracy": float(sk.accuracy_score(truth, labels)),
        "balanced_accuracy": float(
            sk.recall_score(truth, labels, labels=seen, average="macro", zero_division=0)
        ),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }
    by_probability, omitted = _probabilistic(truth, predictions, classes, seen)
    return Measured(
        values | by_probability,
        omitted,
        "Macro" if positive is None else "Binary",
        positive,
        everything,
        sk.confusion_matrix(truth, labels, labels=everything).tolist(),
    )


def _probabilistic(
    truth: Array, predictions: Predictions, classes: Sequence[Class], seen: Sequence[Class]
) -> tuple[dict[str, float], dict[str, str]]:
    names = ("roc_auc", "log_loss", "expected_calibration_error")
    table = predictions.probabilities
    if table is None:
        return {}, dict.fromkeys(names, "the model answers no probabilities")
    strange = [value for value in seen if value not in classes]
    if strange:
        return {}, dict.fromkeys(
            names, f"the hold-out has class {strange[0]!r}, which the model does not know"
        )
    order = np.argsort(np.asarray(classes))
    ordered, table = [classes[place] for place in order], table[:, order].clip(0, 1)  # float32 sums overshoot
    table = table / table.sum(axis=1, keepdims=True)
    values = {
        "log_loss": float(sk.log_loss(truth, table, labels=ordered)),
        "expected_calibration_error": calibration_error(truth, table, ordered),
    }
    if len(seen) < len(ordered):
        absent = next(value for value in ordered if value not in seen)
        return values, {"roc_auc": f"the hold-out has no row of class {absent!r}"}
    if len(ordered) == 2:
        area = sk.roc_auc_score(truth == ordered[1], table[:, 1])
    else:
        area = sk.roc_auc_score(truth, table, multi_class="ovr", average="macro", labels=ordered)
    return {"roc_auc": float(area), **values}, {}


def calibration_error(truth: Array, table: Floats, classes: Sequence[Class]) -> float:
    """Mean gap between the confidence in the predicted class and how often it is right.

    Over 15 bins of equal width, weighted by their rows (Guo et al., On Calibration of Modern Neural
    Networks, 2017)."""
    confidence = table.max(axis=1)
    right = np.asarray(classes)[table.argmax(axis=1)] == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def regression(truth: npt.NDArray[np.float64], predictions: Predictions) -> Measured:
    """Score a regressor."""
    values = predictions.values
    assert values is not None  # noqa: S101 (a regressor has values)
    errors = np.abs(values - truth)
    found = {"mae": float(errors.mean()), "rmse": float(np.sqrt(np.mean(errors**2)))}
    omitted = {}
    if len(truth) < 2 or np.ptp(truth) == 0:
        omitted["r2"] = "the target is the same in all rows of the hold-out"
    else:
        found["r2"] = float(sk.r2_score(truth, values))
    zeros = int((truth == 0).sum())
    if zeros:
        omitted["mape"] = f"the target is 0 in {zeros} rows of the hold-out"
    else:
        found["mape"] = float(sk.mean_absolute_percentage_error(truth, values))
    quantiles = np.percentile(errors, QUANTILES)
    found |= {f"absolute_error_p{q}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    return _only_finite(Measured(found, omitted))


def _only_finite(measured: Measured) -> Measured:
    infinite = [name for name, value in measured.values.items() if not np.isfinite(value)]
    kept = {name: value for name, value in measured.values.items() if name not in infinite}
    return Measured(kept, measured.omitted | dict.fromkeys(infinite, "it is too large for a number"))
