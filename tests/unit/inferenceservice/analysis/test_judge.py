"""What the counts of a step say of a canary, case by case. The checks themselves have tables in `unit/checks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelwright.api.inferenceservice import Analysis
from modelwright.checks.against_stable import Predicted
from modelwright.checks.quantiles import Cells
from modelwright.checks.verdict import Verdict, overall
from modelwright.inferenceservice.analysis import judge
from modelwright.inferenceservice.analysis.counts import (
    StepCounts,
    counted_since,
    is_callers_fault,
    is_clusters_fault,
    is_own_fault,
)
from modelwright.inferenceservice.analysis.judge import Measurement
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading

SINCE = "2026-01-01T00:00:00Z"
ENOUGH = {"Answered": 1000}
PASSED = ("Pass", "errorRate", "ErrorRateWithinLimit")
DROP = {"metric": "accuracy", "change": 0.02, "minLabels": 50}
QUERIES = [{"name": "complaints", "query": "up", "max": 0.1}]
FIRST, MIRRORS, GATEWAY = Measurement(), Measurement(mirrors=True), Measurement(gateway=True)
SHADOW = Measurement(answers=False)


def analysis(**fields: Any) -> Analysis:
    return Analysis.model_validate(fields)


def step(**counts: Any) -> StepCounts:
    return StepCounts(since=SINCE, **{"delegated": ENOUGH, **counts})


def judged(counts: StepCounts | None, measurement: Measurement = FIRST, **fields: Any) -> Verdict:
    """What decides of all verdicts."""
    return overall(judge.checks(analysis(**fields), counts, measurement))


def took(seconds: float, count: int = 1000) -> Cells:
    """Durations of as many requests, all just below that."""
    return {(seconds / 1.05, seconds): float(count)}


def predicted(positive: float, rows: int = 1000) -> Predicted:
    """Answers of which such a share is positive, each of one row."""
    labels = {("0a1b", "0"): rows * (1 - positive), ("0a1b", "1"): rows * positive}
    return Predicted(labels, {}, rows, rows, rows)


@pytest.mark.parametrize(
    ("fields", "counts", "measurement", "expected"),
    [
        ({}, {}, FIRST, PASSED),
        ({"maxP99Increase": 0.5}, {}, FIRST, ("Inconclusive", "p99Seconds", "TooFewSamples")),
        (
            {"maxP99Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(0.1)},
            FIRST,
            PASSED,
        ),
        (
            {"maxP99Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(10.0)},
            FIRST,
            ("Fail", "p99Seconds", "TooSlow"),
        ),
        (
            {"maxP50Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(10.0)},
            FIRST,
            ("Fail", "p50Seconds", "TooSlow"),
        ),
        (
            {"minAgreement": 0.95},
            {"labelled": 100, "agreement": 50.0},
            MIRRORS,
            ("Fail", "agreement", "AnswersDiffer"),
        ),
        (
            {"maxDifference": 0.1},
            {"differences": took(10.0)},
            MIRRORS,
            ("Fail", "difference", "NumbersDiffer"),
        ),
        ({}, {"shadowed": {"Compared": 10}}, MIRRORS, PASSED),
        (
            {},
            {"shadowed": {"Compared": 10}, "non_finite": 5},
            MIRRORS,
            ("Fail", "nonFinite", "NonFiniteAnswers"),
        ),
        ({"maxScoreDrop": DROP}, {}, FIRST, ("Inconclusive", "scoreDrop", "TooFewSamples")),
        (
            {"maxScoreDrop": DROP},
            {"labels": {"labels": 60, "right": 30}, "stable_labels": {"labels": 900, "right": 810}},
            FIRST,
            ("Fail", "scoreDrop", "ScoreDropped"),
        ),
        (
            {"maxScoreDrop": {**DROP, "minLabels": 100}},
            {"labels": {"labels": 60, "right": 30}, "stable_labels": {"labels": 900, "right": 810}},
            FIRST,
            ("Inconclusive", "scoreDrop", "TooFewSamples"),
        ),
        # Both revisions have one model; and the answers of a shadow are no one's to judge.
        ({"maxScoreDrop": DROP}, {"labels": None}, FIRST, PASSED),
        ({"maxScoreDrop": DROP, "maxPredictionShift": 0.1}, {}, SHADOW, PASSED),
        ({"maxPredictionShift": 0.1}, {}, FIRST, ("Inconclusive", "predictionShift", "TooFewSamples")),
        (
            {"maxPredictionShift": 0.1},
            {"predicted": predicted(0.9), "stable_predicted": predicted(0.3)},
            FIRST,
            ("Fail", "predictionShift", "PredictionsShifted"),
        ),
        ({"queries": QUERIES}, {}, FIRST, ("Inconclusive", "complaints", "QueryNotAsked")),
        (
            {"queries": QUERIES},
            {"queries": {"complaints": Reading("up", NoValue("NoData", ""))}},
            FIRST,
            ("Inconclusive", "complaints", "NoData"),
        ),
        (
            {"queries": QUERIES},
            {"queries": {"complaints": Reading("up", 0.2)}},
            FIRST,
            ("Fail", "complaints", "QueryAboveMax"),
        ),
        # A failure hides behind nothing.
        (
            {"queries": QUERIES, "minAgreement": 0.9},
            {"delegated": {}, "queries": {"complaints": Reading("up", 0.2)}},
            MIRRORS,
            ("Fail", "complaints", "QueryAboveMax"),
        ),
    ],
)
def test_the_first_failure_decides_then_the_first_that_is_not_decided(
    fields: dict[str, Any], counts: dict[str, Any], measurement: Measurement, expected: tuple[str, str, str]
) -> None:
    found = judged(step(**counts), measurement, **fields)
    assert (found.result, found.metric, found.reason) == expected


def test_each_check_has_a_verdict_in_an_order_that_does_not_change() -> None:
    every = {
        "maxP99Increase": 1,
        "maxP50Increase": 1,
        "minAgreement": 0.9,
        "maxDifference": 1,
        "maxScoreDrop": DROP,
        "maxPredictionShift": 0.1,
    }
    counts = step(answered={"200": 500}, stable_answered={"200": 500})
    names = [
        verdict.metric
        for verdict in judge.checks(
            analysis(queries=QUERIES, **every), counts, Measurement(mirrors=True, gateway=True)
        )
    ]
    assert names == [
        *("errorRate", "refusalRate", "p99Seconds", "p50Seconds", "agreement", "difference", "nonFinite"),
        *("scoreDrop", "predictionShift", "complaints"),
    ]
    assert [verdict.metric for verdict in judge.checks(analysis(), step(), FIRST)] == ["errorRate"]


@pytest.mark.parametrize(
    ("outcomes", "shadowed", "samples", "value"),
    [
        ({}, {}, 0, 0.0),
        ({"Answered": 50, "Timeout": 25, "Broken": 25}, {}, 100, 0.5),
        ({"Answered": 8, "Unreachable": 1, "Overloaded": 1}, {}, 10, 0.2),
        ({"Answered": 6, "Rejected": 2, "Failed": 2}, {}, 10, 0.4),
        # What both revisions refuse or fail on says nothing, nor does a caller who does not wait.
        ({"Answered": 10, "Invalid": 90, "FailedAlike": 90, "Hurried": 9}, {}, 10, 0.0),
        ({}, {"Compared": 5, "Incomparable": 4, "Failed": 1, "Dropped": 90}, 10, 0.1),
        ({}, {"Compared": 7, "Timeout": 1, "Unreachable": 2}, 10, 0.3),
    ],
)
def test_what_counts_as_a_request_and_as_a_failure_of_it(
    outcomes: dict[str, int], shadowed: dict[str, int], samples: int, value: float
) -> None:
    found = judged(step(delegated=outcomes, shadowed=shadowed))
    assert found.samples == samples
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("fields", "measurement", "faults"),
    [
        ({}, FIRST, 6),
        ({"falseAlarmRate": 0.5}, FIRST, 5),
        ({"falseAlarmRate": 0.001}, FIRST, 8),
        # The budget is divided by the checks, and by the measurements of the rollout.
        ({"maxP99Increase": 1, "maxP50Increase": 1, "minAgreement": 0.9, "maxDifference": 1}, FIRST, 7),
        ({}, MIRRORS, 7),
        ({}, Measurement(number=4), 7),
        ({}, Measurement(number=20), 9),
    ],
)
def test_the_smaller_the_part_of_the_budget_the_more_it_takes_to_fail(
    fields: dict[str, Any], measurement: Measurement, faults: int
) -> None:
    def fails(failed: int) -> bool:
        counts = step(delegated={"Answered": 100 - failed, "Failed": failed})
        return judge.checks(analysis(**fields), counts, measurement)[0].result == "Fail"

    assert (fails(faults - 1), fails(faults)) == (False, True)


@pytest.mark.parametrize(
    ("own", "stable", "expected"),
    [
        # Its errors, beside those of the stable revision in the same time.
        ({"200": 900, "500": 100}, {"200": 10_000}, ("Fail", "errorRate", "ErrorRateTooHigh")),
        ({"200": 900, "500": 100}, {"200": 9_000, "500": 1_000}, ("Inconclusive", "errorRate", "ErrorRateUnclear")),
        ({"200": 500, "500": 500}, {"200": 9_000, "500": 1_000}, ("Fail", "errorRate", "ErrorRateTooHigh")),
        # Too little is known of the stable one.
        ({"200": 900, "500": 100}, {"200": 90, "500": 9}, ("Fail", "errorRate", "ErrorRateTooHigh")),
        ({"200": 1_000}, {}, PASSED),
        # What it refuses, likewise.
        ({"200": 500, "400": 500}, {"200": 5_000, "400": 5_000}, PASSED),
        ({"200": 500, "400": 500}, {}, PASSED),
        ({"200": 500, "400": 500}, {"200": 10_000, "400": 10}, ("Fail", "refusalRate", "RefusesCallers")),
        ({"200": 985, "400": 15}, {"200": 10_000}, ("Inconclusive", "refusalRate", "RefusalsUnclear")),
        ({"200": 995, "400": 5}, {"200": 10_000}, PASSED),
        ({"400": 100}, {"200": 1_000, "400": 10}, ("Fail", "refusalRate", "RefusesCallers")),
    ],
)  # fmt: skip
def test_behind_a_gateway_both_revisions_are_compared_by_their_own_answers(
    own: dict[str, int], stable: dict[str, int], expected: tuple[str, str, str]
) -> None:
    found = judged(step(delegated={}, answered=own, stable_answered=stable), GATEWAY)
    assert (found.result, found.metric, found.reason) == expected


def test_without_counts_nothing_is_measured() -> None:
    assert judged(None).reason == "NotMeasured"
    assert judge.baking(analysis(), None, FIRST).reason == "NotMeasured"


@pytest.mark.parametrize(
    ("answered", "rescued", "expected"),
    [
        ({"200": 1000}, 0, ("Pass", "ErrorRateWithinLimit")),
        ({"200": 500, "500": 500}, 0, ("Fail", "ErrorRateTooHigh")),
        ({"200": 1000, "404": 5000}, 0, ("Pass", "ErrorRateWithinLimit")),
        # It refuses what the revision before answers.
        ({"200": 1000}, 100, ("Fail", "RefusesCallers")),
        ({"200": 1000, "500": 200}, 100, ("Fail", "ErrorRateTooHigh")),
    ],
)
def test_a_revision_that_bakes_is_judged_by_its_own_answers(
    answered: Mapping[str, int], rescued: int, expected: tuple[str, str]
) -> None:
    counts = step(delegated={}, direct=True, answered=answered, rescued=rescued)
    found = judge.baking(analysis(), counts, FIRST)
    assert (found.result, found.reason) == expected


@pytest.mark.parametrize(
    ("restarts", "allowed", "fails"), [(0, 0, False), (1, 0, True), (2, 2, False), (3, 2, True)]
)
def test_restarts(restarts: int, allowed: int, fails: bool) -> None:
    found = judge.pods(analysis(maxRestarts=allowed), restarts)
    assert (found is not None and found.result == "Fail") is fails


def test_a_revision_that_gets_no_requests_is_judged_by_queries_alone() -> None:
    assert overall(judge.unmet(analysis(), None)).reason == "NothingToMeasure"
    assert overall(judge.unmet(analysis(queries=QUERIES), None)).reason == "QueryNotAsked"


SLOW = {"stable_durations": took(0.1), "canary_durations": took(10.0)}


WORSE = {"labels": {"labels": 500, "right": 250}, "stable_labels": {"labels": 900, "right": 810}}
OTHERWISE = {"predicted": predicted(0.9), "stable_predicted": predicted(0.3)}


@pytest.mark.parametrize(
    ("counts", "measurement", "blamed"),
    [
        ({"delegated": {"Answered": 50, "Failed": 50}}, FIRST, True),
        ({"delegated": {"Answered": 50, "Rejected": 50}}, FIRST, True),
        ({"delegated": {}, "shadowed": {"Compared": 50, "Failed": 50}}, MIRRORS, True),
        ({"delegated": {}, "shadowed": {"Compared": 50, "Unreachable": 50}}, MIRRORS, False),
        ({"delegated": {"Answered": 50, "Timeout": 50}}, FIRST, False),
        ({"delegated": {"Answered": 50, "Unreachable": 50}}, FIRST, False),
        ({"delegated": {"Answered": 50, "Overloaded": 50}}, FIRST, False),
        ({"delegated": {"Answered": 50, "Broken": 50}}, FIRST, False),
        ({"delegated": {"Answered": 99, "Unreachable": 50, "Failed": 1}}, FIRST, False),
        ({"delegated": {"Answered": 50, "Unreachable": 50, "Failed": 20}}, FIRST, True),
        ({"delegated": {}, "answered": {"200": 50, "500": 50}}, GATEWAY, True),
        ({"delegated": {}, "answered": {"200": 50, "503": 50}}, GATEWAY, False),
        ({"delegated": {}, "direct": True, "answered": {"200": 50, "500": 50}}, FIRST, True),
        ({"delegated": {}, "direct": True, "answered": {"200": 50, "504": 50}}, FIRST, False),
        ({"delegated": {}, "direct": True, "answered": {"OK": 50, "UNAVAILABLE": 50}}, FIRST, False),
        ({"delegated": {}, "direct": True, "answered": {"200": 50}, "rescued": 50}, FIRST, True),
        ({"labelled": 100, "agreement": 50.0}, MIRRORS, True),
        ({"differences": took(10.0)}, MIRRORS, True),
        ({"shadowed": {"Compared": 10}, "non_finite": 10}, MIRRORS, True),
        (WORSE, FIRST, True),
        ({**WORSE, "delegated": {}, "answered": {"200": 500}}, GATEWAY, False),
        (OTHERWISE, FIRST, False),
        # Slowness may come from the node, a query may count anything, and other callers may ask through a Gateway.
        (SLOW, FIRST, False),
        ({"queries": {"complaints": Reading("up", 0.2)}}, FIRST, False),
        ({"delegated": {}, "answered": {"400": 100}, "stable_answered": {"200": 1000}}, GATEWAY, False),
    ],
)
def test_what_is_evidence_about_the_model(
    counts: dict[str, Any], measurement: Measurement, blamed: bool
) -> None:
    fields = analysis(
        minSamples=1,
        maxP50Increase=0.5,
        minAgreement=0.9,
        maxDifference=0.1,
        maxScoreDrop=DROP,
        maxPredictionShift=0.1,
        queries=QUERIES,
    )
    measured = step(**counts)
    if measured.direct:
        verdict = judge.baking(fields, measured, measurement)
    else:
        verdict = overall(judge.checks(fields, measured, measurement))
    assert verdict.result == "Fail"
    assert judge.blames_model(verdict, fields, measured, measurement) is blamed


def test_restarts_alone_are_no_evidence_about_the_model() -> None:
    verdict = judge.pods(analysis(), 1)
    assert verdict is not None
    assert not judge.blames_model(verdict, analysis(), step(), FIRST)


@pytest.mark.parametrize(
    ("code", "own", "callers", "clusters"),
    [
        ("200", False, False, False),
        ("404", False, True, False),
        ("500", True, False, False),
        ("503", True, False, True),
        ("504", True, False, True),
        ("OK", False, False, False),
        ("INTERNAL", True, False, False),
        ("INVALID_ARGUMENT", False, True, False),
        ("UNAVAILABLE", True, False, True),
        ("DEADLINE_EXCEEDED", True, False, True),
    ],
)
def test_whose_fault_a_status_is(code: str, own: bool, callers: bool, clusters: bool) -> None:
    assert (is_own_fault(code), is_callers_fault(code), is_clusters_fault(code)) == (own, callers, clusters)


def test_counts_of_another_step_do_not_count() -> None:
    assert counted_since(step(), SINCE) == step()
    assert counted_since(step(), "2026-01-02T00:00:00Z") is None
    assert counted_since(None, SINCE) is None
