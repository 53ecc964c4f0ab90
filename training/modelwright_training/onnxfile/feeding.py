"""Lays the columns of the data out as the inputs of a model, by name or as one matrix, and runs it in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelwright_training.documents import Dataset
from modelwright_training.errors import InputError, listing
from modelwright_training.features import frames
from modelwright_training.onnxfile.session import DTYPES, Array, Arrays, Model, Tensor

# Few enough for models that need much memory for each row.
BATCH = 512
# Models of text fill all rows of a batch up to the longest text: its characters times the rows, 16 bytes each at most.
CHARACTERS = 1 << 22
# Rows that are laid out as inputs at once.
BLOCK = 65_536
# Rows whose answers are asked for twice.
REPEATED = 4096
# Rows that are run together and each alone.
PROBE = 16


@dataclass(frozen=True)
class Feeder:
    """Makes the inputs of a model out of rows; `batch` is how many rows it takes at once."""

    dataset: Dataset
    inputs: list[Tensor]
    by_column: bool
    batch: int

    def feed(self, frame: pd.DataFrame) -> dict[str, Array]:
        """The inputs for some rows."""
        if self.by_column:
            return {tensor.name: _column(frame, self.dataset, tensor) for tensor in self.inputs}
        (tensor,) = self.inputs
        if tensor.datatype == "FP32":
            return {tensor.name: frames.matrix(frame, self.dataset)}
        return {tensor.name: _cast(frame[self.dataset.names].to_numpy(), tensor)}


def feeder(model: Model, dataset: Dataset) -> Feeder:
    """How to feed a model with the data, or SignatureMismatch."""
    names = dataset.names
    by_column = all(tensor.name in names for tensor in model.inputs)
    if not by_column and len(model.inputs) != 1:
        unknown = [tensor.name for tensor in model.inputs if tensor.name not in names]
        raise _mismatch(f"has inputs that are not columns of the data: {listing(unknown)}", dataset)
    if not model.inputs:
        raise _mismatch("has no inputs", dataset)
    for tensor in model.inputs:
        _check_column(tensor, dataset) if by_column else _check_matrix(tensor, dataset)
    sizes = {tensor.shape[0] for tensor in model.inputs}
    if not sizes <= {-1, 1}:
        raise _mismatch(
            f"takes exactly {max(sizes)} rows at once; export it with a dynamic first dimension", dataset
        )
    return Feeder(dataset, model.inputs, by_column, 1 if 1 in sizes else BATCH)


def run(model: Model, feed: Feeder, frame: pd.DataFrame) -> dict[str, Array]:
    """The outputs of a model for all rows. The first of them are run twice: NotDeterministic if the answers differ."""
    parts = []
    for block in range(0, len(frame), BLOCK):
        rows = frame.iloc[block : block + BLOCK]
        inputs = feed.feed(rows)
        for start, stop in _batches(inputs, len(rows), feed.batch):
            batch = {name: array[start:stop] for name, array in inputs.items()}
            answer = model.repeat if block + start < REPEATED else model.run
            parts.append(_per_row(answer(batch), stop - start))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batches(inputs: Arrays, rows: int, most: int) -> Iterator[tuple[int, int]]:
    """Where batches of at most so many rows begin and end; shorter ones where a text is long."""
    texts = [array.reshape(rows) for array in inputs.values() if array.dtype == object]
    lengths = np.array([max(map(len, row)) for row in zip(*texts, strict=True)] if texts else [0] * rows)
    start = 0
    while start < rows:
        stop = min(start + most, rows)
        while stop - start > 1 and (stop - start) * int(lengths[start:stop].max()) > CHARACTERS:
            stop = start + (stop - start) // 2
        yield start, stop
        start = stop


def alone(model: Model, feed: Feeder, frame: pd.DataFrame) -> bool:
    """Whether a row has to be run alone, because the rows beside it change its answer (sums over the batch)."""
    inputs = feed.feed(frame.head(PROBE))
    count = min(PROBE, len(frame))
    if feed.batch == 1 or count < 2:
        return False
    beside = _per_row(model.run(inputs), count)
    single = [
        model.run({name: array[row : row + 1] for name, array in inputs.items()}) for row in range(count)
    ]
    return not all(
        _alike(answer, np.concatenate([one[name] for one in single])) for name, answer in beside.items()
    )


def _alike(some: Array, other: Array) -> bool:
    """Whether answers are the same but for the order in which numbers were added up."""
    if some.dtype.kind == "f":
        return some.shape == other.shape and bool(
            np.allclose(some, other, rtol=1e-4, atol=1e-5, equal_nan=True)
        )
    return some.shape == other.shape and bool(
        (some == other).mean() >= 1 - 1 / PROBE
    )  # a tie may fall either way


def _per_row(answers: dict[str, Array], rows: int) -> dict[str, Array]:
    for name, answer in answers.items():
        if answer.shape[:1] != (rows,):
            shape = list(answer.shape)
            message = f"Output {name!r} has shape {shape} for {rows} rows; it needs one entry per row."
            raise InputError("OutputUnsuitable", message)
    return answers


def _check_matrix(tensor: Tensor, dataset: Dataset) -> None:
    width = len(dataset.features)
    if len(tensor.shape) != 2 or tensor.shape[1] not in (-1, width):
        what = f"has an input {tensor.name!r} of shape {list(tensor.shape)}"
        raise _mismatch(f"{what}, which does not fit {width} features", dataset)
    text = [feature.name for feature in dataset.features if feature.kind != "numeric"]
    if tensor.datatype != "BYTES" and text:
        raise _mismatch(
            f"takes one matrix of {tensor.datatype}, but these columns are text: {listing(text)}", dataset
        )
    if tensor.datatype == "BYTES" and len(text) < width:
        raise _mismatch("takes one matrix of text, but there are columns of numbers", dataset)


def _check_column(tensor: Tensor, dataset: Dataset) -> None:
    if len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ((), (1,), (-1,)):
        raise _mismatch(
            f"has an input {tensor.name!r} of shape {list(tensor.shape)} instead of [-1, 1]", dataset
        )
    kind = next(feature.kind for feature in dataset.features if feature.name == tensor.name)
    if (tensor.datatype == "BYTES") != (kind != "numeric"):
        raise _mismatch(f"takes {tensor.datatype} for column {tensor.name!r}, which is {kind}", dataset)


def _column(frame: pd.DataFrame, dataset: Dataset, tensor: Tensor) -> Array:
    exact = tensor.datatype in ("FP32", "BYTES")
    values = (
        frames.column(frame, dataset, tensor.name) if exact else _cast(frame[tensor.name].to_numpy(), tensor)
    )
    return values.reshape(-1, 1) if len(tensor.shape) == 2 else values


def _cast(values: Array, tensor: Tensor) -> Array:
    dtype = np.dtype(DTYPES[tensor.datatype])
    if dtype.kind in "iub" and np.isnan(values.astype(np.float64)).any():
        message = f"Input {tensor.name!r} is {tensor.datatype}, which cannot hold the data's missing values."
        raise InputError("SignatureMismatch", message)
    return np.ascontiguousarray(values.astype(dtype))


def _mismatch(what: str, dataset: Dataset) -> InputError:
    return InputError(
        "SignatureMismatch",
        f"The model {what}. The features are {listing(dataset.names)}: give the model one input per feature, "
        "named as the column, or a single matrix of them all in this order.",
    )
