"""Counts what the model predicts, and names the outputs that say it."""

from collections.abc import Sequence

import numpy as np

from modelwright_training.documents import Class
from modelwright_training.judging.profile import cells, features
from modelwright_training.judging.profile.cells import Floats
from modelwright_training.message import Json
from modelwright_training.onnxfile import predictions
from modelwright_training.onnxfile.predictions import Predictions
from modelwright_training.onnxfile.session import Array, Tensor

# The edges of probabilities: ten cells of equal width.
TENTHS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
# Of the spread: other batches add up in another order.
NOISE = 1e-6


def regression(outputs: Sequence[Tensor], said: Predictions) -> Json | None:
    """The values that were predicted, in cells."""
    name = predictions.value_name(outputs)
    if name is None or said.values is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        apart = NOISE * float(said.values.std())
    found = features.in_cells(said.values, apart if np.isfinite(apart) else 0.0)
    return {"value": name, **found}


def classification(
    outputs: Sequence[Tensor],
    said: Predictions,
    truth: Array,
    classes: Sequence[Class],
    positive: Class | None,
) -> Json | None:
    """How often each class was predicted, with which probability, and how often that was right."""
    if said.labels is None:
        return None
    label, table = predictions.label_names(outputs)
    answered = cells.places(said.labels, classes)
    right = answered == cells.places(truth, classes)
    kind = "probabilities" if said.probabilities is not None else "scores"
    return {
        "label": label,
        "table": table,
        "tableIs": None if table is None else kind,
        "labels": np.bincount(answered[answered >= 0], minlength=len(classes)).tolist(),
        "scores": _scores(said.probabilities, classes, positive),
        **_confidence(said.probabilities, right),
    }


def _scores(table: Floats | None, classes: Sequence[Class], positive: Class | None) -> list[int] | None:
    if table is None or positive is None or len(classes) != 2:
        return None
    return cells.count(table[:, list(classes).index(positive)], TENTHS)


def _confidence(table: Floats | None, right: Array) -> Json:
    if table is None:
        return {"confidence": None, "correct": None}
    largest = table.max(axis=1)
    return {"confidence": cells.count(largest, TENTHS), "correct": cells.count(largest[right], TENTHS)}
