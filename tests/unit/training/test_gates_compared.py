"""The lead over the baseline, the gap to the training rows, and the calibration error against its noise."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from unit.training.worlds import ends, evidence, few_resamples, two_classes, values, world

from modelwright_training.judging import scorers
from modelwright_training.judging.gates import calibration, paired, plain
from modelwright_training.judging.gates.world import Resampled
from modelwright_training.judging.scored import Scored

few = few_resamples


def test_a_model_is_compared_with_guessing() -> None:
    frame = two_classes()
    found = evidence(world(frame), metric="main", against="Baseline", minChange=0)
    area = sk.roc_auc_score(frame["y"], frame["answer"])
    assert (found.metric, found.against, found.reference) == ("roc_auc", "Baseline", 0.5)
    assert found.value == pytest.approx(area - 0.5)
    assert found.measured == pytest.approx(area)
    low, high = ends(found)
    assert 0 < low < area - 0.5 < high


def test_a_model_of_shuffled_labels_is_not_better_than_the_baseline() -> None:
    frame = two_classes()
    frame["y"] = np.random.default_rng(1).permutation(frame["y"])
    low, high = ends(evidence(world(frame), metric="main", against="Baseline", minChange=0))
    assert low < 0 < high


def test_a_model_that_answers_one_class_always_is_exactly_the_baseline() -> None:
    frame = two_classes().assign(answer=0)
    frame["y"] = (np.arange(400) % 3 == 0).astype(int)
    for metric in ("accuracy", "balanced_accuracy"):
        found = evidence(world(frame), metric=metric, against="Baseline", minChange=0)
        assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_regression_is_compared_with_the_mean_of_the_training_rows() -> None:
    frame, trained = values(), values(800, seed=1)
    found = evidence(world(frame, trained), metric="main", against="Baseline", minChange=0)
    mean = np.full(400, trained["y"].mean())
    assert found.reference == pytest.approx(sk.r2_score(frame["y"], mean))
    assert found.value == pytest.approx(
        sk.r2_score(frame["y"], frame["answer"]) - sk.r2_score(frame["y"], mean)
    )
    low, high = ends(found)
    assert 0.5 < low < high < 1


def test_of_a_loss_the_change_is_negative_where_it_is_less() -> None:
    found = evidence(world(values()), metric="rmse", against="Baseline", maxChange=0)
    assert found.value is not None
    assert found.value < 0
    assert ends(found)[1] < 0


def test_a_slice_is_compared_with_the_baseline_of_its_own_rows() -> None:
    frame = two_classes()
    part = frame[frame["region"] == "eu"]
    found = evidence(world(frame), metric="accuracy", slice={"region": "eu"}, against="Baseline", minChange=0)
    always = np.full(len(part), frame["y"].mode()[0])
    assert found.reference == pytest.approx(sk.accuracy_score(part["y"], always))
    assert found.samples == len(part)


def test_a_metric_that_the_baseline_has_not_is_said() -> None:
    frame = two_classes()
    frame["y"] = (np.arange(400) % 3 == 0).astype(int)
    found = evidence(world(frame), metric="precision", against="Baseline", minChange=0)
    assert (found.value, found.reason) == (None, "MetricUndefined")
    assert "precision of the baseline" in str(found.message)


@pytest.mark.parametrize(("right", "sure"), [(3, False), (40, True)])
def test_a_perfect_model_is_as_sure_as_its_rarest_class(right: int, sure: bool) -> None:
    y = (np.arange(200) < right).astype(np.int64)
    frame = pd.DataFrame({"y": y, "answer": np.where(y == 1, 0.8, 0.2)})
    found = evidence(world(frame), metric="main", against="Baseline", minChange=0)
    assert found.value == 0.5
    low, high = ends(found)
    assert (low > 0, high) == (sure, 0.5)


def test_a_class_that_resamples_miss_gives_no_interval() -> None:
    y = (np.arange(200) < 2).astype(np.int64)
    frame = pd.DataFrame({"y": y, "answer": np.where(y == 1, 0.8, 0.2)})
    found = evidence(world(frame), metric="main", against="Baseline", minChange=0)
    assert (found.value, found.low) == (0.5, None)
    assert "too few or too uniform" in str(found.message)


def test_groups_of_rows_make_the_interval_wider() -> None:
    frame = pd.concat([two_classes(100)] * 4, ignore_index=True)
    groups = np.tile(np.arange(100), 4)
    single, grouped = (
        ends(evidence(world(frame, groups=own), metric="main", against="Baseline", minChange=0))
        for own in (None, groups)
    )
    assert 1.5 < (grouped[1] - grouped[0]) / (single[1] - single[0]) < 2.5


def test_one_group_gives_no_interval() -> None:
    found = evidence(
        world(two_classes(), groups=np.zeros(400)), metric="main", against="Baseline", minChange=0
    )
    assert found.value is not None
    assert (found.low, found.high) == (None, None)
    assert "there is nothing to draw from" in str(found.message)


def test_the_gap_is_how_much_better_it_is_on_the_training_rows() -> None:
    frame, trained = two_classes(skill=1.0), two_classes(800, seed=1, skill=4.0)
    found = evidence(world(frame, trained), metric="roc_auc", split="Train", maxGap=0.05)
    own, learnt = (sk.roc_auc_score(rows["y"], rows["answer"]) for rows in (frame, trained))
    assert found.measured == pytest.approx(own)
    assert found.reference == pytest.approx(learnt)
    assert found.value == pytest.approx(learnt - own)
    low, high = ends(found)
    assert 0.05 < low < learnt - own < high


def test_the_gap_of_a_loss_has_the_same_sign() -> None:
    frame, trained = values(noise=2.0), values(800, seed=1, noise=0.1)
    found = evidence(world(frame, trained), metric="rmse", split="Train", maxGap=0.5)
    assert found.value == pytest.approx(1.9, abs=0.2)
    assert ends(found)[0] > 1.5


def test_the_gap_of_a_slice_is_between_its_rows_on_both_sides() -> None:
    frame, trained = two_classes(), two_classes(800, seed=1)
    found = evidence(
        world(frame, trained), metric="accuracy", slice={"region": "eu"}, split="Train", maxGap=0.5
    )
    part = trained[trained["region"] == "eu"]
    assert found.reference == pytest.approx(sk.accuracy_score(part["y"], part["answer"] >= 0.5))
    extra = evidence(
        world(frame.assign(sex="f"), trained),
        metric="accuracy",
        slice={"sex": "f"},
        split="Train",
        maxGap=0.5,
    )
    assert extra.reason == "ColumnNotFound"
    assert "the training rows have no column 'sex'" in str(extra.message)


def test_a_calibrated_model_is_within_its_noise() -> None:
    inside = 0
    for seed in range(20):
        found = evidence(world(two_classes(300, seed=seed)), metric="expected_calibration_error", max=0.05)
        assert found.value is not None
        assert found.value > 0.01  # never 0, however well it is calibrated
        inside += found.low == 0.0
    assert inside >= 17


def test_a_model_that_is_too_sure_is_beyond_its_noise() -> None:
    frame = two_classes(1000)
    frame["answer"] = np.where(frame["answer"] > 0.5, 0.99, 0.01)
    found = evidence(world(frame), metric="expected_calibration_error", max=0.05)
    low, high = ends(found)
    assert found.value is not None
    assert 0.1 < low < found.value <= high
    assert "a calibrated model would have up to 0.0" in str(found.message)


def test_the_noise_is_that_of_classes_drawn_from_the_probabilities() -> None:
    answer = two_classes(1000)["answer"].to_numpy()
    table = np.column_stack([1 - answer, answer])
    floor = calibration.noise(table, 0)
    random = np.random.default_rng(5)
    drawn = ((random.random(1000) < answer).astype(np.int64) for _ in range(400))
    errors = [scorers.of_probabilities(y, table)(np.ones(1000))["expected_calibration_error"] for y in drawn]
    assert floor == pytest.approx(np.quantile(errors, 0.95), rel=0.1)


def test_a_metric_of_two_classes_is_as_certain_as_the_smaller_one_makes_it() -> None:
    """40 rows of one class and 360 of the other: as 80 rows, but for metrics that count all rows alike."""
    frame = two_classes().assign(y=(np.arange(400) % 10 == 0).astype(int))
    given = world(frame)
    units = {name: given.resampled(given.candidate, name).units for name in ("roc_auc", "recall", "accuracy")}
    assert units == {"roc_auc": 80, "recall": 80, "accuracy": 400}
    in_groups = world(frame, groups=np.arange(400) // 20)
    assert in_groups.resampled(in_groups.candidate, "roc_auc").units == 40


def test_a_ratio_to_the_baseline_is_a_ratio() -> None:
    found = evidence(world(two_classes()), metric="log_loss", against="Baseline", maxRatio=0.9)
    assert found.value == pytest.approx((found.measured or 0) / (found.reference or 1))
    assert 0 < (found.low or 0) < (found.value or 0) < (found.high or 0) < 1


def test_without_training_rows_there_is_no_gap() -> None:
    given = replace(world(two_classes()), trained=None)
    found = evidence(given, metric="roc_auc", split="Train", maxGap=0.05)
    assert (found.value, found.reason) == (None, "NoTrainingRows")


@pytest.mark.parametrize(
    "gate",
    [
        {"metric": "log_loss", "against": "Baseline", "maxRatio": 0.9},
        {"metric": "log_loss", "against": "Baseline", "maxChange": 0},
        {"metric": "accuracy", "split": "Train", "maxGap": 0.1},
    ],
)
@pytest.mark.parametrize("costly", [True, False])
def test_where_one_side_is_too_costly_to_draw_there_is_no_interval(
    monkeypatch: pytest.MonkeyPatch, gate: dict[str, object], costly: bool
) -> None:
    frame, trained = two_classes(), two_classes(800, seed=1)
    given = world(frame, trained)
    monkeypatch.setattr(
        Scored,
        "costly",
        lambda scored, _names: (scored is given.candidate) == costly or scored is given.train,
    )
    found = evidence(given, **gate)
    assert found.value is not None
    assert found.value == pytest.approx(evidence(world(frame, trained), **gate).value)
    assert (found.low, found.high) == (None, None)
    assert found.message == "it has no interval: so many rows and classes would take too long"


def test_as_many_resamples_are_compared_as_both_have() -> None:
    random = np.random.default_rng(0)
    some, other = (
        Resampled(2.0, random.normal(2, 0.1, 300), units=50),
        Resampled(4.0, random.normal(4, 0.1, 200), units=50),
    )
    for compare, value in ((paired.ratio, 0.5), (paired.difference, -2.0)):
        found, interval = compare(some, other)
        assert found == value
        assert interval is not None
        assert interval[0] < value < interval[1]


@pytest.mark.parametrize("some_first", [True, False])
def test_what_no_resample_changes_widens_the_right_end_of_a_difference(some_first: bool) -> None:
    """A share of 1 can only be less, so a difference to it can only be more."""
    sure = Resampled(1.0, np.ones(200), exact=(0.9, 1.0), units=50)
    other = Resampled(0.5, np.full(200, 0.5), units=50)
    value, interval = paired.difference(*((sure, other) if some_first else (other, sure)))
    expected = (0.4, 0.5) if some_first else (-0.5, -0.4)
    assert value == (0.5 if some_first else -0.5)
    assert interval == pytest.approx(expected)


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError, ValueError, KeyError, TypeError, RuntimeError, MemoryError],
)
def test_a_defect_of_one_gate_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error("shapes do not match" * 100)

    monkeypatch.setattr(plain, "found", fail)
    found = evidence(world(two_classes()), metric="main", slice={"region": "eu"}, min=0.5)
    assert (found.metric, found.value, found.reason) == ("roc_auc", None, "MeasuringFailed")
    assert 20 < len(str(found.message)) < 300
    assert "Traceback" in caplog.text


def test_what_ends_a_process_is_not_held_up_by_a_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plain, "found", stop)
    with pytest.raises(KeyboardInterrupt):
        evidence(world(two_classes()), metric="main", slice={"region": "eu"}, min=0.5)


def test_a_gap_of_rows_in_groups_says_that_its_interval_is_too_narrow() -> None:
    gate = {"metric": "roc_auc", "split": "Train", "maxGap": 0.05}
    found = evidence(world(two_classes(), groups=np.arange(400) // 4), **gate)
    assert found.low is not None
    assert "drawn one by one, not by group" in str(found.message)
    assert evidence(world(two_classes()), **gate).message is None
