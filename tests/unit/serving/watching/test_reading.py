"""A profile that cannot be used is told with its reason; it never keeps a model from being served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.serving.watching import profiles

from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.watching import reading

SIGNATURE = Signature(
    (
        TensorSpec("age", "FP32", (-1, 1)),
        TensorSpec("plan", "BYTES", (-1, 1)),
        TensorSpec("grid", "FP32", (-1, 2, 2)),
    ),
    (TensorSpec("label", "BYTES", (-1,)), TensorSpec("probabilities", "FP32", (-1, 2))),
)
AGE, PLAN = profiles.numeric("age", [20, 30], 18, 90), profiles.categorical("plan", ["a", "b"])
GOOD = profiles.profile(
    [AGE, PLAN], projections=profiles.projections([AGE, PLAN], [0, 1]), predictions=profiles.classifier()
)


def read(folder: Path, content: bytes) -> reading.Reading:
    path = folder / "profile.json"
    path.write_bytes(content)
    return reading.read(path, SIGNATURE)


def test_a_good_one_is_used(tmp_path: Path) -> None:
    content = json.dumps(GOOD).encode()
    found = read(tmp_path, content)
    assert (found.reason, found.problem) == (None, "")
    assert found.places is not None
    assert found.content() == content


def test_another_file_than_was_read_is_not_given(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(GOOD).encode())
    found.path.write_bytes(b"{}")
    assert found.content() is None


def test_none_is_no_problem(tmp_path: Path) -> None:
    found = reading.read(tmp_path / "profile.json", SIGNATURE)
    assert (found.reason, found.problem, found.digest, found.content()) == ("NoProfile", "", None, None)


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


def of(part: str, **fields: Any) -> bytes:
    return changed(**{part: {**GOOD[part], **fields}})


def feature(**fields: Any) -> bytes:
    return changed(features=[{**AGE, **fields}, PLAN])


BAD: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"[]", "no profile"),
    (b"null", "no profile"),
    (b" " * (1024**2 + 1), "more than"),
    (changed(version=2), "version"),
    (changed(features=None), "features"),
    (changed(features=[AGE] * 1025), "at most 1024"),
    (changed(features=[AGE, AGE]), "same name"),
    (changed(features=[AGE, {**PLAN, "name": "other"}]), "no input 'other'"),
    (changed(features=[{**AGE, "name": "grid"}], projections=None), "one value for each row"),
    (changed(features=[{**PLAN, "name": "age"}], projections=None), "FP32 in the model"),
    (changed(features=[{**AGE, "name": "plan"}], projections=None), "BYTES in the model"),
    (changed(input="grid"), "one matrix"),
    (changed(input=7), "no name"),
    (changed(leftOut=-1), "leftOut"),
    (feature(kind="colour"), "kind"),
    (feature(name=None), "no name"),
    (feature(edges=[2, 1]), "ascend"),
    (feature(edges=list(range(10))), "at most 9"),
    (feature(edges=["1"]), "no number"),
    (feature(edges=[True]), "no number"),
    (feature(low=5, high=1), "above high"),
    (feature(values=[1, 1]), "not different"),
    (feature(values=["a"]), "another type"),
    (feature(values=[10**400]), "not JSON"),
    (changed(features=[AGE, {**PLAN, "values": ["x"] * 51}]), "at most 50"),
    (changed(task="ranking"), "task"),
    (changed(classes=["no"]), "two or more"),
    (changed(classes=["no", 1]), "two or more"),
    (changed(classes=["no", "yes"], positiveClass="maybe"), "no profile"),
    (changed(classes=[1, 2], positiveClass=2), "does not suit"),
    (changed(classes=[2**63, 1], positiveClass=1), "no profile"),
    (of("predictions", label="other"), "no output 'other'"),
    (of("predictions", label="probabilities"), "does not suit"),
    (of("predictions", table="label"), "does not suit"),
    (of("predictions", label=None, table=None), "neither"),
    (changed(task="regression", predictions={"value": "probabilities", "edges": []}), "does not suit"),
    (of("projections", features=[0, 2]), "not there"),
    (of("projections", features=[]), "need features"),
    (of("projections", scale=[0, 1]), "do not fit"),
    (of("projections", mean=[0]), "do not fit"),
    (of("projections", weights=[[1, 2], [1]]), "no table"),
    (of("projections", edges=[[0]]), "do not fit"),
    (of("projections", scores={}), "no profile"),
    (of("projections", scores={"1": [0]}), "a score for each"),
    (json.dumps(GOOD).replace("30", "1e999").encode(), "JSON"),
]


def test_of_two_classes_none_need_be_the_positive_one(tmp_path: Path) -> None:
    found = read(tmp_path, changed(positiveClass=None))
    assert found.problem == ""
    assert found.places is not None
    assert found.places.profile.predictions is not None
    assert found.places.profile.predictions.positive is None


@pytest.mark.parametrize(("content", "problem"), BAD)
def test_a_bad_one_is_told(tmp_path: Path, content: bytes, problem: str) -> None:
    found = read(tmp_path, content)
    assert (found.reason, found.places) == ("ProfileUnusable", None)
    assert problem in found.problem
    assert len(found.problem) < 500


def _folder(path: Path) -> None:
    path.mkdir()


def _no_file(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize("make", [_folder, _no_file])
def test_what_cannot_be_read_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "profile.json"
    make(path)
    found = reading.read(path, SIGNATURE)
    assert (found.reason, found.places, found.digest) == ("ProfileUnusable", None, None)
    assert "cannot be read" in found.problem


def test_features_that_were_left_out_are_columns_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profiles.profile([AGE], input="x", leftOut=2)))
    found = reading.read(path, Signature((TensorSpec("x", "FP32", (-1, 3)),), ()))
    assert found.places is not None
    assert found.places.columns == 3
