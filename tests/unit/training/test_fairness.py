"""Comparisons of groups, against fairlearn's and scikit-learn's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from unit.training.pod import Json, Pod

from modelwright_training.judging import fairness
from modelwright_training.judging.fairness import Answers, Groups
from modelwright_training.judging.gates.evidence import Unmeasurable

ROWS = 900


def people(seed: int = 0, groups: int = 3) -> tuple[Answers, Groups, np.ndarray[Any, Any]]:
    """Answers of two classes, the second of which is the positive one, for groups with unequal chances."""
    random = np.random.default_rng(seed)
    column = random.choice(list("abcdefgh")[:groups], ROWS)
    truth = random.random(ROWS) < 0.4
    answered = random.random(ROWS) < 0.2 + 0.4 * truth + 0.1 * (column == "a")
    labels = np.array(["no", "yes"])
    return (
        Answers(labels[truth.astype(int)], labels[answered.astype(int)], True, "yes"),
        fairness.groups_of(pd.Series(column), "group"),
        column,
    )


def value(metric: str, answers: Answers, groups: Groups) -> float:
    return fairness.compare(metric, answers, groups, "group").value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name",
    [
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
        "equal_opportunity_difference",
        "equal_opportunity_ratio",
    ],
)
def test_differences_and_ratios_are_those_of_fairlearn(name: str, seed: int) -> None:
    answers, groups, column = people(seed)
    truth, answered = answers.truth == "yes", answers.answered == "yes"
    expected = getattr(fairlearn.metrics, name)(truth, answered, sensitive_features=column)
    assert value(name, answers, groups) == pytest.approx(expected, abs=1e-12)


def f1(truth: Any, answered: Any) -> float:
    return float(sklearn.metrics.f1_score(truth, answered))


OF_GROUPS: dict[str, Callable[..., float]] = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "precision": sklearn.metrics.precision_score,
    "recall": sklearn.metrics.recall_score,
    "f1": f1,
    "selection_rate": fairlearn.metrics.selection_rate,
    "true_positive_rate": fairlearn.metrics.true_positive_rate,
    "false_positive_rate": fairlearn.metrics.false_positive_rate,
    "true_negative_rate": fairlearn.metrics.true_negative_rate,
    "false_negative_rate": fairlearn.metrics.false_negative_rate,
}
OF_VALUES: dict[str, Callable[..., float]] = {
    "mae": sklearn.metrics.mean_absolute_error,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "r2": sklearn.metrics.r2_score,
}


def frame_of(function: Callable[..., float], truth: Any, answered: Any, column: Any) -> dict[str, float]:
    found = fairlearn.metrics.MetricFrame(
        metrics=function, y_true=truth, y_pred=answered, sensitive_features=column
    )
    return {
        "_group_min": found.group_min(),
        "_group_max": found.group_max(),
        "_difference": found.difference(),
        "_ratio": found.ratio(),
    }


@pytest.mark.parametrize("name", OF_GROUPS)
def test_the_metrics_of_groups_are_those_of_a_metric_frame(name: str) -> None:
    answers, groups, column = people(groups=4)
    expected = frame_of(OF_GROUPS[name], answers.truth == "yes", answers.answered == "yes", column)
    for end, number in expected.items():
        found = fairness.compare(f"{name}{end}", answers, groups, "group")
        assert found.value == pytest.approx(number, abs=1e-12)
        assert found.interval is not None
        assert found.interval[0] <= found.value <= found.interval[1]


def houses(rows: int = 600) -> tuple[Answers, Groups, Any]:
    random = np.random.default_rng(0)
    column = random.choice(["east", "west"], rows)
    truth = random.gamma(2.0, 100.0, rows)
    answered = truth + random.normal(0, 30, rows) * np.where(column == "east", 2, 1)
    return Answers(truth, answered, False), fairness.groups_of(pd.Series(column), "side"), column


@pytest.mark.parametrize("name", OF_VALUES)
def test_the_errors_of_groups_are_those_of_a_metric_frame(name: str) -> None:
    answers, groups, column = houses()
    expected = frame_of(OF_VALUES[name], answers.truth, answers.answered, column)
    for end, number in expected.items():
        if (name, end) == ("r2", "_ratio"):
            continue
        found = fairness.compare(f"{name}{end}", answers, groups, "side")
        assert found.value == pytest.approx(number, rel=1e-9)
        assert found.interval is not None
        assert found.interval[0] <= found.value <= found.interval[1]


def test_both_ends_and_their_rows_are_named() -> None:
    truth, answered = ["yes"] * 80 + ["no"] * 20, ["yes"] * 40 + ["no"] * 60
    answers = Answers(np.array(truth), np.array(answered), True, "yes")
    groups = fairness.groups_of(pd.Series(["f"] * 50 + ["m"] * 45 + ["x"] * 5), "gender")
    found = fairness.compare("demographic_parity_difference", answers, groups, "gender")
    assert (
        found.message
        == "selection_rate is lowest 0 for 'm' (45 rows), highest 0.8 for 'f' (50 rows), fewest rows 'x' (5)"
    )
    assert found.smallest == 5


@pytest.mark.parametrize(
    ("metric", "truth", "answered", "column", "reason", "text"),
    [
        ("recall_group_min", "yynn", "ynyn", "aabb", "MetricUndefined", "group 'b': none of its rows is of the"),
        ("false_positive_rate_group_max", "yynn", "ynyn", "aabb", "MetricUndefined", "group 'a': all of its"),
        ("precision_difference", "ynyn", "yynn", "aabb", "MetricUndefined", "group 'b': none of its rows is answered"),
        ("balanced_accuracy_ratio", "ynyy", "yynn", "aabb", "MetricUndefined", "does not have rows of all classes"),
        ("demographic_parity_ratio", "ynyn", "nnnn", "aabb", "MetricUndefined", "it is 0 in all groups"),
        ("demographic_parity_ratio", "ynyn", "ynyn", "aaaa", "OneGroup", "one group of 'group': 'a'"),
        ("demographic_parity", "ynyn", "ynyn", "aabb", "UnknownMetric", "Did you mean 'demographic_parity_ratio'"),
        ("roc_auc", "ynyn", "ynyn", "aabb", "UnknownMetric", "'roc_auc' compares no groups"),
    ],
)  # fmt: skip
def test_what_has_no_value_says_why(
    metric: str, truth: str, answered: str, column: str, reason: str, text: str
) -> None:
    answers = Answers(np.array(list(truth)), np.array(list(answered)), True, "y")
    groups = fairness.groups_of(pd.Series(list(column)), "group")
    with pytest.raises(Unmeasurable, match=text) as caught:
        fairness.compare(metric, answers, groups, "group")
    assert caught.value.reason == reason


def test_of_more_than_two_classes_only_accuracies_are_compared() -> None:
    random = np.random.default_rng(0)
    truth, column = random.choice(list("xyz"), 300), random.choice(list("ab"), 300)
    answered = np.where(random.random(300) < 0.7, truth, random.choice(list("xyz"), 300))
    answers, groups = Answers(truth, answered, True), fairness.groups_of(pd.Series(column), "group")
    for name in ("accuracy", "balanced_accuracy"):
        expected = frame_of(OF_GROUPS[name], truth, answered, column)
        assert value(f"{name}_group_min", answers, groups) == pytest.approx(expected["_group_min"])
    with pytest.raises(Unmeasurable, match=r"of more than two classes.*'accuracy', 'balanced_accuracy'"):
        fairness.compare("demographic_parity_ratio", answers, groups, "group")


def test_rows_without_a_value_are_a_group_of_their_own() -> None:
    for column in (
        pd.Series(["f", None, "m", "", "f"]),
        pd.Series([1.0, np.nan, 2.0, np.nan, 1.0]),
    ):
        groups = fairness.groups_of(column, "gender")
        assert groups.labels[groups.missing or 0] == "missing"
        assert groups.codes.tolist() == [0, 2, 1, 2, 0]
    assert fairness.groups_of(pd.Series([1.0, 2.0, 2.5]), "x").labels == ["1", "2", "2.5"]
    both = fairness.groups_of(pd.Series(["missing", None]), "x")
    assert both.labels == ["missing", "missing (no value)"]


def test_few_rows_without_a_value_are_left_out() -> None:
    groups = fairness.groups_of(pd.Series(["f", None, "m"] * 10 + ["f"] * 30), "gender")
    all_of_them, everyone = groups.without_few_missing(10)
    assert all_of_them is groups
    assert everyone.all()
    some, kept = groups.without_few_missing(11)
    assert some.labels == ["f", "m"]
    assert kept.sum() == 50
    assert len(some.codes) == 50


def test_a_column_of_many_values_is_refused_with_advice() -> None:
    with pytest.raises(Unmeasurable, match=r"'age' has 60 values.*age_band.*extraColumns") as caught:
        fairness.groups_of(pd.Series(range(60)), "age")
    assert caught.value.reason == "TooManyGroups"


def test_a_table_shows_the_groups_with_most_rows() -> None:
    answers, _, column = people()
    frame = pd.DataFrame({"group": column, "age": range(ROWS), "flag": column == "a"})
    tables = fairness.tables(frame, ["group", "age", "nowhere", "flag", "group"], answers)
    assert [table["feature"] for table in tables] == ["group", "flag"]
    expected = fairlearn.metrics.MetricFrame(
        metrics=fairlearn.metrics.selection_rate,
        y_true=answers.truth == "yes",
        y_pred=answers.answered == "yes",
        sensitive_features=column,
    )
    for row in tables[0]["groups"]:
        assert row["selectionRate"] == pytest.approx(expected.by_group[row["group"]], rel=1e-5)
        assert row["rows"] == int((column == row["group"]).sum())
        assert set(row) == {
            "group",
            "rows",
            "selectionRate",
            "accuracy",
            "truePositiveRate",
            "falsePositiveRate",
        }


def hired(rows: int = 3000, favour: float = 0.0) -> pd.DataFrame:
    """Applicants, and who of them is invited; `favour`: how much a group is ahead in what is learnt from."""
    random = np.random.default_rng(0)
    gender = random.choice(["f", "m"], rows)
    skill = random.normal(size=rows) + favour * (gender == "m")
    # Some rows have no value.
    shown = np.where(np.arange(rows) % 100 == 0, "", gender)
    return pd.DataFrame(
        {
            "skill": skill,
            "remote": random.choice([0, 1], rows),
            "gender": shown,
            "y": (skill + random.normal(0, 0.5, rows) > 0).astype(int),
        }
    )


def gated(pod: Pod, frame: pd.DataFrame, *gates: Json, extra: tuple[str, ...] = ("gender",)) -> Json:
    holdout = {"extraColumns": list(extra)} if extra else {}
    named = [{"name": f"gate-{place}", **gate} for place, gate in enumerate(gates, 1)]
    pod.given_rows(frame).given(data={"holdout": holdout}, gates=named)
    ending = pod.through("fetch", "train", "publish")
    return ending.result


FOUR_FIFTHS = {"metric": "demographic_parity_ratio", "sensitiveFeature": "gender", "min": 0.8}


def test_a_gate_compares_groups_that_nothing_is_learnt_from(pod: Pod) -> None:
    result = gated(pod, hired(favour=2.0), FOUR_FIFTHS, {**FOUR_FIFTHS, "slice": {"remote": 1}})
    found, sliced = result["gates"]
    rows = pd.read_parquet(pod.paths.holdout_rows)
    known = int(rows["gender"].notna().sum())
    assert found["samples"] == known
    assert found["smallest"] == rows["gender"].value_counts().min()
    assert found["low"] < found["value"] < found["high"] < 0.8
    assert "lowest" in found["message"]
    assert "'f'" in found["message"]
    assert f"{len(rows) - known} rows without a value are left out" in found["message"]
    assert sliced["samples"] == int((rows["gender"].notna() & (rows["remote"] == 1)).sum())
    (table,) = result["fairness"]
    assert table["feature"] == "gender"
    assert [row["group"] for row in table["groups"]] == ["f", "m", "missing"]
    selected = {row["group"]: row["selectionRate"] for row in table["groups"]}
    assert found["value"] == pytest.approx(selected["f"] / selected["m"], rel=1e-4)
    assert pod.published("report")["fairness"] == result["fairness"]
    (card,) = pod.paths.artifacts.rglob("card.md")
    assert "### gender" in card.read_text()
    assert "| group | hold-out rows | answered positive | accuracy | true positive rate |" in card.read_text()


def test_a_feature_may_be_a_sensitive_one_and_the_same_run_gives_the_same_numbers(
    pod: Pod, tmp_path: Path
) -> None:
    gate = {"metric": "equalized_odds_difference", "sensitiveFeature": "remote", "max": 0.2}
    first = gated(pod, hired(), gate)
    assert first["gates"][0]["low"] <= first["gates"][0]["value"] <= first["gates"][0]["high"]
    assert [table["feature"] for table in first["fairness"]] == ["remote", "gender"]
    again = gated(Pod(tmp_path / "again"), hired(), gate)
    assert again == first


def test_a_gate_without_a_value_ends_no_run(pod: Pod) -> None:
    result = gated(
        pod,
        hired(400),
        {**FOUR_FIFTHS, "sensitiveFeature": "sex"},
        {**FOUR_FIFTHS, "sensitiveFeature": "skill"},
        {**FOUR_FIFTHS, "metric": "demographic_parity"},
        extra=(),
    )
    assert [gate["reason"] for gate in result["gates"]] == [
        "ColumnNotFound",
        "TooManyGroups",
        "UnknownMetric",
    ]
    assert all("value" not in gate for gate in result["gates"])


def test_rows_of_one_customer_count_once(pod: Pod) -> None:
    frame = hired(400)
    frame["customer"] = range(400)
    fivefold = pd.concat([frame] * 5)
    fivefold["remote"] = np.arange(2000) % 2
    data = {"holdout": {"group": "customer", "extraColumns": ["gender"]}}
    gates = [{"name": "parity", **FOUR_FIFTHS}]
    result = (
        pod.given_rows(fivefold).given(data=data, gates=gates).through("fetch", "train", "publish").result
    )
    (found,) = result["gates"]
    # 80 customers: an interval by their 400 rows would be half as wide.
    assert found["high"] - found["low"] > 0.4
    assert [table["feature"] for table in result["fairness"]] == ["gender"]


def test_a_regression_compares_errors(pod: Pod) -> None:
    frame = hired(1500).assign(y=lambda rows: 3 * rows["skill"] + (rows["gender"] == "m") * 2.0)
    gate = {"name": "mae", "metric": "mae_difference", "sensitiveFeature": "gender", "max": 0.1}
    pod.given_rows(frame).given(
        estimator="sklearn.linear_model.LinearRegression",
        data={"holdout": {"extraColumns": ["gender"]}},
        gates=[gate],
    )
    result = pod.through("fetch", "train", "publish").result
    assert result["gates"][0]["value"] > 0
    assert set(result["fairness"][0]["groups"][0]) == {"group", "rows", "mae"}
