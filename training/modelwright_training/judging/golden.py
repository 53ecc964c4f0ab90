"""Makes the golden request: a few rows of the hold-out as a request, and the answer that the model gives."""

from typing import Any

import numpy as np
import pandas as pd

from modelwright_training.documents import Dataset
from modelwright_training.message import Json
from modelwright_training.onnxfile.feeding import Feeder
from modelwright_training.onnxfile.session import Array, Arrays, Model, Tensor

ROWS = 4
# Other processors and other builds of ONNX Runtime add up in another order.
TOLERANCE = {"absolute": 1e-5, "relative": 1e-4}


def make(model: Model, feed: Feeder, holdout: pd.DataFrame, dataset: Dataset) -> Json:
    """The golden request and its answer."""
    inputs = feed.feed(_rows(holdout, dataset, min(ROWS, feed.batch)))
    return {
        "request": {"inputs": _payloads(model.inputs, inputs)},
        "response": {"outputs": _payloads(model.outputs, model.repeat(inputs))},
        "tolerance": TOLERANCE,
    }


def _rows(holdout: pd.DataFrame, dataset: Dataset, count: int) -> pd.DataFrame:
    """The first rows that JSON can hold: without missing numbers, else with 0 in their place."""
    features = holdout[dataset.names]
    complete = features.dropna()
    return complete.head(count) if len(complete) else features.head(count).fillna(0.0)


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
