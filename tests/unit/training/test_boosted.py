"""Trains LightGBM and XGBoost, and holds their models to the same promises as scikit-learn's."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import is_classifier
from unit.training.pod import Pod, churn, numbers

from modelwright_training.documents import PreprocessRule, load_dataset
from modelwright_training.errors import InputError
from modelwright_training.features import frames
from modelwright_training.files import digest_of_file
from modelwright_training.learning import constraints, estimators, pipeline, treatment
from modelwright_training.learning.stopping import Stopping

Matrix = npt.NDArray[np.float32]

CLASSIFIERS = ("lightgbm.LGBMClassifier", "xgboost.XGBClassifier", "xgboost.XGBRFClassifier")
REGRESSORS = ("lightgbm.LGBMRegressor", "xgboost.XGBRegressor", "xgboost.XGBRFRegressor")


def matrix(rows: int = 400) -> Matrix:
    """Columns of very different scales, one of them whole numbers, a tenth of the cells missing in every other."""
    random = np.random.default_rng(1)
    values = random.normal(size=(rows, 6)) * 10.0 ** np.array([-12, -3, 0, 3, 12, 0])
    values[:, 5] = random.integers(0, 4, rows)
    values[:, ::2][random.random((rows, 3)) < 0.1] = np.nan
    return values.astype(np.float32)


def ranks(rows: Matrix) -> npt.NDArray[np.float64]:
    """A target that depends on the columns, whatever their scales."""
    return np.asarray(np.nan_to_num(rows[:, 1] * 1e3 + np.sign(rows[:, 3]) + rows[:, 5]), dtype=np.float64)


def fitted(path: str, parameters: dict[str, Any], rows: Matrix, target: Any, **fit: Any) -> Any:
    estimator = estimators.build(estimators.find(path), {"n_estimators": 6} | parameters, 0, None)
    constraints.settle(estimator, [], rows.shape[1])
    return estimator.fit(rows.astype(np.float64), target, **fit)


def outputs(estimator: Any, rows: Matrix) -> list[Any]:
    """What the converted estimator answers."""
    options = {id(estimator): {"zipmap": False}} if is_classifier(estimator) else {}
    model = convert_sklearn(
        estimator,
        name="test",
        initial_types=[("rows", FloatTensorType([None, rows.shape[1]]))],
        options=options,
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    found: list[Any] = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"rows": rows})
    return found


def assert_same(estimator: Any, rows: Matrix) -> None:
    """The converted estimator answers the same, also where values are missing that never were in training."""
    holes = np.where(np.random.default_rng(2).random(rows.shape) < 0.3, np.float32(np.nan), rows)
    for asked in (rows, holes):
        exact = asked.astype(np.float64)
        found = outputs(estimator, asked)
        if is_classifier(estimator):
            assert found[0].tolist() == estimator.predict(exact).tolist()
            np.testing.assert_allclose(found[1], estimator.predict_proba(exact), atol=1e-6)
        else:
            assert found[0].shape == (len(rows), 1)
            np.testing.assert_allclose(found[0][:, 0], estimator.predict(exact), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", CLASSIFIERS)
@pytest.mark.parametrize("names", [[0, 1], [7, -3], ["no", "yes"], ["b", "ü", "a"], [3, 1, 2]], ids=str)
def test_classes_keep_their_names_and_get_the_probabilities_of_the_library(
    path: str, names: list[Any]
) -> None:
    rows = matrix()
    places = np.digitize(ranks(rows), np.quantile(ranks(rows), np.linspace(0, 1, len(names) + 1)[1:-1]))
    estimator = fitted(path, {}, rows, np.array(names)[places])
    assert estimator.classes_.tolist() == sorted(names)
    assert_same(estimator, rows)


LIGHTGBM = [
    {"boosting_type": "dart", "drop_rate": 0.5},
    {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1},
    {"data_sample_strategy": "goss", "learning_rate": 0.5},
    {"use_missing": False},
    {"max_bin": 7, "extra_trees": True},
    *(
        {"objective": name}
        for name in ("mae", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie")
    ),
]
XGBOOST = [
    {"booster": "dart", "rate_drop": 0.5},
    {"num_parallel_tree": 3, "subsample": 0.5},
    {"base_score": 2.5},
    {"tree_method": "exact", "monotone_constraints": [0, 1, 0, 0, 0, 0]},
    {"objective": "reg:quantileerror", "quantile_alpha": 0.7},
    *(
        {"objective": f"reg:{name}"}
        for name in ("absoluteerror", "gamma", "pseudohubererror", "squaredlogerror", "tweedie")
    ),
    {"objective": "count:poisson"},
]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        *((REGRESSORS[0], one) for one in LIGHTGBM),
        *((REGRESSORS[1], one) for one in XGBOOST),
        (REGRESSORS[2], {}),
    ],
    ids=str,
)
def test_a_regressor_predicts_what_its_library_predicts(path: str, parameters: dict[str, Any]) -> None:
    rows = matrix()
    target = ranks(rows) - ranks(rows).min() + 0.1
    assert_same(fitted(path, parameters, rows, target), rows)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("lightgbm.LGBMClassifier", {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1}),
        ("lightgbm.LGBMClassifier", {"is_unbalance": True}),
        ("lightgbm.LGBMClassifier", {"class_weight": "balanced"}),
        ("xgboost.XGBClassifier", {"booster": "dart", "rate_drop": 0.5, "base_score": 0.2}),
        ("xgboost.XGBClassifier", {"num_parallel_tree": 3, "subsample": 0.5, "scale_pos_weight": 4}),
    ],
    ids=str,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_classifier_predicts_what_its_library_predicts(
    path: str, parameters: dict[str, Any], classes: int
) -> None:
    rows = matrix()
    target = np.digitize(ranks(rows), [1.0, 2.0][: classes - 1])
    assert_same(fitted(path, parameters, rows, target), rows)


def test_small_differences_of_large_values_are_kept() -> None:
    rows = matrix()
    estimator = fitted("lightgbm.LGBMRegressor", {"n_estimators": 100}, rows, ranks(rows) + 1e6)
    np.testing.assert_allclose(
        outputs(estimator, rows)[0][:, 0], estimator.predict(rows.astype(np.float64)), rtol=1e-7
    )


@pytest.mark.parametrize("path", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
@pytest.mark.parametrize("names", [[7, -3], ["no", "yes"], ["b", "ü", "a"]], ids=str)
def test_boosting_ends_early_and_the_model_has_the_best_rounds_only(path: str, names: list[Any]) -> None:
    rows = matrix()
    noise = np.random.default_rng(3).choice(names, len(rows))
    estimator = estimators.build(estimators.find(path), {"n_estimators": 60}, 0, None)
    estimator.stopping = Stopping(rounds=3, fraction=0.2, seed=0)
    estimator.fit(rows.astype(np.float64), noise, sample_weight=np.linspace(1, 2, len(rows)))
    assert estimator.rounds < 30
    assert_same(estimator, rows)


def test_rows_are_scored_of_each_class_and_learnt_of_each_class() -> None:
    target = np.array(["a"] * 20 + ["b"] * 10 + ["c"])
    learnt, scored = Stopping(rounds=3, fraction=0.2, seed=0).split(target, classes=True)
    assert sorted([*learnt, *scored]) == list(range(31))
    assert [int((target[scored] == name).sum()) for name in "abc"] == [4, 2, 0]
    with pytest.raises(InputError, match="leaves no row to score"):
        Stopping(rounds=3, fraction=0.1, seed=0).split(np.arange(4), classes=False)


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        (
            "lightgbm.LGBMClassifier",
            {"linear_tree": True, "zero_as_missing": True},
            "linear_tree.*zero_as_missing",
        ),
        ("lightgbm.LGBMClassifier", {"early_stopping_rounds": 3}, "set trainer.sklearn.earlyStopping"),
        ("lightgbm.LGBMClassifier", {"lambda_l1": 3}, "it is called reg_alpha here"),
        (
            "lightgbm.LGBMClassifier",
            {"objective": "multiclassova"},
            "objective 'multiclassova'.*'multiclass'",
        ),
        ("lightgbm.LGBMRegressor", {"objective": "binary"}, "objective 'binary'"),
        ("lightgbm.LGBMRegressor", {"objective": ["mae", "mse"]}, r"objective \['mae', 'mse'\]"),
        ("lightgbm.LGBMRegressor", {"num_leafs": 3}, "no parameter 'num_leafs'. Did you mean 'num_leaves'"),
        ("xgboost.XGBClassifier", {"booster": "gblinear"}, "booster 'gblinear'. Use gbtree or dart"),
        ("xgboost.XGBClassifier", {"objective": "binary:hinge"}, "objective 'binary:hinge'"),
        ("xgboost.XGBRegressor", {"objective": "rank:ndcg"}, "objective 'rank:ndcg'"),
        ("xgboost.XGBRegressor", {"quantile_alpha": [0.1, 0.9]}, "Give one number"),
        ("xgboost.XGBRegressor", {"eta": 0.1}, "it is called learning_rate here"),
        ("xgboost.XGBRegressor", {"device": "cuda"}, "no GPU library"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    path: str, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        estimators.build(estimators.find(path), parameters, 0, None)
    assert caught.value.reason == "BadParameters"


@pytest.mark.parametrize(
    "path", ["lightgbm.LGBMRanker", "xgboost.XGBRanker", "xgboost.Booster", "lightgbm.Dataset"]
)
def test_only_classifiers_and_regressors_are_found(path: str) -> None:
    with pytest.raises(InputError, match="There is no estimator") as caught:
        estimators.find(path)
    assert caught.value.reason == "EstimatorUnknown"


@pytest.mark.parametrize("path", REGRESSORS)
def test_a_target_whose_differences_vanish_in_float32_is_refused(path: str) -> None:
    rows = matrix()
    seconds = 1.7e9 + np.arange(len(rows))
    with pytest.raises(ValueError, match=r"rounded to float32, by up to 64.*Subtract a constant"):
        fitted(path, {}, rows, seconds)
    fitted(path, {}, rows, np.full(len(rows), 0.1))


def weighed(rows: int = 300) -> pd.DataFrame:
    """Two groups of rows that contradict each other, of which one has nearly all the weight."""
    random = np.random.default_rng(5)
    frame = pd.DataFrame({"x": random.normal(size=rows), "colour": random.choice(["red", "blue"], rows)})
    trusted = np.arange(rows) % 2 == 0
    frame["y"] = np.where((frame["x"] > 0) == trusted, "yes", "no")
    frame["w"] = np.where(trusted, 10.0, 0.1)
    return frame


def published(pod: Pod) -> Any:
    """What the report says of the training."""
    return pod.published("report")["training"]


@pytest.mark.parametrize(
    "estimator",
    [
        "lightgbm.LGBMClassifier",
        "xgboost.XGBClassifier",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.HistGradientBoostingClassifier",
    ],
)
def test_rows_count_by_their_weights_in_training_and_alike_in_scores(pod: Pod, estimator: str) -> None:
    pod.given_rows(weighed()).given(data={"weight": "w"}, estimator=estimator)
    scores = {
        each["name"]: each["value"] for each in pod.through("fetch", "train", "publish").result["metrics"]
    }
    assert 0.35 < scores["accuracy"] < 0.65, "half of the rows, which weigh little, contradict the model"
    assert published(pod)["weight"] == "w"
    assert pod.dataset["weight"] == "w"
    assert "w" not in [feature["name"] for feature in pod.dataset["features"]]
    model = onnxruntime.InferenceSession(str(pod.paths.model_file))
    asked = {"x": np.array([[-2.0], [2.0]], np.float32), "colour": np.array([["red"], ["blue"]], object)}
    assert model.run(["label"], asked)[0].tolist() == ["no", "yes"]


def test_an_estimator_that_cannot_weigh_rows_is_refused_before_it_is_trained(pod: Pod) -> None:
    estimator = "sklearn.neighbors.KNeighborsClassifier"
    pod.given_rows(weighed()).given(data={"weight": "w"}, estimator=estimator)
    ending = pod.through("fetch", "train")
    assert ending.reason == "BadParameters"
    assert "KNeighborsClassifier cannot weigh rows. Remove data.weight ('w')" in ending.message


@pytest.mark.parametrize(
    "estimator",
    [
        "lightgbm.LGBMClassifier",
        "xgboost.XGBClassifier",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.GradientBoostingClassifier",
    ],
)
def test_boosting_that_ended_early_says_how_many_rounds_the_model_has(pod: Pod, estimator: str) -> None:
    frame = numbers(columns=3)
    frame["y"] = np.random.default_rng(0).integers(0, 2, len(frame))
    early = {"rounds": 3, "fraction": 0.2}
    trainer = {"sklearn": {"estimator": estimator, "parameters": {}, "earlyStopping": early}}
    pod.given_rows(frame).given(trainer=trainer).through("fetch", "train", "publish")
    said = published(pod)["earlyStopping"]
    assert {name: said[name] for name in early} == early
    assert 1 <= said["keptRounds"] < 60


@pytest.mark.parametrize(
    ("estimator", "parameters", "message"),
    [
        ("sklearn.linear_model.LogisticRegression", {}, "is for boosting, which LogisticRegression is not"),
        ("lightgbm.LGBMClassifier", {"boosting_type": "dart"}, "earlyStopping and boosting_type 'dart'"),
        ("xgboost.XGBClassifier", {"booster": "dart"}, "earlyStopping and booster 'dart'"),
        ("xgboost.XGBRFClassifier", {}, "Remove one of them"),
    ],
)
def test_early_stopping_of_what_has_no_best_round_is_refused(
    pod: Pod, estimator: str, parameters: dict[str, Any], message: str
) -> None:
    trainer = {"sklearn": {"estimator": estimator, "parameters": parameters, "earlyStopping": {"rounds": 3}}}
    ending = pod.given_rows(numbers()).given(trainer=trainer).through("fetch", "train")
    assert ending.reason == "BadParameters"
    assert message in ending.message


@pytest.mark.parametrize("estimator", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
def test_numbers_texts_and_missing_cells_make_the_same_bytes_in_every_process(
    pod: Pod, estimator: str
) -> None:
    pod.given_rows(churn()).given(estimator=estimator, parameters={"n_estimators": 10, "subsample": 0.8})
    pod.through("fetch", "train")
    digests = {digest_of_file(pod.paths.model_file)}
    assert pod.run_command("train", PYTHONHASHSEED="2", OMP_NUM_THREADS="4").code == 0
    digests.add(digest_of_file(pod.paths.model_file))
    assert len(digests) == 1
    ending = pod.run("publish")
    assert ending.result["parity"]["verdict"] == "Pass"
    assert ending.result["parity"]["maxDifference"] < 1e-6
    package = {"lightgbm": "lightgbm", "xgboost": "xgboost-cpu"}[estimator.partition(".")[0]]
    assert package in ending.result["libraries"]


@pytest.mark.parametrize(
    ("trainer", "scale", "reason"),
    [
        ("xgboost.XGBClassifier", "Standard", "BadPreprocess"),
        ("xgboost.XGBClassifier", None, None),
        ("lightgbm.LGBMClassifier", "Standard", None),
        ("stack", None, "BadPreprocess"),
        ("stack", "None", None),
    ],
)
def test_xgboost_is_not_put_behind_scaled_columns(
    pod: Pod, trainer: str, scale: str | None, reason: str | None
) -> None:
    within = [
        {"estimator": f"{name}"}
        for name in ("xgboost.XGBClassifier", "sklearn.linear_model.LogisticRegression")
    ]
    stack = {
        "estimator": "sklearn.ensemble.StackingClassifier",
        "parameters": {"estimators": within, "cv": 2},
    }
    chosen = stack if trainer == "stack" else {"estimator": trainer, "parameters": {"n_estimators": 20}}
    rules = [{"kind": "numeric", "scale": scale}] if scale else []
    pod.given_rows(numbers()).given(trainer={"sklearn": chosen, "preprocess": rules})
    ending = pod.through("fetch", "train") if reason else pod.through("fetch", "train", "publish")
    assert ending.reason == reason
    if reason:
        assert "'x0', 'x1', 'x2', 'x3', 'x4' would be scaled" in ending.message


@pytest.mark.parametrize("encode", ["OneHot", "Ordinal"])
@pytest.mark.parametrize("estimator", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
def test_categories_that_training_has_not_seen_are_answered_alike(
    pod: Pod, estimator: str, encode: Literal["OneHot", "Ordinal"]
) -> None:
    rules = [{"kind": "categorical", "encode": encode}]
    parameters = {"n_estimators": 10}
    trainer = {"sklearn": {"estimator": estimator, "parameters": parameters}, "preprocess": rules}
    pod.given_rows(churn()).given(trainer=trainer).through("fetch", "train")
    dataset = load_dataset(pod.paths.dataset)
    part = estimators.build(estimators.find(estimator), parameters, 0, dataset.classes)
    plan = treatment.plan(dataset, [PreprocessRule(kind="categorical", encode=encode)], part)
    rows = frames.load_rows(pod.paths.train_rows, dataset)
    fitted_again = pipeline.fit(plan, part, frames.for_estimator(rows, dataset), frames.target(rows, dataset))
    rows.loc[::3, "plan"] = "never seen"
    rows.loc[1::3, ["plan", "region"]] = ""
    rows.loc[::2, ["age", "fee (EUR)"]] = np.nan
    asked = {
        name: rows[name].to_numpy(np.float32 if name in ("age", "fee (EUR)") else object).reshape(-1, 1)
        for name in dataset.names
    }
    found = onnxruntime.InferenceSession(str(pod.paths.model_file)).run(["probabilities"], asked)[0]
    expected = fitted_again.predict_proba(frames.for_estimator(rows, dataset))
    np.testing.assert_allclose(found, expected, atol=1e-6)
