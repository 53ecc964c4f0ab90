"""Makes the golden request: a few made-up rows as a request, and the answers that the model gives.

golden.json is kept beside the model and read by every serving pod, so it holds no row of the data: each value is made
up within the range of its column, on its own."""

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from modelwright_training.documents import Dataset, Feature
from modelwright_training.features.dates import FORMATS, Format, seconds
from modelwright_training.message import Json
from modelwright_training.onnxfile.feeding import Feeder
from modelwright_training.onnxfile.session import Array, Arrays, Model, Tensor

ROWS = 4
# A category of fewer rows could point to a person.
FREQUENT = 10
WORDS = ("alpha beta", "beta gamma delta", "gamma", "delta alpha beta gamma")
# Other processors and other builds of ONNX Runtime add up in another order.
TOLERANCE = {"absolute": 1e-5, "relative": 1e-4}


def make(model: Model, feed: Feeder, trained: pd.DataFrame, dataset: Dataset) -> Json:
    """The golden request and its answer; `trained` holds the training rows."""
    inputs = feed.feed(made_up(trained, dataset).head(min(ROWS, feed.batch)))
    return {
        "request": {"inputs": _payloads(model.inputs, inputs)},
        "response": {"outputs": _payloads(model.outputs, model.repeat(inputs))},
        "tolerance": TOLERANCE,
    }


def made_up(trained: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """Rows of made-up values. The columns are turned against each other, so that no row is low or high throughout."""
    columns = {
        feature.name: np.roll(_values(trained[feature.name], feature), place)
        for place, feature in enumerate(dataset.features)
    }
    return pd.DataFrame(columns)


def _values(column: "pd.Series[Any]", feature: Feature) -> npt.NDArray[Any]:
    if feature.kind == "numeric":
        return _numbers(column.dropna().to_numpy(), whole=feature.datatype == "INT64")
    if feature.kind == "text":
        return np.array(WORDS, dtype=object)
    if feature.kind == "date":
        return _dates(column[column != ""], FORMATS[feature.format or ""])
    counts = column[column != ""].value_counts()
    frequent = sorted(counts[counts >= FREQUENT].index)[:ROWS] or [""]
    return np.array([frequent[place % len(frequent)] for place in range(ROWS)], dtype=object)


def _dates(column: "pd.Series[Any]", known: Format) -> npt.NDArray[Any]:
    """Dates in the range of the column, written in its format."""
    if column.empty:
        return np.full(ROWS, "", dtype=object)
    instants = _numbers(seconds(pa.array(column.to_numpy(dtype=object), pa.string()), known), whole=True)
    return np.array(
        [_written(instant, known) for instant in instants.astype("datetime64[s]").tolist()], dtype=object
    )


def _written(instant: datetime, known: Format) -> str:
    date = known.name.replace("YYYY", f"{instant.year:04}").replace("MM", f"{instant.month:02}")
    clock = date.replace("DD", f"{instant.day:02}").replace("hh", f"{instant.hour:02}")
    return clock.replace("mm", f"{instant.minute:02}").replace("ss", f"{instant.second:02}")


def _numbers(values: npt.NDArray[Any], *, whole: bool) -> npt.NDArray[Any]:
    """Numbers between the 5 % and the 95 % quantile, in equal steps; whole ones where all values are."""
    if len(values) == 0:
        return np.zeros(ROWS)
    ranked = np.sort(values)
    low, high = (ranked[int(share * (len(ranked) - 1))].item() for share in (0.05, 0.95))
    shares = [(2 * place + 1, 2 * ROWS) for place in range(ROWS)]
    if whole or (low == int(low) and high == int(high) and bool((values == np.floor(values)).all())):
        low, high = int(low), int(high)
        return np.array(
            [low + (high - low) * part // of for part, of in shares], dtype=np.int64 if whole else float
        )
    return np.array([low + (high - low) * (part / of) for part, of in shares])


def _payloads(tensors: list[Tensor], arrays: Arrays) -> list[Json]:
    return [
        {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(arrays[tensor.name].shape),
            "data": _flat(arrays[tensor.name]),
        }
        for tensor in tensors
    ]


def _flat(array: Array) -> list[Any]:
    wide = array.astype(np.float64) if array.dtype.kind == "f" else array
    values: list[Any] = wide.reshape(-1).tolist()
    return values
