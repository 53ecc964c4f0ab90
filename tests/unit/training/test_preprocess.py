"""What happens to columns before the estimator sees them: by rule, else by default, and the same in ONNX."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from unit.training.pod import Ending, Json, Pod, churn, numbers

TREE = "sklearn.tree.DecisionTreeClassifier"
LINEAR = "sklearn.linear_model.LogisticRegression"
BOOSTED = "sklearn.ensemble.HistGradientBoostingClassifier"


def trained(
    pod: Pod,
    rules: Sequence[Json],
    frame: pd.DataFrame | None = None,
    estimator: str = LINEAR,
    **parameters: Any,
) -> Ending:
    """Run all steps with rules for preprocessing."""
    trainer = {"sklearn": {"estimator": estimator, "parameters": parameters}, "preprocess": list(rules)}
    pod.given_rows(churn() if frame is None else frame).given(trainer=trainer)
    ending = pod.run("fetch")
    for step in ("train", "publish"):
        ending = pod.run(step) if ending.code == 0 else ending
    return ending


def steps(pod: Pod) -> list[str]:
    found: list[str] = pod.training["steps"]
    return found


def test_the_first_rule_that_names_a_column_is_its_rule_then_one_for_its_kind(pod: Pod) -> None:
    rules: list[Json] = [
        {"kind": "numeric", "impute": "Mean"},
        {"columns": ["age"], "impute": "MostFrequent", "scale": "MinMax"},
        {"columns": ["age"], "scale": "Robust"},
    ]
    assert trained(pod, rules).result["parity"]["verdict"] == "Pass"
    assert steps(pod) == [
        "SimpleImputer: 'age'",
        "MinMaxScaler: 'age'",
        "SimpleImputer: 'fee (EUR)'",
        "StandardScaler: 'fee (EUR)'",
        "OneHotEncoder: 'plan', 'region'",
        "LogisticRegression",
    ]


@pytest.mark.parametrize("scale", ["None", "Standard", "MinMax", "Robust"])
@pytest.mark.parametrize("impute", ["Mean", "Median", "MostFrequent"])
def test_every_way_to_fill_and_scale_is_the_same_in_onnx(pod: Pod, impute: str, scale: str) -> None:
    ending = trained(pod, [{"kind": "numeric", "impute": impute, "scale": scale}], churn(200))
    assert ending.result["parity"]["verdict"] == "Pass"


def test_rules_of_some_columns_of_a_matrix_leave_it_a_matrix(pod: Pod) -> None:
    frame = numbers(200)
    frame.loc[::7, "x3"] = np.nan
    ending = trained(pod, [{"columns": ["x1", "x3"], "scale": "MinMax"}], frame)
    assert ending.result["parity"]["verdict"] == "Pass"
    assert [tensor["shape"] for tensor in ending.result["signature"]["inputs"]] == [[-1, 5]]


@pytest.mark.parametrize("frame", [churn(200), numbers(200)], ids=["mixed", "numbers"])
def test_a_dropped_column_is_no_input(pod: Pod, frame: pd.DataFrame) -> None:
    first, *others = frame.columns[:-1]
    ending = trained(pod, [{"columns": [first], "drop": True}], frame)
    assert ending.result["parity"]["verdict"] == "Pass"
    assert [tensor["name"] for tensor in ending.result["signature"]["inputs"]] == others
    assert steps(pod)[0] == f"drop: {first!r}"


def test_a_rule_for_a_kind_drops_all_of_it_but_what_another_rule_names(pod: Pod) -> None:
    rules: list[Json] = [{"columns": ["plan"]}, {"kind": "categorical", "drop": True}]
    names = [tensor["name"] for tensor in trained(pod, rules).result["signature"]["inputs"]]
    assert names == ["age", "fee (EUR)", "plan"]


@pytest.mark.parametrize("estimator", [TREE, BOOSTED])
def test_an_ordinal_code_is_the_same_in_onnx_for_what_is_unknown_or_missing(pod: Pod, estimator: str) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"plan": random.choice(["b", "a", "ü"], 300), "n": random.normal(size=300)})
    frame["y"] = (frame["plan"] == "a").astype(int)
    ending = trained(pod, [{"columns": ["plan"], "encode": "Ordinal"}], frame, estimator)
    assert ending.result["parity"]["verdict"] == "Pass"
    assert "OrdinalEncoder: 'plan'" in steps(pod)
    session = onnxruntime.InferenceSession(pod.paths.model_file, providers=["CPUExecutionProvider"])
    sent = np.array([["a"], ["b"], ["never seen"], [""]], object)
    labels, _ = session.run(None, {"plan": sent, "n": np.zeros((4, 1), np.float32)})
    assert labels[:2].tolist() == [1, 0]
    assert labels[2] == labels[3]  # both are -1 to the estimator: neither is a text that it knows


def test_missing_values_that_nothing_fills_are_named_before_training(pod: Pod) -> None:
    ending = trained(pod, [{"kind": "numeric", "impute": "None"}])
    assert ending.reason == "BadPreprocess"
    assert "'age', 'fee (EUR)'" in ending.message
    assert not pod.paths.model_file.exists()


def test_an_estimator_that_takes_missing_values_gets_them(pod: Pod) -> None:
    assert trained(pod, [{"kind": "numeric", "impute": "None"}], estimator=BOOSTED).code == 0
    assert steps(pod) == ["OneHotEncoder: 'plan', 'region'", "HistGradientBoostingClassifier"]


def test_all_that_is_wrong_with_the_rules_is_said_at_once(pod: Pod) -> None:
    rules: list[Json] = [
        {"columns": ["aeg", "nothing"], "scale": "None"},
        {"columns": ["plan", "age"], "scale": "MinMax"},
        {"kind": "categorical", "impute": "Mean"},
        {"columns": ["age"], "encode": "OneHot"},
        {"columns": ["region"], "drop": True, "encode": "Ordinal"},
    ]
    ending = trained(pod, rules)
    assert (ending.reason, ending.code) == ("BadPreprocess", 65)
    for words in (
        "no features are called 'aeg', 'nothing'. Did you mean 'age'",
        "rule 2 cannot scale 'plan' (categorical)",
        "rule 3 cannot impute columns of kind categorical",
        "rule 4 cannot encode 'age' (numeric)",
        "{type: string}",
        "rule 5 drops columns, so it cannot have 'encode'",
    ):
        assert words in ending.message


def test_rules_that_drop_everything_are_refused(pod: Pod) -> None:
    ending = trained(pod, [{"kind": "numeric", "drop": True}], numbers(60))
    assert ending.reason == "BadPreprocess"
    assert "every column" in ending.message


def test_a_column_that_may_not_be_negative_can_be_scaled(pod: Pod) -> None:
    rules: list[Json] = [{"kind": "numeric", "scale": "MinMax"}]
    ending = trained(pod, rules, numbers(200), "sklearn.naive_bayes.MultinomialNB")
    assert ending.result["parity"]["verdict"] == "Pass"


def test_rare_categories_are_all_zeros_as_unknown_ones_are(pod: Pod) -> None:
    frame = churn(300)
    pod.given_rows(frame).given(estimator=LINEAR)
    assert pod.run("fetch").code == 0
    known = pod.paths.dataset.read_text()
    document = json.loads(known)
    for feature in document["features"]:
        if feature["name"] == "plan":
            feature["categories"] = ["pro"]
    pod.paths.dataset.write_text(json.dumps(document))
    assert pod.through("train", "publish").result["parity"]["verdict"] == "Pass"
    session = onnxruntime.InferenceSession(pod.paths.model_file, providers=["CPUExecutionProvider"])
    texts = ["free", "größer", "never seen", "pro"]
    feed: dict[str, Any] = {
        "age": np.full((4, 1), 40, np.float32),
        "fee (EUR)": np.full((4, 1), 20, np.float32),
        "plan": np.array([[text] for text in texts], object),
        "region": np.array([["eu"]] * 4, object),
    }
    answers = session.run(None, feed)[1]
    assert (answers[0] == answers[1]).all()
    assert (answers[0] == answers[2]).all()
    assert (answers[0] != answers[3]).any()
