"""Converters that are wrong in silence are caught; those that are right are not accused."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from skl2onnx._supported_operators import sklearn_operator_name_map
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from unit.training.pod import Ending, Json, Pod, churn, numbers

from modelwright_training.documents import Dataset
from modelwright_training.judging.parity import cause, compare
from modelwright_training.judging.reference import Reference
from modelwright_training.learning import refused
from modelwright_training.onnxfile.predictions import Predictions

SKLEARN = "sklearn."


def trained(pod: Pod, estimator: str, frame: pd.DataFrame, parameters: Json | None = None) -> Ending:
    pod.given_rows(frame).given(estimator=f"sklearn.{estimator}", parameters=parameters or {})
    return pod.through("fetch", "train", "publish")


def overlapping(rows: int = 1500, classes: int = 2) -> pd.DataFrame:
    """Classes that cannot be told apart everywhere, so that probabilities take all values."""
    values, labels = make_classification(
        rows, 8, n_informative=5, n_classes=classes, class_sep=0.6, flip_y=0.1, random_state=0
    )
    return pd.DataFrame(values, columns=[f"x{place}" for place in range(8)]).assign(y=labels)


@pytest.fixture
def unmended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converters of skl2onnx as they are. The mended ones are put in place first, by an import."""
    import_module("modelwright_training.learning.convert")
    monkeypatch.setattr(refused, "check", lambda *_: None)
    monkeypatch.setitem(sklearn_operator_name_map, LinearDiscriminantAnalysis, "SklearnLinearClassifier")


@pytest.mark.usefixtures("unmended")
@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("discriminant_analysis.LinearDiscriminantAnalysis", {}),
        ("neighbors.KNeighborsClassifier", {"weights": "distance"}),
    ],
)
def test_a_wrong_conversion_is_refused(pod: Pod, estimator: str, parameters: Json) -> None:
    ending = trained(pod, estimator, overlapping(), parameters)
    assert (ending.reason, ending.code) == ("ParityFailed", 65)
    assert "allowed is" in ending.message
    assert not list(pod.paths.artifacts.iterdir())


@pytest.mark.usefixtures("unmended")
def test_equal_labels_do_not_hide_wrong_probabilities(pod: Pod) -> None:
    ending = trained(pod, "discriminant_analysis.LinearDiscriminantAnalysis", overlapping())
    assert "labelMismatches 0" in ending.message
    assert "0.15" in ending.message


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("ensemble.RandomForestClassifier", {"n_estimators": 10, "max_depth": 3}),
        ("ensemble.ExtraTreesClassifier", {"n_estimators": 20}),
        ("ensemble.HistGradientBoostingClassifier", {"max_iter": 30}),
        ("ensemble.GradientBoostingClassifier", {"n_estimators": 20}),
        ("linear_model.LogisticRegression", {}),
        ("svm.LinearSVC", {}),
        ("linear_model.SGDClassifier", {}),
        ("linear_model.RidgeClassifier", {}),
        ("naive_bayes.GaussianNB", {}),
        ("neural_network.MLPClassifier", {"hidden_layer_sizes": [8], "max_iter": 20}),
        ("neighbors.KNeighborsClassifier", {}),
        ("calibration.CalibratedClassifierCV", {"method": "sigmoid"}),
        ("calibration.CalibratedClassifierCV", {"method": "isotonic"}),
        ("discriminant_analysis.LinearDiscriminantAnalysis", {}),
        ("svm.SVC", {}),
        ("svm.NuSVC", {}),
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_right_conversion_passes(pod: Pod, estimator: str, parameters: Json, classes: int) -> None:
    parity = trained(pod, estimator, overlapping(500, classes), parameters).result["parity"]
    assert parity["verdict"] == "Pass"
    assert parity["compared"] == 400
    assert parity["labelMismatches"] == 0


def test_a_forest_s_exact_ties_are_no_mismatch(pod: Pod) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=3000), "y": random.integers(0, 2, 3000)})
    parameters = {"n_estimators": 20, "max_samples": 0.02}  # ten times float32(1 / 20) is more than a half
    parity = trained(pod, "ensemble.RandomForestClassifier", frame, parameters).result["parity"]
    assert parity["verdict"] == "Pass"
    assert parity["ties"] > 0
    assert parity["labelMismatches"] == 0


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("linear_model.Ridge", {}),
        ("ensemble.HistGradientBoostingRegressor", {"max_iter": 30}),
        ("ensemble.RandomForestRegressor", {"n_estimators": 10}),
        ("svm.SVR", {}),
        ("neighbors.KNeighborsRegressor", {}),
    ],
)
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_regression_is_judged_by_the_spread_of_its_values(
    pod: Pod, estimator: str, parameters: Json, offset: float
) -> None:
    frame = numbers(400)
    frame["y"] = frame["x0"] * 3 + frame["x1"] ** 2 + offset
    assert trained(pod, estimator, frame, parameters).result["parity"]["verdict"] == "Pass"


def test_missing_values_and_categories_are_part_of_the_comparison(pod: Pod) -> None:
    parity = trained(pod, "ensemble.HistGradientBoostingClassifier", churn(600)).result["parity"]
    assert parity == parity | {"verdict": "Pass", "compared": 480, "labelMismatches": 0}


def test_thresholds_between_neighbouring_floats_do_not_send_rows_the_other_way(pod: Pod) -> None:
    """All values are neighbours in float32: half of the thresholds between them would be rounded up."""
    values = [np.float32(1.0)]
    for _ in range(199):
        values.append(np.nextafter(values[-1], np.float32(2)))
    frame = pd.DataFrame({"x": np.repeat(np.array(values, dtype=np.float64), 8)})
    frame["y"] = (np.arange(len(frame)) // 8 % 2) * 10.0 + np.arange(len(frame)) % 3
    pod.given_rows(frame, "rows.parquet").given(
        data={"uri": "pvc://lake/rows.parquet"},
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        parameters={"max_leaf_nodes": 200, "min_samples_leaf": 1, "max_iter": 20},
    )
    parity = pod.through("fetch", "train", "publish").result["parity"]
    assert parity["maxDifference"] < 1e-5


def test_a_single_row_on_a_threshold_is_no_failure() -> None:
    rows = np.arange(2000)
    expected = np.tile([0.3, 0.7], (2000, 1))
    got = expected.copy()
    got[7] = [0.4, 0.6]
    labels = np.ones(2000, dtype=np.int64)
    verdict = compare(Reference(rows, labels, expected), Predictions(labels, got), [0, 1])
    assert verdict.faults == []
    assert verdict.numbers["maxDifference"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("expected", "got", "words"),
    [
        (np.linspace(0, 1, 1000), np.linspace(0, 1, 1000) * 1.01, "quantile"),
        (np.linspace(0, 1, 1000), np.linspace(0, 1, 1000) + 2e-4, "mean"),
        (np.linspace(1e6, 1e6 + 1, 1000), np.linspace(1e6, 1e6 + 1, 1000) + 10, "quantile"),
    ],
)
def test_values_that_are_off_fail(expected: np.ndarray, got: np.ndarray, words: str) -> None:
    verdict = compare(Reference(np.arange(1000), values=expected), Predictions(values=got), None)
    assert any(words in fault for fault in verdict.faults)


def test_scores_that_contradict_their_labels_fail() -> None:
    labels = np.array([0, 1] * 50)
    scores = np.where(labels == 0, 1.0, -1.0).reshape(-1, 1)
    verdict = compare(Reference(np.arange(100), labels), Predictions(labels, scores=scores), [0, 1])
    assert verdict.numbers["scoreMismatches"] == 100
    assert "scores point to another class" in verdict.faults[0]


def test_the_column_that_float32_cannot_tell_apart_is_named_as_the_cause() -> None:
    rows = pd.DataFrame({"x": np.arange(100.0), "time": 1.7e9 + np.arange(100) * 7, "gone": np.nan})
    dataset = Dataset.model_validate(
        {
            "features": [{"name": name, "kind": "numeric"} for name in rows],
            "target": {"name": "y", "type": "number"},
            "task": "Regression",
            "taskFrom": "Run",
            "rows": 100,
        }
    )
    assert "'time' go up to 1.7e+09 with a standard deviation of 202" in cause(rows, dataset)
    assert cause(rows[["x"]], dataset.model_copy(update={"features": dataset.features[:1]})) == ""
