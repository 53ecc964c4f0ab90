"""Estimators within estimators: how a spec writes them, what is refused, and that they predict the same in ONNX."""

import sys
from typing import Any

import pytest
from unit.training.pod import Ending, Json, Pod, churn, numbers

from modelwright_training.errors import InputError
from modelwright_training.learning.estimators import build, find, settings_of, task_of
from modelwright_training.learning.treatment import needs_scaling, takes_missing

LOGISTIC: Json = {"estimator": "sklearn.linear_model.LogisticRegression"}
TREE: Json = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 4}}
BOOSTED: Json = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "parameters": {"max_iter": 10},
}
RIDGE: Json = {"estimator": "sklearn.linear_model.Ridge"}


def named(name: str, part: Json) -> Json:
    return {"name": name, **part}


def trained(pod: Pod, path: str, parameters: Json, rows: int = 200) -> Ending:
    pod.given_rows(churn(rows)).given(estimator=f"sklearn.{path}", parameters=parameters)
    return pod.through("fetch", "train", "publish")


NESTED: dict[str, tuple[str, Json]] = {
    "voting": ("ensemble.VotingClassifier", {"estimators": [named("a", LOGISTIC), named("b", TREE)]}),
    "soft voting": (
        "ensemble.VotingClassifier",
        {"estimators": [named("a", LOGISTIC), named("b", TREE)], "voting": "soft", "weights": [1, 2]},
    ),
    "calibrated scores": (
        "ensemble.VotingClassifier",
        {
            "estimators": [
                {
                    "estimator": "sklearn.calibration.CalibratedClassifierCV",
                    "parameters": {"estimator": {"estimator": "sklearn.svm.SVC"}, "cv": 2},
                },
                LOGISTIC,
            ]
        },
    ),
    "pairs and no names": ("ensemble.VotingClassifier", {"estimators": [["a", LOGISTIC], TREE]}),
    "stacking": (
        "ensemble.StackingClassifier",
        {"estimators": [LOGISTIC, TREE], "final_estimator": LOGISTIC, "cv": 3},
    ),
    "bagging": ("ensemble.BaggingClassifier", {"estimator": LOGISTIC, "n_estimators": 3}),
    "boosting": ("ensemble.AdaBoostClassifier", {"estimator": TREE, "n_estimators": 3}),
    "one versus the rest": ("multiclass.OneVsRestClassifier", {"estimator": LOGISTIC}),
    "one versus one": ("multiclass.OneVsOneClassifier", {"estimator": LOGISTIC}),
    "a tuned threshold": ("model_selection.TunedThresholdClassifierCV", {"estimator": LOGISTIC, "cv": 3}),
    "a fixed threshold for a class": (
        "model_selection.FixedThresholdClassifier",
        {"estimator": TREE, "threshold": 0.3, "pos_label": "leaves"},
    ),
    "isotonic calibration": (
        "calibration.CalibratedClassifierCV",
        {"estimator": TREE, "method": "isotonic", "cv": 3},
    ),
    "calibrated analysis": (
        "calibration.CalibratedClassifierCV",
        {"estimator": {"estimator": "sklearn.discriminant_analysis.LinearDiscriminantAnalysis"}, "cv": 2},
    ),
    "random search": (
        "model_selection.RandomizedSearchCV",
        {"estimator": TREE, "param_distributions": {"max_depth": [2, 3]}, "n_iter": 2},
    ),
    "grid search": ("model_selection.GridSearchCV", {"estimator": TREE, "param_grid": {"max_depth": [2, 3]}}),
    "a pipeline": (
        "pipeline.Pipeline",
        {"steps": [{"estimator": "sklearn.decomposition.PCA", "parameters": {"n_components": 3}}, LOGISTIC]},
    ),
    "three deep": (
        "ensemble.VotingClassifier",
        {
            "estimators": [
                {
                    "estimator": "sklearn.ensemble.BaggingClassifier",
                    "parameters": {"estimator": LOGISTIC, "n_estimators": 2},
                },
                TREE,
            ]
        },
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_estimators_predict_the_same_in_onnx(pod: Pod, name: str) -> None:
    path, parameters = NESTED[name]
    parity = trained(pod, path, parameters).result["parity"]
    assert (parity["verdict"], parity["labelMismatches"]) == ("Pass", 0)


def test_the_record_of_a_run_holds_the_whole_tree_of_parameters(pod: Pod) -> None:
    parameters = {"estimator": TREE, "n_estimators": 2}
    assert trained(pod, "ensemble.BaggingClassifier", parameters).code == 0
    assert pod.training["parameters"] == {**parameters, "random_state": 0}
    assert pod.training["defaults"]["max_samples"] is None
    built = build(find("sklearn.ensemble.BaggingClassifier"), parameters, 7, None)
    within = settings_of(built)["estimator"]
    assert within["estimator"] == TREE["estimator"]
    assert within["parameters"]["random_state"] == 7
    assert within["parameters"]["criterion"] == "gini"


REFUSED: dict[str, tuple[Json, str, tuple[str, ...]]] = {
    "something that is no estimator": (
        {"estimator": {"estimator": "sklearn.datasets.load_iris"}},
        "EstimatorUnknown",
        ("trainer.sklearn.parameters.estimator", "'sklearn.datasets.load_iris'"),
    ),
    "a module of the system": ({"estimator": {"estimator": "os.Popen"}}, "EstimatorUnknown", ("'os.Popen'",)),
    "a private module": (
        {"estimator": {"estimator": "sklearn.linear_model._logistic.LogisticRegression"}},
        "EstimatorUnknown",
        ("no classifier",),
    ),
    "what reads files": (
        {"estimator": {"estimator": "sklearn.feature_extraction.text.CountVectorizer"}},
        "EstimatorUnknown",
        ("no classifier",),
    ),
    "a typo in a name": (
        {"estimator": {"estimator": "sklearn.linear_model.LogisticRegresion"}},
        "EstimatorUnknown",
        ("Did you mean 'sklearn.linear_model.LogisticRegression'",),
    ),
    "a typo in a parameter within": (
        {"estimator": {**LOGISTIC, "parameters": {"c": 1}}},
        "BadParameters",
        ("LogisticRegression has no parameter 'c'",),
    ),
    "a key that is not known": (
        {"estimator": {**LOGISTIC, "params": {"C": 1}}},
        "BadParameters",
        ("'params'", "{estimator: PATH, parameters: {...}}"),
    ),
    "a bare name": (
        {"estimator": "sklearn.linear_model.LogisticRegression"},
        "BadParameters",
        ("{estimator: sklearn.linear_model.LogisticRegression}",),
    ),
    "folds that are no number": (
        {"estimator": {"estimator": "sklearn.ensemble.StackingClassifier",
                       "parameters": {"estimators": [LOGISTIC], "cv": "prefit"}}},
        "BadParameters",
        ("estimator.parameters.cv is 'prefit'", "number of folds"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_with_its_place(name: str) -> None:
    parameters, reason, says = REFUSED[name]
    with pytest.raises(InputError) as caught:
        build(find("sklearn.ensemble.BaggingClassifier"), parameters, 0, None)
    assert caught.value.reason == reason
    for words in says:
        assert words in caught.value.message


def test_nothing_is_imported_that_is_no_estimator() -> None:
    for path in ("antigravity.Flying", "sklearn.conftest.Fixture", "sklearn.datasets.Nothing"):
        before = set(sys.modules)
        with pytest.raises(InputError):
            find(path)
        assert not {path.rpartition(".")[0]} & (set(sys.modules) - before)


def test_estimators_are_nested_so_deep_and_no_deeper() -> None:
    parameters: Json = {"estimator": LOGISTIC}
    for _ in range(6):
        parameters = {
            "estimator": {"estimator": "sklearn.ensemble.BaggingClassifier", "parameters": parameters}
        }
    with pytest.raises(InputError, match="nested more than 5 deep"):
        build(find("sklearn.ensemble.BaggingClassifier"), parameters, 0, None)


def built(path: str, **parameters: Any) -> Any:
    return build(find(f"sklearn.{path}"), parameters, 0, None)


def test_columns_are_scaled_if_any_estimator_within_needs_it() -> None:
    assert needs_scaling(built("ensemble.BaggingClassifier", estimator=LOGISTIC))
    assert not needs_scaling(built("ensemble.BaggingClassifier", estimator=TREE))
    assert needs_scaling(built("calibration.CalibratedClassifierCV"))
    assert not needs_scaling(built("calibration.CalibratedClassifierCV", estimator=TREE))
    assert needs_scaling(built("ensemble.VotingClassifier", estimators=[TREE, LOGISTIC]))


def test_missing_values_are_left_if_all_estimators_within_take_them() -> None:
    assert takes_missing(built("ensemble.VotingClassifier", estimators=[BOOSTED, BOOSTED]))
    assert not takes_missing(built("ensemble.VotingClassifier", estimators=[BOOSTED, TREE]))
    assert takes_missing(built("ensemble.StackingClassifier", estimators=[BOOSTED], final_estimator=LOGISTIC))
    assert not takes_missing(
        built("ensemble.StackingClassifier", estimators=[BOOSTED], final_estimator=LOGISTIC, passthrough=True)
    )
    assert not takes_missing(built("ensemble.VotingClassifier", estimators=[]))


def test_missing_values_reach_the_estimators_within(pod: Pod) -> None:
    parameters = {"estimators": [BOOSTED, BOOSTED], "voting": "soft"}
    assert trained(pod, "ensemble.VotingClassifier", parameters).result["parity"]["verdict"] == "Pass"
    assert pod.training["steps"] == ["OneHotEncoder", "VotingClassifier"]


def test_a_wrapper_does_what_it_holds_does() -> None:
    search = {"estimator": RIDGE, "param_grid": {"alpha": [1, 2]}}
    assert task_of("sklearn.model_selection.GridSearchCV", search) == "Regression"
    steps = {"steps": [["scale", {"estimator": "sklearn.preprocessing.StandardScaler"}], LOGISTIC]}
    assert task_of("sklearn.pipeline.Pipeline", steps) == "Classification"
    with pytest.raises(InputError, match="needs an estimator"):
        task_of("sklearn.model_selection.GridSearchCV", {})


@pytest.mark.parametrize(
    ("path", "parameters", "says"),
    [
        ("neighbors.KNeighborsClassifier", {"weights": "distance"}, "weights: uniform"),
        ("ensemble.BaggingClassifier", {"estimator": {"estimator": "sklearn.neighbors.NearestCentroid"}},
         "use LinearDiscriminantAnalysis"),
        ("ensemble.BaggingClassifier", {"estimator": {"estimator": "sklearn.svm.LinearSVC"}},
         "BaggingClassifier of LinearSVC has no exact ONNX form; put it into CalibratedClassifierCV"),
        ("ensemble.HistGradientBoostingClassifier", {"categorical_features": [0]}, "one-hot"),
    ],
)  # fmt: skip
def test_what_has_no_onnx_form_is_refused_before_rows_are_read(
    pod: Pod, path: str, parameters: Json, says: str
) -> None:
    pod.given_rows(numbers(60)).given(estimator=f"sklearn.{path}", parameters=parameters)
    assert pod.run("fetch").code == 0
    pod.paths.train_rows.unlink()
    ending = pod.run("train")
    assert ending.reason == "NotConvertible"
    assert says in ending.message
