"""Which outputs of a model are its predictions, and what they are, for models as libraries export them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from unit.serving import estimators, models

from modelwright_serving.model import load
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.predictions import Predictions

CLASSIFIERS = (
    estimators.logistic,
    estimators.strings,
    estimators.forest,
    estimators.boosting,
    estimators.calibrated,
)


@pytest.mark.parametrize("make", CLASSIFIERS, ids=lambda make: make.__name__)
def test_classes_and_probabilities_are_found(make: Callable[[], estimators.Exported], tmp_path: Path) -> None:
    exported = make()
    (tmp_path / "model.onnx").write_bytes(exported.content)
    model = load(tmp_path / "model.onnx", None)
    predictions = Predictions.of(model.signature)
    assert predictions is not None
    assert list(predictions.classes) == json.loads(exported.classes or "")
    read = predictions.read(model.run(list(exported.feed.values())))
    labels, probabilities = exported.answers["output_label"], exported.answers["output_probability"]
    assert [predictions.classes[place] for place in read.labels] == labels.tolist()
    two = len(predictions.classes) == 2
    expected = probabilities[:, 1] if two else probabilities.max(axis=1)
    np.testing.assert_allclose(read.values, expected, atol=1e-5)


@pytest.mark.parametrize("make", [estimators.regression, estimators.network], ids=lambda make: make.__name__)
def test_numbers_are_found(make: Callable[[], estimators.Exported], tmp_path: Path) -> None:
    exported = make()
    (tmp_path / "model.onnx").write_bytes(exported.content)
    model = load(tmp_path / "model.onnx", None)
    predictions = Predictions.of(model.signature)
    assert predictions is not None
    assert predictions.is_regression
    read = predictions.read(model.run(list(exported.feed.values())))
    np.testing.assert_allclose(read.values, exported.answers["variable"][:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    "content",
    [
        estimators.clusters().content,
        estimators.outliers().content,
        estimators.two_numbers().content,
        models.every_datatype(),
    ],
    ids=["clusters", "outliers", "two numbers", "every type"],
)
def test_what_is_neither_is_not_guessed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    assert Predictions.of(load(tmp_path / "model.onnx", None).signature) is None


def signature(classes: object, *outputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    specs = tuple(TensorSpec(*output) for output in outputs)
    return Signature((TensorSpec("x", "FP32", (-1, 2)),), specs, {"classes": json.dumps(classes)})


def test_a_decision_function_is_no_probability() -> None:
    margins = np.array([[-1.0, 0.5, 0.3], [2.0, -1.0, 0.0]], np.float32)
    labels = np.array(["b", "a"], np.object_)
    found = Predictions.of(
        signature(list("abc"), ("label", "BYTES", (-1,)), ("probabilities", "FP32", (-1, 3)))
    )
    assert found is not None
    read = found.read([labels, margins])
    assert read.labels.tolist() == [1, 0]
    assert np.isnan(read.values).all()
    found = Predictions.of(signature(list("abc"), ("scores", "FP32", (-1, 3))))
    assert found is not None
    assert found.read([margins]).labels.tolist() == [1, 0]


def test_one_column_is_that_of_the_second_class() -> None:
    column = np.array([[0.25], [0.75], [0.5]], np.float32)
    found = Predictions.of(signature(["no", "yes"], ("probabilities", "FP32", (-1, 1))))
    assert found is not None
    read = found.read([column])
    assert (read.labels.tolist(), read.values.tolist()) == ([0, 1, 0], [0.25, 0.75, 0.5])
    found = Predictions.of(signature(["no", "yes"], ("scores", "FP32", (-1,))))
    assert found is not None
    read = found.read([np.array([-1.0, 2.0], np.float32)])
    assert read.labels.tolist() == [0, 1]
    assert np.isnan(read.values).all()


def test_labels_that_are_no_class_are_told_from_the_others() -> None:
    found = Predictions.of(signature(["1", "2"], ("label", "INT64", (-1, 1))))
    assert found is not None
    assert found.read([np.array([[2], [1], [7]])]).labels.tolist() == [1, 0, -1]


def test_no_rows_have_no_predictions() -> None:
    found = Predictions.of(
        signature(["a", "b"], ("label", "BYTES", (-1,)), ("probabilities", "FP32", (-1, 2)))
    )
    assert found is not None
    read = found.read([np.empty(0, np.object_), np.empty((0, 2), np.float32)])
    assert (len(read.labels), len(read.values)) == (0, 0)


def test_numbers_that_are_not_finite_are_no_probabilities() -> None:
    found = Predictions.of(signature(["a", "b"], ("probabilities", "FP32", (-1, 2))))
    assert found is not None
    table = np.array([[np.nan, 0.5], [np.inf, -np.inf], [0.25, 0.75], [3e38, 3e38]], np.float32)
    assert np.isnan(found.read([table]).values).tolist() == [True, True, False, True]


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
def test_few_rows_are_read_as_many_are(classes: list[str]) -> None:
    width = len(classes)
    found = Predictions.of(signature(classes, ("probabilities", "FP32", (-1, width))))
    assert found is not None
    chance = np.random.default_rng(width)
    table = chance.dirichlet(np.ones(width), 40).astype(np.float32)
    table[:4] = [
        [np.nan] * width,
        [1.0] * width,
        [np.inf, *[0.0] * (width - 1)],
        [1.5, -0.5, *[0.0] * (width - 2)],
    ]
    table[4] = [1 + 1e-7, *[0.0] * (width - 1)]
    whole = found.read([table])
    assert np.isnan(whole.values[:4]).all()
    for row in range(40):
        np.testing.assert_array_equal(found.read([table[row : row + 1]]).values, whole.values[row : row + 1])


@dataclass(frozen=True)
class Profiled:
    """What a profile says."""

    classes: tuple[int | str, ...] = ()
    positive: int | None = None
    label: str | None = None
    table: str | None = None
    is_probable: bool = True
    value: str | None = None


def test_a_profile_says_which_outputs_and_classes_count() -> None:
    outputs = (("a", "FP32", (-1, 2)), ("b", "FP32", (-1, 2)), ("y", "FP64", (-1,)))
    table = np.array([[0.9, 0.1]], np.float32)
    found = Predictions.of(signature(["x", "y"], *outputs), Profiled((0, 1), 0, None, "b"))
    assert found is not None
    assert found.read([table[:, ::-1], table, np.zeros(1)]).values.tolist() == [np.float32(0.9)]
    number = Predictions.of(signature(None, *outputs), Profiled(value="y"))
    assert number is not None
    assert number.read([table, table, np.array([7.5])]).values.tolist() == [7.5]


@pytest.mark.parametrize("classes", [["a"], ["a", "a"], [1, "1"], [[1], [2]], {"a": 1}, "ab"])
def test_classes_that_are_none_are_not_used(classes: object) -> None:
    assert Predictions.of(signature(classes, ("label", "INT64", (-1,)))) is None
