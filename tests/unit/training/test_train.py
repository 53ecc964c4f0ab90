"""What train refuses and what it makes of columns, parameters and seeds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn, numbers, reasons


@dataclass(frozen=True)
class Case:
    reason: str
    says: tuple[str, ...]
    changes: Json
    frame: pd.DataFrame = field(default_factory=lambda: numbers(60))


def estimator(path: str, **parameters: Any) -> Json:
    return {"estimator": f"sklearn.{path}", "parameters": parameters}


CASES = {
    "a parameter with a typo": Case(
        "BadParameters",
        ("'max_itr'", "Did you mean 'max_iter'", "'solver'"),
        estimator("linear_model.LogisticRegression", max_itr=5),
    ),
    "a value that is not allowed": Case(
        "BadParameters", ("'C' parameter", "Got -1"), estimator("linear_model.LogisticRegression", C=-1)
    ),
    "an estimator that needs another": Case(
        "BadParameters", ("'estimators'",), estimator("ensemble.VotingClassifier")
    ),
    "parameters that do not suit the data": Case(
        "TrainingFailed", ("n_neighbors",), estimator("neighbors.KNeighborsClassifier", n_neighbors=500)
    ),
    "classes that an estimator tells apart by their places": Case(
        "TrainingFailed",
        ("class 'leaves' is not full rank", "Set reg_param"),
        estimator("discriminant_analysis.QuadraticDiscriminantAnalysis"),
        churn(60),
    ),
    "a target that an estimator cannot predict": Case(
        "TrainingFailed",
        ("The target 'y' holds values",),
        estimator("linear_model.GammaRegressor"),
        numbers(60).assign(y=lambda frame: frame["x0"]),
    ),
    "data that does not suit the estimator": Case(
        "TrainingFailed", ("'x0' (smallest -", "scale: MinMax"), estimator("naive_bayes.MultinomialNB")
    ),
    "an estimator that has no ONNX form": Case(
        "NotConvertible",
        ("NearestCentroid", "use LinearDiscriminantAnalysis"),
        estimator("neighbors.NearestCentroid"),
    ),
    "a column that is called like an output": Case(
        "FeatureNameReserved",
        ("'label'", "Rename"),
        estimator("tree.DecisionTreeClassifier"),
        churn(60).rename(columns={"age": "label"}),
    ),
}

ELSEWHERE = {
    "BadPreprocess", "DocumentInvalid", "EstimatorUnknown", "DataNotFound", "DataUnreadable", "StorageFailed",
    "OutOfMemory", "InternalError", "TextUnsuitable",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_train_refuses(pod: Pod, name: str) -> None:
    case = CASES[name]
    ending = pod.given_rows(case.frame).given(**case.changes).through("fetch", "train")
    assert (ending.reason, ending.code) == (case.reason, 65), ending.document
    for words in case.says:
        assert words in ending.message
    assert not pod.paths.model_file.exists()


def test_each_reason_of_train_has_a_test() -> None:
    assert reasons("train") == {case.reason for case in CASES.values()} | ELSEWHERE


def test_train_without_data_says_so(pod: Pod) -> None:
    assert pod.run("train").reason == "DataNotFound"


def test_an_estimator_is_checked_again_by_train(pod: Pod) -> None:
    assert pod.given(estimator="sklearn.linear_model.Nothing").run("train").reason == "EstimatorUnknown"


def test_a_run_with_an_image_is_not_for_the_built_in_trainer(pod: Pod) -> None:
    assert pod.given(trainer={"image": "mine"}).run("train").reason == "DocumentInvalid"


def test_a_description_of_the_data_that_is_broken_is_refused(pod: Pod) -> None:
    pod.paths.dataset.write_text("{}")
    assert pod.run("train").reason == "DataUnreadable"


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("linear_model.LogisticRegression", ["SimpleImputer", "StandardScaler", "LogisticRegression"]),
        ("svm.LinearSVC", ["SimpleImputer", "StandardScaler", "LinearSVC"]),
        ("naive_bayes.GaussianNB", ["SimpleImputer", "StandardScaler", "GaussianNB"]),
        ("ensemble.RandomForestClassifier", ["SimpleImputer", "RandomForestClassifier"]),
        ("ensemble.AdaBoostClassifier", ["SimpleImputer", "AdaBoostClassifier"]),
        ("naive_bayes.BernoulliNB", ["SimpleImputer", "BernoulliNB"]),
        ("ensemble.HistGradientBoostingClassifier", ["HistGradientBoostingClassifier"]),
    ],
)
def test_an_estimator_gets_the_preparation_that_it_needs(pod: Pod, path: str, steps: list[str]) -> None:
    pod.given_rows(numbers(60)).given(**estimator(path))
    assert pod.through("fetch", "train").code == 0
    assert pod.training["steps"] == steps


def test_the_seed_of_the_run_is_the_estimator_s_unless_it_has_its_own(pod: Pod) -> None:
    pod.given_rows(numbers(60)).given(**estimator("tree.DecisionTreeClassifier"), seed=7)
    first = pod.through("fetch", "train").result["digest"]
    assert pod.training["parameters"] == {"random_state": 7}
    pod.given(**estimator("tree.DecisionTreeClassifier", random_state=7), seed=8)
    assert pod.through("train").result["digest"] == first


def test_class_weights_find_classes_that_are_numbers(pod: Pod) -> None:
    pod.given_rows(numbers(60)).given(
        **estimator("linear_model.LogisticRegression", class_weight={"0": 1, "1": 5})
    )
    assert pod.through("fetch", "train").code == 0


def test_class_weights_of_classes_that_are_not_there_are_refused(pod: Pod) -> None:
    pod.given_rows(churn(60)).given(
        **estimator("linear_model.LogisticRegression", class_weight={"stay": 1, "leaves": 5})
    )
    ending = pod.through("fetch", "train")
    assert ending.reason == "BadParameters"
    assert "'stay', which are no classes of the target. Did you mean 'stays'" in ending.message


def test_class_weights_are_those_of_their_classes(pod: Pod) -> None:
    for favoured in ("leaves", "stays"):
        weights = {"leaves": 1e-6, "stays": 1e-6} | {favoured: 1e6}
        pod.given_rows(churn(60)).given(**estimator("linear_model.LogisticRegression", class_weight=weights))
        assert pod.through("fetch", "train").code == 0
        feed = {
            "age": np.array([[50]], np.float32),
            "fee (EUR)": np.array([[20]], np.float32),
            "plan": np.array([["pro"]], object),
            "region": np.array([["eu"]], object),
        }
        assert session(pod).run(["label"], feed)[0] == [favoured]


@pytest.mark.parametrize(
    "path", ["linear_model.LogisticRegression", "ensemble.VotingClassifier", "multiclass.OneVsOneClassifier"]
)
def test_a_class_is_answered_as_it_is_however_large(pod: Pod, path: str) -> None:
    """A converter that holds labels as float32 or int32 would give others."""
    frame = numbers(120)
    frame["y"] = frame["y"].map({0: 1234567890123456781, 1: 1234567890123456782})
    inner = {"estimator": "sklearn.linear_model.LogisticRegression"}
    parameters = {"estimators": [inner, inner]} if "Voting" in path else {"estimator": inner}
    pod.given_rows(frame).given(**estimator(path, **({} if "linear" in path else parameters)))
    ending = pod.through("fetch", "train", "publish")
    assert ending.result["parity"]["labelMismatches"] == 0
    assert ending.result["signature"]["classes"] == [1234567890123456781, 1234567890123456782]


def session(pod: Pod) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(pod.paths.model_file, providers=["CPUExecutionProvider"])


def test_a_model_says_what_it_is(pod: Pod) -> None:
    assert pod.given_rows(numbers(60)).through("fetch", "train").code == 0
    properties = session(pod).get_modelmeta().custom_metadata_map
    assert properties == {
        "dev.modelwright.task": "Classification",
        "dev.modelwright.classes": "[0, 1]",
        "dev.modelwright.features": '["x0", "x1", "x2", "x3", "x4"]',
    }
    graph = onnx.load(pod.paths.model_file)
    assert {entry.domain: entry.version for entry in graph.opset_import} == {"": 17, "ai.onnx.ml": 1} | {
        entry.domain: entry.version for entry in graph.opset_import if entry.domain == "ai.onnx.ml"
    }


@pytest.mark.parametrize(
    ("path", "outputs"),
    [
        ("linear_model.LogisticRegression", ["label", "probabilities"]),
        ("svm.LinearSVC", ["label", "scores"]),
        ("linear_model.RidgeClassifier", ["label", "scores"]),
    ],
)
def test_outputs_are_called_what_they_hold(pod: Pod, path: str, outputs: list[str]) -> None:
    assert pod.given_rows(numbers(60)).given(**estimator(path)).through("fetch", "train").code == 0
    assert [output.name for output in session(pod).get_outputs()] == outputs


def test_columns_keep_names_that_a_converter_would_change(pod: Pod) -> None:
    names = ["variable", "column_1", "column_0", "größe (m²)", "a b", "a_b", "1st/2nd"]
    frame = pd.concat([numbers(60, 6), churn(60)[["plan"]]], axis=1)
    frame = frame[["x0", "x1", "x2", "x3", "x4", "plan", "x5", "y"]].set_axis([*names, "y"], axis=1)
    pod.given_rows(frame).given(**estimator("linear_model.LogisticRegression"))
    ending = pod.through("fetch", "train", "publish")
    assert [tensor["name"] for tensor in ending.result["signature"]["inputs"]] == names
    assert ending.result["parity"]["verdict"] == "Pass"


def test_an_unseen_category_and_a_missing_number_are_answered(pod: Pod) -> None:
    assert pod.given_rows(churn()).through("fetch", "train").code == 0
    feed: dict[str, Any] = {
        "age": np.array([[np.nan]], np.float32),
        "fee (EUR)": np.array([[20]], np.float32),
        "plan": np.array([["never seen"]], object),
        "region": np.array([[""]], object),
    }
    label, probabilities = session(pod).run(None, feed)
    assert label[0] in ("leaves", "stays")
    assert np.isfinite(probabilities).all()


def test_a_column_without_any_value_does_no_harm(pod: Pod) -> None:
    frame = numbers(60).assign(x1=np.nan)
    assert pod.given_rows(frame).through("fetch", "train", "publish").result["parity"]["verdict"] == "Pass"


def test_only_categories_make_a_model_too(pod: Pod) -> None:
    pod.given_rows(churn()[["plan", "region", "y"]])
    assert pod.through("fetch", "train", "publish").result["parity"]["verdict"] == "Pass"
