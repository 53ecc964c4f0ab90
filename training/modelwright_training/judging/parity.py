"""Compares what the ONNX model predicts with what the trainer's own library predicts for the same rows.

Converters have silent defects. Equal labels do not rule them out (a linear discriminant analysis of two
classes keeps all labels with probabilities wrong by 0.15), and a single large difference is no proof (one
row on a tree's threshold). So the verdict rests on quantiles, shares and means over the sample.

Probabilities are compared as they are. Scores and values have no scale of their own: their differences are
in units of the reference's standard deviation, plus a hundredth of the value itself, below which float32
cannot go (its resolution is 1.2e-7 of a value, the limit of 1e-4 is then 1e-6 of it)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelwright_training.documents import Class, Dataset
from modelwright_training.errors import InputError
from modelwright_training.judging.reference import Reference
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Floats, Predictions
from modelwright_training.onnxfile.session import Array

P999_LIMIT = 1e-4
LARGE = 1e-3
SHARE_LIMIT = 1e-3
MEAN_LIMIT = 1e-4
# Of the largest value to the standard deviation: beyond it float32 has fewer than ten binary digits for the spread.
RESOLUTION = 2.0**14
TIE = 2e-6  # between the two best classes: each is 1e-6 away from the middle


@dataclass(frozen=True)
class Parity:
    """The numbers of the comparison and what is wrong with them."""

    numbers: Json
    faults: list[str]

    def summary(self) -> str:
        """The numbers for a message."""
        return ", ".join(f"{name} {value:.3g}" for name, value in self.numbers.items())

    def document(self) -> Json:
        """As it stands in documents."""
        return {"verdict": "Fail" if self.faults else "Pass", **self.numbers}


def compare(reference: Reference, predictions: Predictions, classes: Sequence[Class] | None) -> Parity:
    """Compare predictions for the rows of a reference."""
    numbers: Json = {"compared": len(reference.rows)}
    faults: list[str] = []
    if classes is None:
        assert reference.values is not None  # noqa: S101 (checked when it was loaded)
        assert predictions.values is not None  # noqa: S101 (a regressor has values)
        _add_distance(numbers, faults, "values", *_scaled(reference.values, predictions.values))
        return Parity(numbers, faults)
    _add_labels(numbers, faults, reference, predictions)
    if reference.probabilities is not None:
        _add_probabilities(numbers, faults, reference.probabilities, predictions)
    elif reference.scores is not None and predictions.scores is not None:
        _add_scores(numbers, faults, reference.scores, predictions.scores)
    if len(classes) == 2 and predictions.scores is not None:
        _add_score_mismatches(numbers, faults, predictions, classes)
    return Parity(numbers, faults)


def cause(rows: pd.DataFrame, dataset: Dataset) -> str:
    """What the data has to do with a difference, as a sentence; empty if nothing is known.

    float32 has 24 binary digits. Where the values of a column are large beside their spread, few of them are left
    for what tells its rows apart."""
    worst, digits = None, RESOLUTION
    for feature in dataset.features:
        if feature.kind != "numeric" or feature.datatype is not None:
            continue
        values = rows[feature.name].to_numpy(dtype=np.float64, na_value=np.nan)
        values = values[np.isfinite(values)]
        spread = float(np.std(values)) if len(values) else 0.0
        ratio = float(np.abs(values).max()) / spread if spread > 0 else 0.0
        if ratio > digits:
            worst, digits = (feature.name, float(np.abs(values).max()), spread), ratio
    if worst is None:
        return ""
    name, largest, spread = worst
    return (
        f"The values of column {name!r} go up to {largest:.4g} with a standard deviation of {spread:.3g}: float32 "
        "tells few of them apart. Subtract a constant from the column, or leave it out (data.exclude). "
    )


def _add_labels(numbers: Json, faults: list[str], reference: Reference, predictions: Predictions) -> None:
    assert reference.labels is not None  # noqa: S101 (checked when it was loaded)
    assert predictions.labels is not None  # noqa: S101 (a classifier has labels)
    other = _comparable(reference.labels) != _comparable(predictions.labels)
    tables = [table for table in (reference.probabilities, predictions.probabilities) if table is not None]
    tied = (
        np.any([_margin(table) < TIE for table in tables], axis=0) if tables else np.zeros(len(other), bool)
    )
    numbers["labelMismatches"] = int((other & ~tied).sum())
    numbers["ties"] = int((other & tied).sum())
    if (other & ~tied).mean() > SHARE_LIMIT:
        faults.append(f"{numbers['labelMismatches']} of {len(other)} labels differ")


def _add_probabilities(numbers: Json, faults: list[str], expected: Array, predictions: Predictions) -> None:
    got = predictions.probabilities
    if got is None:
        faults.append("the reference has probabilities, but those of the model do not add up to 1")
        return
    if expected.shape != got.shape:
        shapes = f"shape {list(expected.shape)}, those of the model {list(got.shape)}"
        raise InputError("ReferenceInvalid", f"The probabilities in /model/reference.npz have {shapes}.")
    _add_distance(numbers, faults, "probabilities", expected.astype(np.float64), got)


def _add_scores(numbers: Json, faults: list[str], expected: Array, got: Floats) -> None:
    aligned = got[:, -1] if expected.ndim == 1 and got.shape[1] <= 2 else got
    if expected.shape != aligned.shape:
        faults.append(f"the scores have shape {list(got.shape)}, in the reference {list(expected.shape)}")
        return
    _add_distance(numbers, faults, "scores", *_scaled(expected.astype(np.float64), aligned))


def _add_distance(numbers: Json, faults: list[str], what: str, expected: Floats, got: Floats) -> None:
    apart = np.abs(expected - got).reshape(len(got), -1)
    by_row = apart.max(axis=1)
    p999, share = float(np.quantile(by_row, 0.999)), float((by_row > LARGE).mean())
    mean = float(np.abs(expected.mean(axis=0) - got.mean(axis=0)).max())
    numbers |= {
        "maxDifference": float(by_row.max()),
        "p999Difference": p999,
        "shareOver1e3": share,
        "meanDifference": mean,
    }
    if p999 > P999_LIMIT:
        faults.append(
            f"the 99.9 % quantile of the difference of {what} is {p999:.2g}, allowed is {P999_LIMIT:g}"
        )
    if share > SHARE_LIMIT:
        faults.append(f"{share:.1%} of rows differ by more than {LARGE:g}, allowed is {SHARE_LIMIT:.1%}")
    if mean > MEAN_LIMIT:
        faults.append(f"the mean of {what} differs by {mean:.2g}, allowed is {MEAN_LIMIT:g}")


def _add_score_mismatches(
    numbers: Json, faults: list[str], predictions: Predictions, classes: Sequence[Class]
) -> None:
    """The score of the second of two classes has to be positive exactly where it is the label."""
    table, labels = predictions.scores, predictions.labels
    assert table is not None  # noqa: S101 (asked for by the caller)
    assert labels is not None  # noqa: S101 (a classifier has labels)
    if table.shape[1] > 2:
        return
    lead = table[:, -1] - (table[:, 0] if table.shape[1] == 2 else 0)
    wrong = ((lead > 0) != (labels == classes[1])) & (np.abs(lead) > TIE)
    numbers["scoreMismatches"] = int(wrong.sum())
    if wrong.mean() > SHARE_LIMIT:
        faults.append(
            f"in {numbers['scoreMismatches']} of {len(wrong)} rows the scores point to another class"
        )


def _scaled(expected: Array, got: Floats) -> tuple[Floats, Floats]:
    """Both in units of the expected values' spread, with room for the resolution of float32."""
    exact = expected.astype(np.float64)
    unit = np.std(exact) + 0.01 * np.abs(exact)
    unit = np.where(unit > 0, unit, 1.0)
    return exact / unit, got / unit


def _margin(table: Array) -> Floats:
    best = np.sort(table.astype(np.float64), axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def _comparable(labels: Array) -> Array:
    """Labels as text; whole numbers in whatever type are written alike."""
    return (labels.astype(np.int64) if labels.dtype.kind in "bf" else labels).astype(str)
