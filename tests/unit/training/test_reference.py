"""Which references a trainer may leave, and which are refused before anything is compared."""

import io
import zipfile

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from numpy.lib import format as npy
from unit.training.pod import Pod, numbers
from unit.training.test_publish import TWO_CLASSES, model

from modelwright_training.documents import load_dataset
from modelwright_training.errors import InputError
from modelwright_training.judging.reference import load, sample

ROWS = np.arange(80)  # of 100, 20 are held out
LABELS = np.zeros(80, dtype=np.int64)
HALVES = np.full((80, 2), 0.5)
REFERENCES: dict[str, tuple[dict[str, object], str]] = {
    "no rows": ({"labels": LABELS}, "no array `rows`"),
    "rows that are not there": ({"rows": ROWS + 1, "labels": LABELS}, "row 80"),
    "negative rows": ({"rows": ROWS - 1, "labels": LABELS}, "names row"),
    "rows that are no numbers": ({"rows": ["a"] * 80, "labels": LABELS}, "list of row numbers"),
    "rows of the trainer's choice": (
        {"rows": ROWS[:3], "labels": LABELS[:3]},
        "`rows` lacks 77 of the 80 rows that are compared, the first is row 3",
    ),
    "one easy row, many times": ({"rows": np.zeros(80, dtype=int), "labels": LABELS}, "lacks 79 of the 80"),
    "no labels": ({"rows": ROWS}, "no array `labels`"),
    "fewer labels than rows": ({"rows": ROWS, "labels": LABELS[:2]}, "`labels` has"),
    "several labels for a row": (
        {"rows": ROWS, "labels": np.zeros((80, 2), int)},
        "`labels` has shape [80, 2]",
    ),
    "labels that are dates": ({"rows": ROWS, "labels": LABELS.astype("M8[D]")}, "whole numbers or text"),
    "a cube of probabilities": (
        {"rows": ROWS, "labels": LABELS, "probabilities": np.zeros((80, 2, 2))},
        "`probabilities` has shape [80, 2, 2]",
    ),
    "other classes": (
        {"rows": ROWS, "labels": LABELS, "probabilities": np.full((80, 3), 1 / 3)},
        "shape [80, 3], those of the model [80, 2]",
    ),
    "infinite values": ({"rows": ROWS, "labels": LABELS, "probabilities": HALVES + np.inf}, "finite numbers"),
    "pickled objects": ({"rows": ROWS, "labels": np.array([{}] * 80)}, "cannot be read"),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_refused_for(ready: Pod, name: str) -> None:
    arrays, words = REFERENCES[name]
    ready.given_model(model(TWO_CLASSES)).given_reference(**arrays)
    ending = ready.run("publish")
    assert ending.reason == "ReferenceInvalid"
    assert words in ending.message


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_reference_that_is_no_archive_is_refused(ready: Pod, content: bytes) -> None:
    ready.given_model(model(TWO_CLASSES)).paths.reference.write_bytes(content)
    assert ready.run("publish").reason == "ReferenceInvalid"


def test_a_reference_that_unpacks_to_too_much_is_refused(ready: Pod) -> None:
    np.savez_compressed(ready.paths.reference, rows=np.zeros(100_000, dtype=np.int64))
    assert ready.paths.reference.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacks to more than 10000 bytes") as refused:
        load(ready.paths.reference, load_dataset(ready.paths.dataset), max_bytes=10_000)
    assert refused.value.reason == "ReferenceInvalid"


def test_an_array_that_promises_more_than_its_file_holds_is_refused(ready: Pod) -> None:
    """NumPy would allocate 8 TB before it reads the first number."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"shape": (10**12,), "fortran_order": False, "descr": "<i8"})
    with zipfile.ZipFile(ready.paths.reference, "w") as archive:
        archive.writestr("rows.npy", header.getvalue() + bytes(64))
    ending = ready.given_model(model(TWO_CLASSES)).run("publish")
    assert ending.reason == "ReferenceInvalid"
    assert "`rows` has shape [1000000000000]" in ending.message


def test_rows_that_are_not_compared_are_left_out(pod: Pod) -> None:
    """A reference may hold all rows; 2,000 spread evenly are compared, whatever their order in the file."""
    pod.given_rows(numbers(4000)).given()
    assert pod.through("fetch", "train").code == 0
    with np.load(pod.paths.reference) as kept:
        rows, arrays = kept["rows"], {name: kept[name] for name in kept.files}
    assert rows.tolist() == sample(3200).tolist()
    other = np.setdiff1d(np.arange(3200), rows)
    order = np.random.default_rng(0).permutation(3200)
    everything = {
        name: np.concatenate([array, np.resize(array[::-1], (len(other), *array.shape[1:]))])[order]
        for name, array in arrays.items()
    }
    everything["rows"] = np.concatenate([rows, other])[order]
    pod.given_reference(**everything)
    assert pod.run("publish").result["parity"] == {"verdict": "Pass", "compared": 2000} | {
        key: value
        for key, value in pod.published("report")["parity"].items()
        if key not in ("verdict", "compared")
    }


def test_labels_and_values_may_be_a_column(ready: Pod) -> None:
    """Of shape [n, 1]: compared row by row, not each with each."""
    ready.given_model(model(TWO_CLASSES))
    session = onnxruntime.InferenceSession(ready.paths.model_file, providers=["CPUExecutionProvider"])
    features = pd.read_parquet(ready.paths.train_rows).drop(columns="y").to_numpy(dtype=np.float32)
    label, probabilities = session.run(None, {"input": features})
    ready.given_reference(rows=ROWS, labels=label.reshape(-1, 1), probabilities=probabilities)
    assert ready.run("publish").result["parity"]["labelMismatches"] == 0
