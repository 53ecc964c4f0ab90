"""Reads the rows that fetch has written and gives them as a model sees them: numbers rounded to float32."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from modelwright_training.documents import Dataset, Feature
from modelwright_training.errors import InputError, storage
from modelwright_training.features.dates import FORMATS, numbers
from modelwright_training.features.prepared import columns_of
from modelwright_training.features.wide import difference
from modelwright_training.untyped import Features

Matrix = npt.NDArray[np.float32]


def load_rows(path: Path, dataset: Dataset, *, extra: bool = False) -> pd.DataFrame:
    """The features and the target of one side of the split; with `extra` all other columns as well, behind them."""
    if not path.is_file():
        raise InputError("DataNotFound", f"{path} is not there: the fetch step has to run before this one.")
    try:
        with storage(f"Reading {path}"):
            frame = pd.read_parquet(path)
        wanted = [*dataset.names, dataset.target.name]
        others = [name for name in frame.columns if extra and name not in wanted]
        return frame[[*wanted, *others]]
    except (pa.ArrowInvalid, KeyError) as error:
        raise InputError("DataUnreadable", f"{path} is not what fetch has written: {error}.") from error


def weights(path: Path, dataset: Dataset) -> npt.NDArray[np.float64] | None:
    """The weights of the rows to learn from, if the data has any."""
    if dataset.weight is None:
        return None
    with storage(f"Reading {path}"):
        frame = pd.read_parquet(path, columns=[dataset.weight])
    return frame[dataset.weight].to_numpy(dtype=np.float64)


def column(frame: pd.DataFrame, dataset: Dataset, name: str) -> npt.NDArray[Any]:
    """One feature as the server is asked for it: float32, or text as objects."""
    kinds = {feature.name: feature.kind for feature in dataset.features}
    dtype: type = np.float32 if kinds[name] == "numeric" else object
    return frame[name].to_numpy(dtype=dtype)


def matrix(frame: pd.DataFrame, dataset: Dataset) -> Matrix:
    """All features, where all are numeric, as one float32 matrix."""
    return np.ascontiguousarray(frame[dataset.names].to_numpy(dtype=np.float32))


def for_estimator(frame: pd.DataFrame, dataset: Dataset) -> Features:
    """The features for scikit-learn: float32 values in float64, so that it computes in double precision.

    A matrix where all are numeric, else a data frame of the prepared columns."""
    if dataset.all_numeric:
        return matrix(frame, dataset).astype(np.float64)
    columns: dict[str, npt.NDArray[Any]] = {}
    for place, feature in enumerate(dataset.features):
        values = _prepared(frame, dataset, feature)
        columns |= {column.name: values[column.part] for column in columns_of(feature, place)}
    return pd.DataFrame(columns)


def _prepared(
    frame: pd.DataFrame, dataset: Dataset, feature: Feature
) -> Mapping[str | None, npt.NDArray[Any]]:
    """The columns of one feature by part."""
    if feature.kind == "date":
        texts = pa.array(frame[feature.name].to_numpy(dtype=object), pa.string())  # one array, not chunks
        parts = numbers(texts, FORMATS[feature.format or ""], int(feature.offset or 0))
        return {part: values.astype(np.float64) for part, values in parts.items()}
    if feature.datatype:
        return {None: difference(frame[feature.name].to_numpy(), feature).astype(np.float64)}
    values = column(frame, dataset, feature.name)
    return {None: values.astype(np.float64) if feature.kind == "numeric" else values}


def target(frame: pd.DataFrame, dataset: Dataset) -> npt.NDArray[Any]:
    """The target: int64, float64 or text."""
    dtypes: dict[str, Any] = {"integer": np.int64, "number": np.float64, "string": str}
    return frame[dataset.target.name].to_numpy().astype(dtypes[dataset.target.type])
