"""The tables beside the metrics: rows and errors per class, confusion matrix, thresholds, calibration, residuals.

They are JSON documents of bounded size. Numbers have six significant digits; what has no value is not there."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelwright_training.documents import Class
from modelwright_training.judging.scorers import Codes, Floats
from modelwright_training.message import Json

Mask = npt.NDArray[np.bool_]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BINS = 10
RESIDUALS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
CONFUSION_CLASSES = 50


def rounded(value: float) -> float:
    """A number with six significant digits: more of them say nothing of a hold-out."""
    return float(f"{value:.6g}")


def per_class(classes: Sequence[Class], train: Codes, truth: Codes, answered: Codes) -> list[Json]:
    """Rows of both sides, precision, recall and f1 of each class."""
    count = len(classes)
    learnt, there, said = (np.bincount(codes, minlength=count) for codes in (train, truth, answered))
    hits = np.bincount(truth[truth == answered], minlength=count)
    return [
        {"label": label, "trainRows": int(learnt[place]), "holdoutRows": int(there[place])}
        | _share("precision", hits[place], said[place])
        | _share("recall", hits[place], there[place])
        | (_share("f1", 2 * hits[place], there[place] + said[place]) if there[place] else {})
        for place, label in enumerate(classes)
    ]


def confusion(classes: Sequence[Class], truth: Codes, answered: Codes) -> Json | None:
    """How often each class was answered for each true one; None for more than 50 classes."""
    count = len(classes)
    if count > CONFUSION_CLASSES:
        return None
    table = np.bincount(truth * count + answered, minlength=count * count).reshape(count, count)
    return {"classes": list(classes), "counts": table.tolist()}


def thresholds(positive: Mask, probability: Floats) -> list[Json]:
    """Precision, recall, and the share of rows that are answered positive, where the answer is positive from a
    probability on."""
    rows: list[Json] = []
    for threshold in THRESHOLDS:
        said = probability >= threshold
        hits = int((said & positive).sum())
        rows.append(
            {"threshold": threshold, "share": rounded(float(said.mean()))}
            | _share("precision", hits, int(said.sum()))
            | _share("recall", hits, int(positive.sum()))
        )
    return rows


def calibration(happened: Mask, probability: Floats) -> list[Json]:
    """Ten bins of equal width over the probability: its mean, how often it came true, and the rows of each."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    predicted, observed = (np.bincount(bins, values, BINS) for values in (probability, happened))
    return [
        {
            "predicted": rounded(predicted[place] / rows[place]),
            "observed": rounded(observed[place] / rows[place]),
            "rows": int(rows[place]),
        }
        for place in np.flatnonzero(rows)
    ]


def residuals(errors: Floats) -> list[Json]:
    """Quantiles of what is true less what is predicted."""
    values = np.quantile(errors, RESIDUALS)
    return [
        {"quantile": share, "value": rounded(float(value))}
        for share, value in zip(RESIDUALS, values, strict=True)
    ]


def bands(values: Floats, errors: Floats) -> list[Json]:
    """Quantiles of the residuals in ten parts of the rows, in ascending order of what is predicted."""
    parts = [part for part in np.array_split(np.argsort(values, kind="stable"), BINS) if len(part)]
    return [
        {
            "predicted": rounded(float(values[part].mean())),
            "rows": len(part),
            **{
                name: rounded(float(np.quantile(errors[part], share)))
                for name, share in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95))
            },
        }
        for part in parts
    ]


def _share(name: str, part: float, whole: float) -> Json:
    return {name: rounded(float(part / whole))} if whole else {}
