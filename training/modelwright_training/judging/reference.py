"""What the trainer's own library predicts for some rows of train.parquet: written by train, read by publish.

Arrays only; a file that would need unpickling, or unpacks to something huge, is refused."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from modelwright_training.documents import Dataset
from modelwright_training.errors import InputError, storage
from modelwright_training.untyped import Features

SAMPLE = 2000
MAX_BYTES = 1 << 30

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
    """Row numbers spread evenly over `count` rows, at most 2,000."""
    return np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64)


def of_pipeline(
    pipeline: Pipeline, features: Features, dataset: Dataset, rows: npt.NDArray[np.int64]
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
    """The reference that a trainer has left, if any; refuses one that does not fit the data."""
    if not path.is_file():
        return None
    try:
        with storage(f"Reading {path}"):
            arrays = _arrays(path, max_bytes)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _invalid(f"it cannot be read ({error})") from error
    if "rows" not in arrays:
        raise _invalid("it has no array `rows`")
    known = {name: array for name, array in arrays.items() if name in Reference.__dataclass_fields__}
    reference = Reference(**known)
    _check(reference, dataset)
    return reference


def _arrays(path: Path, max_bytes: int) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > max_bytes:
            raise ValueError(f"it unpacks to more than {max_bytes} bytes")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _check(reference: Reference, dataset: Dataset) -> None:
    rows, count = reference.rows, dataset.rows
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or rows.size == 0:
        raise _invalid("`rows` has to be a list of row numbers")
    if rows.min() < 0 or rows.max() >= count:
        raise _invalid(f"`rows` names row {int(rows.max())}, but train.parquet has rows 0 to {count - 1}")
    needed = "labels" if dataset.task == "Classification" else "values"
    if getattr(reference, needed) is None:
        raise _invalid(f"it has no array `{needed}`, which {dataset.task} needs")
    for name in ("labels", "probabilities", "scores", "values"):
        array: Array | None = getattr(reference, name)
        if array is not None and array.shape[:1] != rows.shape:
            raise _invalid(f"`{name}` has {array.shape[:1]} entries for {rows.size} rows")
        if (
            array is not None
            and name != "labels"
            and not (array.dtype.kind in "fiu" and np.isfinite(array).all())
        ):
            raise _invalid(f"`{name}` has to hold finite numbers")


def _invalid(what: str) -> InputError:
    return InputError("ReferenceInvalid", f"/model/reference.npz does not fit: {what}.")
