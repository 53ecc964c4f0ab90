"""Rows in any portions are in the cells that counting them one by one gives."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.serving.watching import profiles

from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.watching import buffer, report
from modelwright_serving.watching.places import places
from modelwright_serving.watching.profile import parse
from modelwright_serving.watching.windows import Window

FEATURES = [
    profiles.numeric("age", [20, 30.5, 30.5, 60], 18, 90),
    profiles.distinct("visits", [0, 1, 2.5]),
    profiles.categorical("plan", ["basic", "größer", "pro"]),
    profiles.numeric("all alike", []),
    profiles.text("note", [1, 4, 10], 1, 20),
    profiles.categorical("nothing frequent", []),
    profiles.date("day"),
]
KINDS = ("FP32", "FP64", "BYTES", "INT64", "BYTES", "BYTES", "BYTES")
DOCUMENT = profiles.profile(
    FEATURES, projections=profiles.projections(FEATURES, [0, 1, 2]), predictions=profiles.classifier()
)
numbers = (
    st.sampled_from([nan, inf, -inf, 0.0, -0.0, 18, 17.999, 20, 30.5, 60, 90, 91, 1e308, -1e308])
    | st.floats()
)
texts = st.sampled_from(["", "basic", "pro", "größer", "gross", "\0", "é" * 30]) | st.text(max_size=25)
rows = st.lists(
    st.tuples(
        st.floats(width=32) | st.sampled_from([nan, inf, 20.0, 30.5, 90.0]),
        numbers | st.sampled_from([1.0, 2.5]),
        texts,
        st.integers(-(2**63), 2**63 - 1),
        texts,
        texts,
        texts,
        st.floats(0, 1, width=32) | st.just(nan),
    ),
    min_size=1,
    max_size=60,
)


def signature(*outputs: TensorSpec) -> Signature:
    inputs = (
        TensorSpec(feature["name"], kind, (-1, 1)) for feature, kind in zip(FEATURES, KINDS, strict=True)
    )
    return Signature(tuple(inputs), outputs)


CLASSIFIER = signature(TensorSpec("label", "BYTES", (-1,)), TensorSpec("probabilities", "FP32", (-1, 2)))


def tensor(values: Any, datatype: str) -> np.ndarray[Any, Any]:
    return np.array(values, TensorSpec("", datatype, ()).dtype).reshape(-1, 1)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(1, 20), st.integers(1, 9))
def test_any_values_in_any_portions(found: list[tuple[Any, ...]], room: int, portion: int) -> None:
    where = places(parse(json.dumps(DOCUMENT).encode()), CLASSIFIER)
    counting = buffer.Buffer(where)
    counting._room = room
    columns = list(zip(*found, strict=True))
    inputs = [tensor(column, kind) for column, kind in zip(columns, KINDS, strict=False)]
    probabilities = np.array(columns[7], np.float32)
    table = np.stack([1 - probabilities, probabilities], axis=1)
    labels = np.array(
        ["yes" if row[7] > 0.5 else "no" if row[7] <= 0.5 else "unheard of" for row in found], object
    )
    for start in range(0, len(found), portion):
        part = slice(start, start + portion)
        counting.add([array[part] for array in inputs], [labels[part], table[part]], len(labels[part]))
    window = Window(1)
    window.add(counting.take())
    (seen,) = report.windows([window], where, NoLabels())
    numeric = [
        [float(value) for value in array[:, 0]] if array.dtype != object else array[:, 0].tolist()
        for array in inputs
    ]
    assert seen["features"] == [
        profiles.cells(feature, column) for feature, column in zip(FEATURES, numeric, strict=True)
    ]
    assert seen["projections"] == profiles.projected(DOCUMENT, list(zip(*numeric, strict=True)))
    positive = table[:, 1].astype(np.float64).tolist()
    assert seen["predictions"]["scores"] == profiles.tenths(positive)
    assert seen["predictions"]["confidence"] == profiles.tenths(table.max(axis=1).astype(np.float64).tolist())
    assert seen["predictions"]["labels"] == [labels.tolist().count(name) for name in ("no", "yes")]


class NoLabels:
    """A server without feedback."""

    state = "Off"

    def ids(self) -> list[int]:
        return []

    def part(self, _: int) -> dict[str, Any]:
        return {}

    def forget(self) -> None: ...


@pytest.mark.parametrize(
    ("said", "outputs", "arrays", "predictions"),
    [
        (
            profiles.classifier(None, "scores", "scores"),
            [TensorSpec("scores", "FP32", (-1,))],
            [np.array([-1.0, 0.0, 2.0], np.float32)],
            {"labels": [2, 1], "scores": None, "confidence": None},
        ),
        (
            profiles.classifier(None, "p"),
            [TensorSpec("p", "FP64", (-1, 1))],
            [np.array([[0.5], [0.1], [0.95]])],
            {
                "labels": [2, 1],
                "scores": [1, 0, 0, 0, 1, 0, 0, 0, 0, 1],
                "confidence": [0] * 4 + [1, 0, 0, 0, 1, 1],
            },
        ),
        (
            profiles.classifier("label", None),
            [TensorSpec("other", "FP32", (-1, 7)), TensorSpec("label", "BYTES", (-1, 1))],
            [np.zeros((3, 7), np.float32), np.array([["no"], ["no"], [""]], object)],
            {"labels": [2, 0], "scores": None, "confidence": None},
        ),
        (None, [TensorSpec("y", "FP32", (-1,))], [np.zeros(3, np.float32)], None),
    ],
)
def test_predictions_are_read_as_the_profile_says(
    said: Any, outputs: list[TensorSpec], arrays: list[Any], predictions: Any
) -> None:
    document = profiles.profile([FEATURES[0]], predictions=said)
    model = Signature((TensorSpec("age", "FP32", (-1,)),), tuple(outputs))
    where = places(parse(json.dumps(document).encode()), model)
    counting = buffer.Buffer(where)
    inputs = [np.array([20, nan, 100], np.float32)]
    assert where.fits(inputs, arrays, 3)
    counting.add(inputs, arrays, 3)
    window = Window(1)
    window.add(counting.take())
    (seen,) = report.windows([window], where, NoLabels())
    assert seen["features"] == [[1, 0, 0, 0, 1, 0, 1, 1]]
    assert seen["predictions"] == predictions


def test_a_regression_is_in_cells_of_its_own() -> None:
    said = {"value": "y", "edges": [0, 10], "low": -5, "high": 20, "counts": [0] * 3, "outside": 0}
    document = profiles.profile([], task="regression", classes=None, positiveClass=None, predictions=said)
    where = places(parse(json.dumps(document).encode()), Signature((), (TensorSpec("y", "INT64", (-1, 1)),)))
    counting = buffer.Buffer(where)
    counting.add([], [np.array([[-6], [0], [10], [11], [21]])], 5)
    window = Window(1)
    window.add(counting.take())
    assert report.windows([window], where, NoLabels())[0]["predictions"] == {
        "counts": [2, 1, 2],
        "outside": 2,
    }


@pytest.mark.parametrize(
    ("shapes", "fits"),
    [
        ([(3, 1), (3,)], True),
        ([(3,), (3, 1)], True),
        ([(2, 1), (3,)], False),
        ([(3, 2), (3,)], False),
        ([(3,), (1,)], False),
        ([(), (3,)], False),
        ([(3,), (3, 4)], False),
    ],
)
def test_tensors_of_other_shapes_do_not_fit(shapes: list[tuple[int, ...]], fits: bool) -> None:
    document = profiles.profile([FEATURES[0]], predictions=profiles.classifier(table=None))
    model = Signature((TensorSpec("age", "FP32", (-1, -1)),), (TensorSpec("label", "BYTES", (-1, -1)),))
    where = places(parse(json.dumps(document).encode()), model)
    some, others = (np.zeros(shape) for shape in shapes)
    assert where.fits([some], [others], 3) is fits


def test_of_many_rows_one_of_each_portion_is_counted() -> None:
    random = np.random.default_rng(1)
    chosen = buffer.spread(1000, 10, random)
    assert [row // 100 for row in chosen] == list(range(10))
    assert len({row % 100 for row in chosen}) > 5
    assert buffer.spread(3, 10, random).tolist() == [0, 1, 2]
