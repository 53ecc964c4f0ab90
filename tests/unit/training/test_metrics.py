"""Each metric is scikit-learn's, by rows and by weights; classes that are not there and baselines are said."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from modelwright_training.errors import InputError
from modelwright_training.judging import scorers
from modelwright_training.judging.classification import classification
from modelwright_training.judging.metrics import Measured, Rows
from modelwright_training.judging.regression import regression
from modelwright_training.onnxfile.predictions import Predictions

Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def case(seed: int, rows: int, classes: int) -> Case:
    """Truth, answers, probabilities with ties among them, and weights of rows."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, rows)
    truth[:classes] = range(classes)
    table = random.integers(1, 6, (rows, classes)).astype(float)
    table[np.arange(rows), truth] += random.integers(0, 4, rows)
    table /= table.sum(axis=1, keepdims=True)
    weights = random.integers(0, 4, rows).astype(float)
    weights[:classes] = 1
    return truth, table.argmax(axis=1), table, weights


cases = st.builds(case, st.integers(0, 10_000), st.integers(12, 60), st.just(2))
many = st.builds(case, st.integers(0, 10_000), st.integers(12, 60), st.integers(3, 5))


def agree(found: Mapping[str, float], expected: Mapping[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


@settings(max_examples=25)
@given(cases, st.sampled_from([0, 1]))
def test_two_classes_are_measured_as_scikit_learn_does(given: Case, positive: int) -> None:
    truth, answered, table, weights = given
    weighted: dict[str, Any] = {"sample_weight": weights}
    of: dict[str, Any] = {"pos_label": positive, "zero_division": np.nan, **weighted}
    scores = table[:, positive]
    found = scorers.together(
        scorers.of_labels(truth, answered, 2, positive),
        scorers.of_ranks([truth == positive], [scores]),
        scorers.of_probabilities(truth, table),
    )(weights)
    error = found.pop("expected_calibration_error")
    expected = {
        "accuracy": sk.accuracy_score(truth, answered, **weighted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, answered, **weighted),
        "precision": sk.precision_score(truth, answered, **of),
        "recall": sk.recall_score(truth, answered, **of),
        "f1": sk.f1_score(truth, answered, **of),
        "roc_auc": sk.roc_auc_score(truth == positive, scores, **weighted),
        "average_precision": sk.average_precision_score(truth == positive, scores, **weighted),
        "log_loss": sk.log_loss(truth, table, **weighted),
        "brier_score": sk.brier_score_loss(truth, table[:, 1], **weighted),
    }
    if np.isnan(expected["precision"]):
        assert np.isnan(found.pop("precision"))
        expected.pop("precision")
    agree(found, expected)
    assert 0 <= error <= 1


@settings(max_examples=25)
@given(many)
def test_many_classes_are_measured_as_scikit_learn_does(given: Case) -> None:
    truth, answered, table, weights = given
    classes = list(range(table.shape[1]))
    weighted: dict[str, Any] = {"sample_weight": weights}
    macro: dict[str, Any] = {"average": "macro", "labels": classes, "zero_division": 0, **weighted}
    found = scorers.together(
        scorers.of_labels(truth, answered, len(classes), None),
        scorers.of_ranks([truth == own for own in classes], list(table.T)),
        scorers.of_probabilities(truth, table),
    )(weights)
    found.pop("expected_calibration_error")
    precision = [sk.average_precision_score(truth == own, table[:, own], **weighted) for own in classes]
    areas = [sk.roc_auc_score(truth == own, table[:, own], **weighted) for own in classes]
    agree(
        found,
        {
            "accuracy": sk.accuracy_score(truth, answered, **weighted),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, answered, **weighted),
            "precision": sk.precision_score(truth, answered, **macro),
            "recall": sk.recall_score(truth, answered, **macro),
            "f1": sk.f1_score(truth, answered, **macro),
            "roc_auc": np.mean(areas),
            "average_precision": np.mean(precision),
            "log_loss": sk.log_loss(truth, table, **weighted),
            "brier_score": sk.brier_score_loss(truth, table, **weighted),
        },
    )


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(2, 60), st.sampled_from([1.0, 1e-9, 1e12]))
def test_values_are_measured_as_scikit_learn_does(seed: int, rows: int, unit: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(3, 1, rows) * unit
    values = truth + random.normal(0, 0.5, rows) * unit
    times = random.integers(1, 4, rows)
    found = scorers.of_values(truth, values)(times.astype(float))
    truth, values = np.repeat(truth, times), np.repeat(values, times)
    errors = np.abs(truth - values)
    expected = {
        "mae": sk.mean_absolute_error(truth, values),
        "rmse": sk.root_mean_squared_error(truth, values),
        "r2": sk.r2_score(truth, values),
        "mape": sk.mean_absolute_percentage_error(truth, values),
    } | {f"absolute_error_p{q}": np.percentile(errors, q) for q in (50, 90, 95, 99)}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_the_calibration_error_is_the_mean_gap_of_fifteen_bins() -> None:
    table = np.tile([0.3, 0.7], (10, 1))
    truth = np.array([1] * 5 + [0] * 5)
    found = scorers.of_probabilities(truth, table)(np.ones(10))
    assert found["expected_calibration_error"] == pytest.approx(0.2)


def labelled(truth: list[Any], answered: list[Any], known: list[Any], positive: Any = None) -> Measured:
    """A classifier that answers labels only; its training rows have each class once, the first class twice."""
    trained = np.array([known[0], *known])
    return classification(
        np.array(truth), Predictions(np.array(answered)), known, known, trained, positive, Rows(0)
    )


def values(measured: Measured) -> dict[str, float]:
    return {metric.name: metric.value for metric in measured.metrics}


def test_a_class_without_rows_does_not_count_as_a_mistake() -> None:
    measured = labelled(["a", "b"] * 20, ["a", "b"] * 20, ["a", "b", "rare"])
    assert values(measured) == dict.fromkeys(
        ("accuracy", "balanced_accuracy", "precision", "recall", "f1"), 1.0
    )
    assert "the hold-out has no row of class 'rare', so no metric counts it" in measured.evaluation["notes"]
    assert measured.evaluation["classes"][2] == {"label": "rare", "trainRows": 1, "holdoutRows": 0}


def test_a_model_that_is_never_right_has_metrics_of_0() -> None:
    measured = labelled(["a", "b", "c"] * 20, ["b", "c", "a"] * 20, ["a", "b", "c"])
    names = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
    assert values(measured) == dict.fromkeys(names, 0.0)


def test_many_absent_classes_are_listed_in_one_note() -> None:
    measured = labelled(["c0", "c1"] * 20, ["c0", "c1"] * 20, [f"c{place}" for place in range(10)])
    (note,) = [note for note in measured.evaluation["notes"] if "no rows of" in note]
    assert "8 classes" in note
    assert "and 3 more" in note


def test_the_positive_class_is_the_one_that_was_chosen() -> None:
    truth = ["fraud"] * 8 + ["ok"] * 32
    answered = ["fraud"] * 3 + ["ok"] * 37
    fraud = labelled(truth, answered, ["fraud", "ok"], "fraud")
    assert values(fraud)["recall"] == 3 / 8
    assert values(labelled(truth, answered, ["fraud", "ok"], "ok"))["recall"] == 1.0
    assert fraud.evaluation["positiveClass"] == "fraud"
    named = {metric.name for metric in fraud.metrics if metric.positive_class == "fraud"}
    assert named == {"precision", "recall", "f1"}


def test_a_hold_out_of_negatives_only_has_no_precision_recall_and_f1() -> None:
    measured = labelled(["no"] * 40, ["no"] * 40, ["no", "yes"], "yes")
    assert values(measured) == {"accuracy": 1.0}
    for name in ("balanced_accuracy", "precision", "recall", "f1"):
        assert measured.omitted[name] == "all rows of the hold-out are of class 'no'"


def test_precision_has_no_value_where_the_positive_class_is_never_answered() -> None:
    measured = labelled(["no", "yes"] * 20, ["no"] * 40, ["no", "yes"], "yes")
    assert measured.omitted["precision"] == "the model answers 'yes' in no row of the hold-out"
    assert (values(measured)["recall"], values(measured)["f1"]) == (0.0, 0.0)


def test_answers_that_the_data_does_not_have_are_counted() -> None:
    measured = labelled(["no", "yes"] * 20, ["no", "yes"] * 19 + ["maybe", "yes"], ["no", "yes"], "yes")
    assert (
        "the model answers classes that the data does not have ('maybe') in 1 rows"
        in measured.evaluation["notes"]
    )
    assert measured.evaluation["averaging"] == "Binary"
    assert measured.evaluation["confusion"]["classes"] == ["maybe", "no", "yes"]


def test_scores_rank_rows_where_there_are_no_probabilities() -> None:
    truth = np.array([0, 1] * 20)
    scores = np.where(truth == 1, 2.0, -2.0).reshape(-1, 1)
    for positive in (0, 1):
        measured = classification(
            truth, Predictions(truth, scores=scores), [0, 1], [0, 1], truth, positive, Rows(0)
        )
        assert values(measured)["roc_auc"] == 1.0
        assert measured.omitted["log_loss"] == "the model answers no probabilities"


def test_the_baseline_is_the_majority_of_the_training_rows() -> None:
    truth = np.array(["no"] * 92 + ["yes"] * 8)
    trained = np.array(["no"] * 9 + ["yes"])
    table = np.tile([0.9, 0.1], (100, 1))
    measured = classification(
        truth, Predictions(truth, table), ["no", "yes"], ["no", "yes"], trained, "yes", Rows(0)
    )
    baseline = {metric.name: metric.baseline for metric in measured.metrics}
    assert measured.evaluation["baseline"] == {"label": "no"}
    assert baseline["accuracy"] == pytest.approx(0.92)
    assert baseline["balanced_accuracy"] == pytest.approx(0.5)
    assert baseline["roc_auc"] == pytest.approx(0.5)
    assert baseline["average_precision"] == pytest.approx(0.08)
    assert baseline["recall"] == 0
    assert baseline["precision"] is None, "it never answers yes"
    assert baseline["log_loss"] == pytest.approx(sk.log_loss(truth == "yes", table))
    assert baseline["brier_score"] == pytest.approx(sk.brier_score_loss(truth == "yes", table[:, 1]))


def test_an_accuracy_below_the_majority_s_is_said() -> None:
    measured = labelled(["no"] * 92 + ["yes"] * 8, ["no"] * 85 + ["yes"] * 15, ["no", "yes"], "yes")
    (note,) = [note for note in measured.evaluation["notes"] if note.startswith("accuracy")]
    assert "is not clearly above 0.92, that of always answering 'no'" in note


def test_a_model_that_is_clearly_above_its_baseline_has_no_note() -> None:
    measured = labelled(["no", "yes"] * 50, ["no", "yes"] * 48 + ["yes", "no"] * 2, ["no", "yes"], "yes")
    assert measured.evaluation["notes"] == []


def test_a_regression_is_held_against_the_mean_and_the_median() -> None:
    random = np.random.default_rng(0)
    truth, trained = random.gamma(2.0, 10.0, 200), random.gamma(2.0, 10.0, 800)
    measured = regression(truth, Predictions(values=truth + random.normal(0, 1, 200)), trained, Rows(0))
    baseline = {metric.name: metric.baseline for metric in measured.metrics}
    mean, median = np.full(200, trained.mean()), np.full(200, np.median(trained))
    assert baseline["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, mean))
    assert baseline["r2"] == pytest.approx(sk.r2_score(truth, mean))
    assert baseline["mae"] == pytest.approx(sk.mean_absolute_error(truth, median))
    assert [entry["quantile"] for entry in measured.evaluation["residuals"]] == [
        0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99,
    ]  # fmt: skip
    assert sum(band["rows"] for band in measured.curves["residuals"]) == 200
    assert measured.evaluation["notes"] == []


def test_a_regression_no_better_than_the_mean_is_said() -> None:
    random = np.random.default_rng(1)
    truth = random.normal(5, 1, 100)
    measured = regression(truth, Predictions(values=np.full(100, truth.mean())), truth, Rows(0))
    assert any(
        note.startswith("r2 ") and "that of always answering the mean" in note
        for note in measured.evaluation["notes"]
    )


def test_errors_too_large_for_a_number_are_refused() -> None:
    truth = np.array([1e308, -1e308] * 20)
    with pytest.raises(InputError, match="Divide the target by a constant") as refused:
        regression(truth, Predictions(values=-truth), truth, Rows(0))
    assert refused.value.reason == "OutputUnsuitable"


def test_a_metric_too_large_for_a_number_is_left_out() -> None:
    truth = np.array([5e-324, 1.0] * 20)
    measured = regression(truth, Predictions(values=truth + 1), truth, Rows(0))
    assert measured.omitted["mape"] == "it is too large for a number"
    assert all(np.isfinite(metric.value) for metric in measured.metrics)


def test_hundreds_of_classes_are_measured_without_a_confusion_matrix_and_a_pass_for_each_class() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 300, 3000)
    table = random.dirichlet(np.ones(300), 3000)
    known = list(range(300))
    measured = classification(
        truth, Predictions(table.argmax(axis=1), table), known, known, truth, None, Rows(0)
    )
    found = {metric.name: metric for metric in measured.metrics}
    assert "confusion" not in measured.evaluation
    assert len(measured.evaluation["classes"]) == 300
    assert found["accuracy"].interval is not None
    assert found["roc_auc"].interval is None, "it would take 300 passes over the rows in each resample"
    assert (
        "roc_auc, average_precision: no interval, which would take too long" in measured.evaluation["notes"]
    )
    assert not any("too small or too uniform" in note for note in measured.evaluation["notes"])


def test_thresholds_say_what_answering_from_a_probability_on_would_do() -> None:
    truth = np.array(["no", "no", "yes", "yes"] * 10)
    yes = np.array([0.05, 0.45, 0.35, 0.95] * 10)
    answered = np.where(yes >= 0.5, "yes", "no")
    measured = classification(
        truth,
        Predictions(answered, np.column_stack([1 - yes, yes])),
        ["no", "yes"],
        ["no", "yes"],
        truth,
        "yes",
        Rows(0),
    )
    thresholds = {entry["threshold"]: entry for entry in measured.evaluation["thresholds"]}
    assert thresholds[0.3] == {"threshold": 0.3, "share": 0.75, "precision": 0.666667, "recall": 1.0}
    assert thresholds[0.9] == {"threshold": 0.9, "share": 0.25, "precision": 1.0, "recall": 0.5}
    bins = {entry["predicted"]: entry for entry in measured.evaluation["calibration"]}
    assert bins[0.35] == {"predicted": 0.35, "observed": 1.0, "rows": 10}
    assert measured.curves["roc"][0] == [0.0, 0.0]
    assert measured.curves["roc"][-1] == [1.0, 1.0]
