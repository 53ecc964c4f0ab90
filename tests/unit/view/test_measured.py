"""What was measured of the versions: the checks at present, and the metrics from before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from unit.cli.given import a_canary, a_served_version, drawn, seen

from modelwright.cli.document import document
from modelwright.view.drawing import picture
from modelwright.view.measured import check_rows, offline
from modelwright.view.model import Check, Metric, read_metrics

BEGAN, NOW = "2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, 1, 40, tzinfo=UTC)
METRICS = {
    "churn-1": (Metric(name="accuracy", value=0.91234567), Metric(name="recall", value=0.8, source="Reported")),
    "churn-2": (Metric(name="accuracy", value=0.92), Metric(name="auc", value=0.9, source="Measured")),
}  # fmt: skip


def check(name: str = "errorRate", result: str = "Inconclusive", **fields: Any) -> Check:
    return Check.model_validate({"name": name, "result": result, "reason": "TooFewSamples", **fields})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            check(value=0, low=0, high=0.21, threshold=0.01, samples=20, samples_needed=100),
            "errorRate  undecided  0 % (0 % to 21 %), limit 1 %  20 of 100 samples: at this rate in 6 min 40 s",
        ),
        (
            check("agreement", samples=0, samplesNeeded=100, message="no request was copied"),
            "agreement  undecided  0 of 100 samples (no request was copied)",
        ),
        (
            check("odd", reason="IncreaseUnclear", value=2, low=1, threshold=3, samples=400, samplesNeeded=1200),
            "odd  undecided  2 (1 or more), limit 3  400 samples, about 1,200 would decide: at this rate in 3 min 20 s",
        ),
        (
            check("p99Seconds", reason="IncreaseUnclear", value=0.21, threshold=0.25, samples=400),
            "p99Seconds  undecided  210 ms, limit 250 ms  400 samples: IncreaseUnclear",
        ),
        (
            check(result="Pass", reason="ErrorRateWithinLimit", value=0.002, threshold=0.01, samples=1000),
            "errorRate  passes  0.2 %, limit 1 %  1,000 samples",
        ),
        (
            check(result="Fail", reason="ErrorRateTooHigh", value=0.5, samples=1),
            "errorRate  FAILS  50 %  1 sample",
        ),
        (check("complaints", reason="NoData", message="no series"), "complaints  undecided  0 samples (no series)"),
        (check("requests", reason="NotMeasured"), "requests  undecided  waits for the metrics of its pods"),
        (check("moon", "Waning", value=3), "moon  Waning  3  0 samples"),
    ],
)  # fmt: skip
def test_a_check_is_a_line(given: Check, line: str) -> None:
    assert check_rows([given], BEGAN, NOW) == [line]


@pytest.mark.parametrize("began", [None, "soon", "2026-01-01T12:01:40Z"])
def test_without_a_time_that_has_passed_there_is_no_rate(began: str | None) -> None:
    [line] = check_rows([check(samples=20, samplesNeeded=100)], began, NOW)
    assert line == "errorRate  undecided  20 of 100 samples"


def test_the_checks_of_a_canary_stand_under_what_has_to_hold() -> None:
    entry = {
        "name": "errorRate",
        "result": "Pass",
        "reason": "Fine",
        "value": 0,
        "threshold": 0.01,
        "samples": 9,
    }
    text = drawn(a_canary(), status={"canary": {"verdict": "Passing", "checks": [entry]}})
    assert "it waits on\nAt present: Passing\n  errorRate  passes  0 %, limit 1 %  9 samples\n" in text


def test_the_checks_of_a_revision_that_may_be_taken_back_are_shown() -> None:
    entry = {"name": "errorRate", "result": "Inconclusive", "reason": "TooFewSamples", "samples": 9}
    text = drawn(a_served_version(), status={"stable": {"checks": [entry]}})
    assert "Checks, counted since it took over\n  errorRate  undecided  9 samples" in text


def test_metrics_stand_beside_each_other() -> None:
    assert list(offline(seen(a_canary()), METRICS)) == [
        "Measured offline, when the versions were made",
        "            churn-1         churn-2",
        "  accuracy  0.9123          0.92",
        "  recall    0.8 (reported)  -",
        "  auc       -               0.9",
    ]


def test_metrics_show_their_interval_baseline_and_class() -> None:
    known = {"low": 0.8, "high": 0.95, "baseline": 0.1, "positiveClass": "yes"}
    found = {
        "churn-1": (Metric.model_validate({"name": "recall", "value": 0.9, **known}),),
        "churn-2": (Metric.model_validate({"name": "recall", "value": 0.7, "positiveClass": "yes"}),),
    }
    assert list(offline(seen(a_canary()), found))[1:] == [
        "                 churn-1                          churn-2",
        "  recall of yes  0.9 (0.8 to 0.95), baseline 0.1  0.7",
    ]


def test_versions_with_other_positive_classes_do_not_share_its_name() -> None:
    found = {
        version: (Metric.model_validate({"name": "recall", "value": 0.9, "positiveClass": positive}),)
        for version, positive in (("churn-1", "yes"), ("churn-2", "no"))
    }
    assert list(offline(seen(a_canary()), found))[2].split() == ["recall", "0.9", "0.9"]


def test_without_a_canary_the_revision_before_is_compared() -> None:
    retired = {"revision": "r", "version": "churn-0", "until": "2030-01-01T00:00:00Z"}
    service = seen(a_served_version(), status={"retired": retired})
    assert service.compared == ["churn-0", "churn-1"]
    table = list(offline(service, {**METRICS, "churn-0": METRICS["churn-2"]}))
    assert table[1].split() == ["churn-0", "churn-1"]


def test_a_version_in_two_shapes_of_pod_is_one_column() -> None:
    assert seen(a_canary(), status={"canary": {"version": "churn-1"}}).compared == ["churn-1"]


@pytest.mark.parametrize("metrics", [{}, {"churn-1": ()}, {"other": METRICS["churn-1"]}])
def test_without_metrics_there_is_no_table(metrics: dict[str, tuple[Metric, ...]]) -> None:
    assert list(offline(seen(a_canary()), metrics)) == []


def test_one_that_is_gone_has_no_column() -> None:
    assert list(offline(seen(a_canary()), {"churn-2": METRICS["churn-2"]}))[1:] == [
        "            churn-2", "  accuracy  0.92", "  auc       0.9",
    ]  # fmt: skip


def test_they_are_part_of_the_picture_and_of_the_document() -> None:
    service = a_canary()
    assert "Measured offline" in "\n".join(picture(seen(service), service.world.now, METRICS))
    assert document(seen(service), METRICS)["metrics"]["churn-2"][1] == {
        "name": "auc",
        "value": 0.9,
        "source": "Measured",
    }


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"status": {"metrics": [{"name": "auc", "value": 0.5, "source": "Measured"}]}}, ["auc"]),
        ({"status": {"metrics": [{"name": "auc", "value": "much"}]}}, []),
        ({}, []),
        (None, []),
    ],
)
def test_what_is_no_model_version_has_no_metrics(body: object, names: list[str]) -> None:
    assert [metric.name for metric in read_metrics(body)] == names
