"""A gate gets the value of a metric, on all rows or on a slice; or it is said why it has none."""

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from unit.training.worlds import ends, evidence, few_resamples, two_classes, values, world

few = few_resamples


def test_a_metric_of_all_rows_is_the_published_one() -> None:
    given = world(two_classes())
    for metric in given.measured.metrics:
        if metric.name == "expected_calibration_error":
            continue
        found = evidence(given, metric=metric.name, min=0.5)
        assert (found.value, (found.low, found.high)) == (metric.value, metric.interval)
        assert (found.metric, found.samples, found.reason) == (metric.name, 400, None)


def test_the_main_metric_is_named() -> None:
    frame = two_classes()
    three = frame.assign(y=np.arange(400) % 3, answer=np.arange(400) % 3)
    assert evidence(world(frame), metric="main", min=0.5).metric == "roc_auc"
    assert evidence(world(three), metric="main", min=0.5).metric == "balanced_accuracy"
    assert evidence(world(values()), metric="main", min=0.5).metric == "r2"


def test_without_probabilities_the_main_metric_is_another() -> None:
    frame = two_classes()
    found = evidence(world(frame.assign(answer=(frame["answer"] > 0.5).astype(int))), metric="main", min=0.5)
    assert found.metric == "balanced_accuracy"
    assert found.value is not None


def test_rows_of_one_class_have_no_main_metric() -> None:
    frame = two_classes()
    found = evidence(world(frame.assign(y=1), frame), metric="main", min=0.5)
    assert (found.value, found.reason) == (None, "MetricUndefined")
    assert "all rows of the hold-out are of class 1" in str(found.message)


def test_a_constant_target_has_no_main_metric() -> None:
    frame = values()
    found = evidence(world(frame.assign(y=1.0), frame), metric="main", min=0.5)
    assert (found.metric, found.value, found.reason) == ("r2", None, "MetricUndefined")


@pytest.mark.parametrize("metric", ["recall", "roc_auc", "log_loss", "accuracy"])
def test_a_slice_is_scored_on_its_rows_alone(metric: str) -> None:
    frame = two_classes()
    part = frame[frame["region"] == "eu"]
    answered = (part["answer"] >= 0.5).astype(int)
    expected = {
        "recall": lambda: sk.recall_score(part["y"], answered),
        "roc_auc": lambda: sk.roc_auc_score(part["y"], part["answer"]),
        "log_loss": lambda: sk.log_loss(part["y"], part["answer"]),
        "accuracy": lambda: sk.accuracy_score(part["y"], answered),
    }[metric]()
    found = evidence(world(frame), metric=metric, slice={"region": "eu"}, min=0.5)
    assert found.value == pytest.approx(expected)
    assert found.samples == len(part)
    low, high = ends(found)
    assert low < expected < high


def test_the_interval_of_a_slice_is_wider_than_that_of_all_rows() -> None:
    given = world(two_classes())
    every, some = (
        evidence(given, metric="recall", min=0.5, **more) for more in ({}, {"slice": {"region": "us"}})
    )
    width = [float(found.high or 0) - float(found.low or 0) for found in (every, some)]
    assert 1.2 < width[1] / width[0] < 2.2


def test_the_values_of_a_slice_hold_at_once() -> None:
    frame = two_classes()
    found = evidence(world(frame), metric="accuracy", slice={"region": "eu", "floor": 2}, min=0.5)
    assert found.samples == int(((frame["region"] == "eu") & (frame["floor"] == 2)).sum())


@pytest.mark.parametrize(
    ("column", "value", "rows"),
    [
        pytest.param([1, 2, 3, 4], 2, 1, id="whole numbers"),
        pytest.param([1.0, 2.0, 2.5, np.nan], 2, 1, id="numbers"),
        pytest.param([1.0, 2.0, 2.5, 2.5], "2.5", 2, id="a number with a fraction is written as text"),
        pytest.param([1.0, 0.0, 1.0, 1.0], "true", 3, id="true is 1"),
        pytest.param([2**53 + 1, 2**53, 2**53, 2**53], 2**53 + 1, 1, id="beyond 2^53"),
        pytest.param(["7", "07", "7", ""], 7, 2, id="texts of digits"),
        pytest.param(["7", "07", "7", ""], "07", 1, id="leading zeros"),
        pytest.param(["a", "", None, "b"], "", 2, id="missing texts"),
    ],
)
def test_values_are_equal_by_the_type_of_the_column(column: list[object], value: object, rows: int) -> None:
    frame = two_classes().assign(tenant=pd.Series(column * 100))
    assert evidence(world(frame), metric="accuracy", slice={"tenant": value}, min=0.5).samples == rows * 100


@pytest.mark.parametrize(
    ("chosen", "reason", "words"),
    [
        pytest.param({"regoin": "eu"}, "ColumnNotFound", "'regoin'. Did you mean 'region'?", id="column"),
        pytest.param({"region": "eU"}, "ValueNotFound", "has 'eU' in column 'region'", id="value"),
        pytest.param({"region": "apac"}, "ValueNotFound", "it has 'eu', 'us'", id="what there is"),
        pytest.param({"floor": "top"}, "ValueNotFound", "holds numbers, and 'top' is none", id="no number"),
        pytest.param({"floor": 9}, "ValueNotFound", "no row of the hold-out has 9", id="number"),
        pytest.param({"only": 1, "region": "us"}, "SliceEmpty", "only=1 and region='us' at once", id="both"),
    ],
)
def test_a_slice_without_rows_is_said(chosen: dict[str, object], reason: str, words: str) -> None:
    frame = two_classes()
    given = world(frame.assign(only=(frame["region"] == "eu").astype(int)))
    found = evidence(given, metric="accuracy", slice=chosen, min=0.5)
    assert (found.value, found.reason, found.samples) == (None, reason, None)
    assert words in str(found.message)


def test_a_slice_of_one_class_has_no_recall() -> None:
    frame = two_classes()
    given = world(frame.assign(only=frame["y"]))
    for metric in ("recall", "roc_auc", "balanced_accuracy"):
        found = evidence(given, metric=metric, slice={"only": 0}, min=0.5)
        assert (found.value, found.reason) == (None, "MetricUndefined")
        assert "which are all of 0" in str(found.message)
    assert evidence(given, metric="accuracy", slice={"only": 0}, min=0.5).value is not None


def test_a_slice_that_is_all_right_is_no_surer_than_its_rows() -> None:
    frame = two_classes().assign(few=0)
    frame.loc[:8, "few"] = 1
    frame.loc[:8, "answer"] = np.where(frame.loc[:8, "y"] == 1, 0.9, 0.1)
    for metric in ("accuracy", "recall", "precision", "balanced_accuracy", "f1", "roc_auc"):
        found = evidence(world(frame), metric=metric, slice={"few": 1}, min=0.5)
        assert (found.value, found.high) == (1.0, 1.0)
        assert found.low is not None
        assert found.low < 0.75


def test_mape_of_a_slice_without_zeros_has_a_value() -> None:
    frame = values()
    frame.loc[frame["region"] == "us", "y"] = 0.0
    given = world(frame)
    assert evidence(given, metric="mape", max=0.5).reason == "MetricUndefined"
    part = frame[frame["region"] == "eu"]
    found = evidence(given, metric="mape", slice={"region": "eu"}, max=0.5)
    assert found.value == pytest.approx(sk.mean_absolute_percentage_error(part["y"], part["answer"]))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        pytest.param("roc-auc", "no metric 'roc-auc'. Did you mean 'roc_auc'?", id="misspelt"),
        pytest.param("rmse", "a classification has no metric 'rmse'", id="of another task"),
        pytest.param("revenue", "reports itself: it counts only with source: Reported", id="reported"),
    ],
)
def test_an_unknown_metric_is_said(metric: str, words: str) -> None:
    found = evidence(world(two_classes(), reported={"revenue": 3.5}), metric=metric, min=0.5)
    assert (found.value, found.reason, found.source) == (None, "UnknownMetric", "Measured")
    assert words in str(found.message)


def test_a_reported_number_is_given_where_it_is_asked_for() -> None:
    given = world(two_classes(), reported={"revenue": 3.5})
    found = evidence(given, metric="revenue", min=1, source="Reported")
    assert (found.value, found.source, found.low, found.samples) == (3.5, "Reported", None, None)


def test_a_number_that_is_not_reported_is_said() -> None:
    nothing = evidence(world(two_classes()), metric="roc_auc", min=1, source="Reported")
    assert (nothing.value, nothing.reason) == (None, "UnknownMetric")
    assert "it left no metrics.json" in str(nothing.message)
    other = evidence(
        world(two_classes(), reported={"revenue": 1.0}), metric="revenu", min=1, source="Reported"
    )
    assert "Did you mean 'revenue'?" in str(other.message)


def test_the_same_world_gives_the_same_bytes() -> None:
    gates = [
        {"metric": "recall", "slice": {"region": "eu"}, "min": 0.5},
        {"metric": "main", "against": "Baseline", "minChange": 0},
        {"metric": "main", "split": "Train", "maxGap": 0.1},
        {"metric": "expected_calibration_error", "max": 0.05},
    ]
    first, second = (
        [evidence(world(two_classes(150)), **gate).document() for gate in gates] for _ in range(2)
    )
    assert first == second
