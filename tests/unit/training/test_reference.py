"""Which references a trainer may leave, and which are refused before anything is compared."""

import numpy as np
import pytest
from unit.training.pod import Pod
from unit.training.test_publish import TWO_CLASSES, model

from modelwright_training.documents import load_dataset
from modelwright_training.errors import InputError
from modelwright_training.judging.reference import load

LABELS = np.array([0, 1, 0])
REFERENCES: dict[str, tuple[dict[str, object], str]] = {
    "no rows": ({"labels": LABELS}, "no array `rows`"),
    "rows that are not there": ({"rows": [0, 1, 80], "labels": LABELS}, "row 80"),
    "negative rows": ({"rows": [0, 1, -1], "labels": LABELS}, "names row"),
    "rows that are no numbers": ({"rows": ["a", "b", "c"], "labels": LABELS}, "list of row numbers"),
    "no labels": ({"rows": [0, 1, 2]}, "no array `labels`"),
    "fewer labels than rows": ({"rows": [0, 1, 2], "labels": LABELS[:2]}, "`labels` has"),
    "other classes": (
        {"rows": [0, 1, 2], "labels": LABELS, "probabilities": np.full((3, 3), 1 / 3)},
        "shape [3, 3], those of the model [3, 2]",
    ),
    "infinite values": (
        {"rows": [0, 1, 2], "labels": LABELS, "probabilities": np.full((3, 2), np.inf)},
        "finite numbers",
    ),
    "pickled objects": ({"rows": [0, 1, 2], "labels": np.array([{}, {}, {}])}, "cannot be read"),
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
