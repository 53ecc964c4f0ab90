"""Makes profile.json: the hold-out in counts, of a size that every serving pod can hold.

It has no row of the data, and no value that fewer than ten rows have. The values are those that arrive at the model,
in the type of its inputs: a server that counts requests gets the same counts for the same rows."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelwright_training.features import frames
from modelwright_training.judging.loaded import Loaded
from modelwright_training.judging.profile import features, predicted
from modelwright_training.judging.profile.projections import project, seed_of
from modelwright_training.message import Json
from modelwright_training.onnxfile.predictions import Predictions
from modelwright_training.onnxfile.session import Array

MAX_BYTES = 1 << 20
MAX_FEATURES = 1024
# More rows would cost time and memory, and make the counts hardly more certain.
MAX_ROWS, MAX_CELLS = 100_000, 5_000_000


@dataclass(frozen=True)
class Profile:
    """The bytes of profile.json, and how many rows are counted in it."""

    content: bytes
    rows: int

    @property
    def digest(self) -> str:
        """Of the file."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


def make(model: Loaded, holdout: pd.DataFrame, said: Predictions) -> Profile:
    """The profile of a model on its hold-out; `said`: what it predicts for these rows."""
    seed = seed_of(model.file.digest)
    rows = _chosen(len(holdout), len(model.dataset.features), seed)
    frame = holdout if rows is None else holdout.iloc[rows]
    columns = arriving(model, frame)
    kinds = {feature.name: feature.kind for feature in model.dataset.features}
    described = [
        {"name": name, "kind": kinds[name], **features.OF_KIND[kinds[name]](values)}
        for name, values in list(columns.items())[:MAX_FEATURES]
    ]
    document = {
        "version": 1,
        "rows": len(frame),
        "task": model.dataset.task.lower(),
        "input": None if model.feed.by_column else model.model.inputs[0].name,
        "classes": model.classes,
        "positiveClass": model.dataset.positive_class if len(model.classes or ()) == 2 else None,
        "features": described,
        "leftOut": len(columns) - len(described),
        "projections": project(described, columns, seed),
        "predictions": _predictions(model, frame, said if rows is None else _of_rows(said, rows)),
    }
    return Profile(_bounded(document), len(frame))


def arriving(model: Loaded, frame: pd.DataFrame) -> dict[str, Array]:
    """The features that the model takes, as its inputs hold them: numbers as float64, texts as objects."""
    inputs = model.feed.feed(frame)
    if model.feed.by_column:
        taken = [name for name in model.dataset.names if name in inputs]
        columns = {name: inputs[name].reshape(-1) for name in taken}
    else:
        (matrix,) = inputs.values()
        columns = {name: matrix[:, place] for place, name in enumerate(model.dataset.names)}
    return {
        name: values if values.dtype == object else values.astype(np.float64)
        for name, values in columns.items()
    }


def _chosen(rows: int, columns: int, seed: int) -> Array | None:
    """The numbers of the rows that are counted, in their order; None for all of them."""
    most = max(1000, min(MAX_ROWS, MAX_CELLS // max(columns, 1)))
    if rows <= most:
        return None
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _of_rows(said: Predictions, rows: Array) -> Predictions:
    parts = (said.labels, said.probabilities, said.scores, said.values)
    return Predictions(*(None if part is None else part[rows] for part in parts))


def _predictions(model: Loaded, frame: pd.DataFrame, said: Predictions) -> Json | None:
    outputs = model.model.outputs
    if model.classes is None:
        return predicted.regression(outputs, said)
    truth = frames.target(frame, model.dataset)
    return predicted.classification(outputs, said, truth, model.classes, model.dataset.positive_class)


def _bounded(document: Json) -> bytes:
    """The text of the document; without the projections, then without the last features, if it is too long."""
    content = _text(document)
    if len(content) > MAX_BYTES:
        document = {**document, "projections": None}
        content = _text(document)
    described = document["features"]
    while len(content) > MAX_BYTES and described:
        room = len(described) * MAX_BYTES // len(content)
        described = described[: min(room, len(described) - 1)]
        left = document["leftOut"] + len(document["features"]) - len(described)
        content = _text({**document, "features": described, "leftOut": left})
    return content


def _text(document: Json) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
