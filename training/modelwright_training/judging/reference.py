"""What the trainer's own library predicts for rows of train.parquet: written by train, read by publish.

Which rows is not the trainer's choice: all of at most 2,000, else 2,000 spread evenly. A reference may hold more rows;
only these are compared. Arrays only: a file that would need unpickling, or unpacks to something huge, is refused."""

import io
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from modelwright_training.documents import Dataset
from modelwright_training.errors import InputError, storage
from modelwright_training.files import regular, size_of
from modelwright_training.untyped import Estimator, Features

SAMPLE = 2000
# 2,000 rows of 1,000 classes take 16 MB, a million rows of ten classes 80 MB.
MAX_BYTES = 256 << 20
ARRAYS = ("rows", "labels", "probabilities", "scores", "values")
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Reference:
    """Predictions by row number; what a kind of model does not have is None."""

    rows: npt.NDArray[np.int64]
    labels: Array | None = None
    probabilities: Array | None = None
    scores: Array | None = None
    values: Array | None = None


def sample(count: int) -> npt.NDArray[np.int64]:
    """The rows that are compared, of `count` rows: all, or 2,000 spread evenly."""
    return np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64)


def of_pipeline(
    pipeline: Estimator, features: Features, dataset: Dataset, rows: npt.NDArray[np.int64]
) -> bytes:
    """The reference of a fitted pipeline; `features` holds the chosen rows."""
    arrays: dict[str, Array] = {"rows": rows}
    if dataset.task == "Regression":
        arrays["values"] = np.asarray(pipeline.predict(features), dtype=np.float64).reshape(len(rows))
    else:
        arrays["labels"] = np.asarray(pipeline.predict(features))
        if hasattr(pipeline, "predict_proba"):
            arrays["probabilities"] = np.asarray(pipeline.predict_proba(features), dtype=np.float64)
        elif hasattr(pipeline, "decision_function"):
            arrays["scores"] = np.asarray(pipeline.decision_function(features), dtype=np.float64)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load(path: Path, dataset: Dataset, max_bytes: int = MAX_BYTES) -> Reference | None:
    """The reference that a trainer has left, if any, for the rows that are compared; refuses one that does not fit."""
    try:
        with storage(f"Reading {path}"), regular(path) as file:
            if file is None:
                return None
            content = file.read() if size_of(file) <= max_bytes else b""
        arrays = _arrays(io.BytesIO(content), max_bytes)
    except (
        ValueError,
        KeyError,
        EOFError,
        OverflowError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        raise _invalid(f"it cannot be read ({error})") from error
    if "rows" not in arrays:
        raise _invalid("it has no array `rows`")
    return _of_sample(arrays, dataset)


def _arrays(content: io.BytesIO, max_bytes: int) -> dict[str, Array]:
    """The known arrays of an archive, whose sizes are checked before anything is unpacked."""
    with zipfile.ZipFile(content) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        wanted = {name: entries[f"{name}.npy"] for name in ARRAYS if f"{name}.npy" in entries}
        if sum(entry.file_size for entry in wanted.values()) > max_bytes:
            raise ValueError(f"it unpacks to more than {max_bytes} bytes")
        for name, entry in wanted.items():
            with archive.open(entry) as file:
                _check_size(name, entry.file_size, file)
    content.seek(0)
    with np.load(content, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in wanted}


def _check_size(name: str, size: int, file: IO[bytes]) -> None:
    """Refuse an array whose header promises more than the archive holds: it would be allocated before it is read."""
    version = npy.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"`{name}` is written in version {version} of the NumPy format")
    shape, _, dtype = HEADERS[version](file)
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"`{name}` has shape {list(shape)}, but {size} bytes")


def _of_sample(arrays: dict[str, Array], dataset: Dataset) -> Reference:
    rows, count = arrays["rows"], dataset.rows
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or rows.size == 0:
        raise _invalid("`rows` has to be a list of row numbers")
    if rows.min() < 0 or rows.max() >= count:
        raise _invalid(f"`rows` names row {int(rows.max())}, but train.parquet has rows 0 to {count - 1}")
    needed = "labels" if dataset.task == "Classification" else "values"
    if needed not in arrays:
        raise _invalid(f"it has no array `{needed}`, which {dataset.task} needs")
    places = _places(rows.astype(np.int64), count)
    found = {name: _checked(name, array, rows)[places] for name, array in arrays.items() if name != "rows"}
    return Reference(sample(count), **found)


def _places(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.intp]:
    """Where the rows that are compared are among `rows`."""
    wanted = sample(count)
    order = np.argsort(rows, kind="stable")
    found = np.searchsorted(rows, wanted, sorter=order)
    there = np.zeros(len(wanted), dtype=bool)
    inside = found < len(rows)
    there[inside] = rows[order[found[inside]]] == wanted[inside]
    if not there.all():
        raise _invalid(
            f"`rows` lacks {int((~there).sum())} of the {len(wanted)} rows that are compared, the first is row "
            f"{int(wanted[~there][0])}. They are numpy.linspace(0, {count - 1}, {len(wanted)}).astype(int)"
        )
    return order[found]


def _checked(name: str, array: Array, rows: Array) -> Array:
    """An array with an entry for each row: one label or value, or a number for each class."""
    if array.shape[:1] != rows.shape:
        raise _invalid(f"`{name}` has {array.shape[:1]} entries for {rows.size} rows")
    if name in ("labels", "values"):
        if array.size != rows.size:
            raise _invalid(f"`{name}` has shape {list(array.shape)} instead of [{rows.size}]")
        array = array.reshape(-1)
    if name == "labels" and array.dtype.kind not in "biufUS":
        raise _invalid("`labels` has to hold whole numbers or text")
    if name != "labels" and not (array.dtype.kind in "fiu" and np.isfinite(array).all()):
        raise _invalid(f"`{name}` has to hold finite numbers")
    if name != "labels" and array.ndim > 2:
        raise _invalid(f"`{name}` has shape {list(array.shape)}")
    return array


def _invalid(what: str) -> InputError:
    return InputError("ReferenceInvalid", f"/model/reference.npz does not fit: {what}.")
