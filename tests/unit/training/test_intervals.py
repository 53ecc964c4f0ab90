"""Intervals cover what they promise, follow from a seed, and are of groups where rows belong together."""

from math import erf, sqrt

import numpy as np
import pytest

from modelwright_training.judging import intervals
from modelwright_training.judging.classification import classification
from modelwright_training.judging.metrics import Rows
from modelwright_training.judging.scorers import Floats, Scorer
from modelwright_training.onnxfile.predictions import Predictions


def mean_of(values: Floats) -> Scorer:
    return lambda weights: {"mean": float(weights @ values / weights.sum())}


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = intervals.bootstrap(mean_of(values), 400, None, 7, 1000, ["mean"])
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.values["mean"] == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        found = intervals.bootstrap(mean_of(random.normal(5, 2, 60)), 60, None, seed, 200, ["mean"])
        low, high = found.values["mean"]
        covered += low <= 5 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_seed_gives_one_interval() -> None:
    values = np.arange(50.0)
    first, again, other = (
        intervals.bootstrap(mean_of(values), 50, None, seed, 200, ["mean"]).values["mean"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(("units", "share"), [(1, 0.0), (10, 0.00856), (1000, 0.0248), (10**7, 0.025)])
def test_an_interval_of_few_rows_leaves_less_outside(units: int, share: float) -> None:
    """By Student's t: of 10 rows 2.262 instead of 1.960 standard errors, and those are too small by a root of 10/9."""
    assert intervals.tail(units) == pytest.approx(share, abs=1e-5)


def test_few_resamples_leave_no_more_outside_than_many() -> None:
    """The ends of 200 normal draws, on average, are those of the distribution."""
    random = np.random.default_rng(0)
    lows = [intervals.ends(random.normal(size=200), 0.0, 10**7) for _ in range(400)]
    outside = np.mean([0.5 * (1 + erf(low / sqrt(2))) for low, _ in filter(None, lows)])
    assert outside == pytest.approx(0.025, abs=0.0012)


def test_rows_of_a_group_are_drawn_together() -> None:
    """Twenty customers with fifty equal rows each say as much as twenty rows."""
    each = np.random.default_rng(0).normal(0, 1, 20)
    by_row = intervals.bootstrap(mean_of(np.repeat(each, 50)), 1000, None, 1, 500, ["mean"]).values["mean"]
    groups = np.repeat(np.arange(20), 50)
    by_group = intervals.bootstrap(mean_of(np.repeat(each, 50)), 1000, groups, 1, 500, ["mean"]).values[
        "mean"
    ]
    assert (by_group[1] - by_group[0]) > 5 * (by_row[1] - by_row[0])


def test_one_row_or_one_group_gives_no_interval() -> None:
    assert intervals.bootstrap(mean_of(np.ones(1)), 1, None, 1, 200, ["mean"]).values == {}
    assert intervals.bootstrap(mean_of(np.arange(9.0)), 9, np.zeros(9, int), 1, 200, ["mean"]).values == {}


def test_a_metric_that_mostly_has_no_value_gets_no_interval() -> None:
    """One row of the class among twenty: in a third of the resamples it is not drawn."""

    def rare(weights: Floats) -> dict[str, float]:
        return {"recall": 1 / weights[0] if weights[0] else float("nan")}

    assert intervals.bootstrap(rare, 20, None, 1, 200, ["recall"]).values == {}


def test_an_interval_holds_its_value_though_the_estimate_is_biased() -> None:
    def distinct(weights: Floats) -> dict[str, float]:
        return {"distinct": float((weights > 0).sum())}

    low, high = intervals.bootstrap(distinct, 50, None, 1, 200, ["distinct"]).values["distinct"]
    assert low < high == 50


@pytest.mark.parametrize(("rows", "passes", "count"), [(100, 4, 1000), (10_000, 4, 1000), (200_000, 4, 200)])
def test_the_number_of_resamples_falls_with_the_rows(rows: int, passes: int, count: int) -> None:
    assert intervals.resamples(rows, passes) == count


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"), [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_s_interval(hits: int, count: int, low: float, high: float) -> None:
    """The third is an example of Newcombe, Statistics in Medicine 17 (1998), table I."""
    assert intervals.wilson(hits, count) == pytest.approx((low, high), abs=1e-4)


def test_ten_rows_without_a_mistake_do_not_make_a_certain_model() -> None:
    labels = np.array(["no", "yes"] * 5)
    measured = classification(
        labels, Predictions(labels), ["no", "yes"], ["no", "yes"], labels, "yes", Rows(0)
    )
    found = {metric.name: metric.interval for metric in measured.metrics}
    assert found["accuracy"] == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert found["recall"] == found["precision"] == pytest.approx((0.5655, 1.0), abs=1e-4)
    assert found["f1"] is None
    assert "the hold-out has only 10 rows: its numbers are rough" in measured.evaluation["notes"]
    assert any(note.startswith("balanced_accuracy, f1: ") for note in measured.evaluation["notes"])


def test_a_perfect_model_by_groups_is_as_certain_as_its_groups() -> None:
    labels = np.array(["no", "yes"] * 500)
    rows = Rows(0, np.arange(1000) // 100, "customer")
    measured = classification(labels, Predictions(labels), ["no", "yes"], ["no", "yes"], labels, "yes", rows)
    accuracy = next(metric for metric in measured.metrics if metric.name == "accuracy")
    assert accuracy.interval == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert measured.evaluation["intervals"] == {
        "level": 0.95, "resamples": 1000, "unit": "Group", "column": "customer", "groups": 10,
    }  # fmt: skip
    assert "the hold-out has only 10 groups: its numbers are rough" in measured.evaluation["notes"]
