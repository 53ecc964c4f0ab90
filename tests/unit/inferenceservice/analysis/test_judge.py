"""What the counts of a step say of a canary, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelwright.api.inferenceservice import Analysis
from modelwright.checks.quantiles import Cells
from modelwright.inferenceservice.analysis.counts import (
    StepCounts,
    counted_since,
    is_callers_fault,
    is_own_fault,
)
from modelwright.inferenceservice.analysis.judge import (
    judge,
    judge_baking,
    judge_pods,
    judge_unmet,
    waiting_for,
)
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading

SINCE = "2026-01-01T00:00:00Z"
ENOUGH = {"Answered": 1000}
PASSED = ("Pass", "errorRate", "ErrorRateWithinLimit")
QUERIES = [{"name": "complaints", "query": "up", "max": 0.1}]


def analysis(**fields: Any) -> Analysis:
    return Analysis.model_validate(fields)


def step(**counts: Any) -> StepCounts:
    return StepCounts(since=SINCE, **{"delegated": ENOUGH, **counts})


def took(seconds: float, count: int = 1000) -> Cells:
    """Durations of as many requests, all just below that."""
    return {(seconds / 10, seconds): float(count)}


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({}, ("Inconclusive", "TooFewSamples", 0, 0.0)),
        ({"Answered": 99}, ("Inconclusive", "TooFewSamples", 99, 0.0)),
        ({"Answered": 100}, ("Pass", "ErrorRateWithinLimit", 100, 0.0)),
        ({"Answered": 99, "Failed": 1}, ("Pass", "ErrorRateWithinLimit", 100, 0.01)),
        ({"Answered": 98, "Failed": 2}, ("Inconclusive", "ErrorRateUnclear", 100, 0.02)),
        ({"Failed": 2}, ("Inconclusive", "TooFewSamples", 2, 1.0)),
        ({"Failed": 3}, ("Fail", "ErrorRateTooHigh", 3, 1.0)),
        ({"Answered": 50, "Timeout": 25, "Broken": 25}, ("Fail", "ErrorRateTooHigh", 100, 0.5)),
        ({"Answered": 100, "Invalid": 900}, ("Pass", "ErrorRateWithinLimit", 100, 0.0)),
        ({"Answered": 10**15, "Failed": 10**12}, ("Pass", "ErrorRateWithinLimit", 10**15 + 10**12, 0.000999)),
    ],
)
def test_the_error_rate(outcomes: Mapping[str, int], expected: tuple[str, str, int, float]) -> None:
    found = judge(analysis(), step(delegated=outcomes))
    assert (found.result, found.reason, found.samples) == expected[:3]
    assert found.value == pytest.approx(expected[3], abs=1e-6)
    assert (found.metric, found.threshold) == ("errorRate", 0.01)


@pytest.mark.parametrize(
    ("fields", "counts", "expected"),
    [
        ({}, {}, PASSED),
        ({"maxP99Increase": 0.5}, {}, ("Inconclusive", "p99Seconds", "TooFewSamples")),
        (
            {"maxP99Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(0.1)},
            PASSED,
        ),
        (
            {"maxP99Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(10.0)},
            ("Fail", "p99Seconds", "TooSlow"),
        ),
        (
            {"maxP99Increase": 0.5},
            {"stable_durations": took(0.1), "canary_durations": took(10.0, 99)},
            ("Inconclusive", "p99Seconds", "TooFewSamples"),
        ),
        (
            {"maxP50Increase": 0.5},
            {"stable_durations": took(10.0), "canary_durations": took(0.1)},
            PASSED,
        ),
        ({"minAgreement": 0.95}, {"labelled": 99, "agreement": 99.0}, ("Inconclusive", "agreement", "TooFewSamples")),
        ({"minAgreement": 0.95}, {"labelled": 100, "agreement": 95.0}, PASSED),
        ({"minAgreement": 0.95}, {"labelled": 100, "agreement": 94}, ("Inconclusive", "agreement", "AgreementUnclear")),
        ({"minAgreement": 0.95}, {"labelled": 100, "agreement": 50.0}, ("Fail", "agreement", "AnswersDiffer")),
        ({"maxDifference": 0.1}, {}, ("Inconclusive", "difference", "TooFewSamples")),
        ({"maxDifference": 0.1}, {"differences": took(0.1)}, PASSED),
        ({"maxDifference": 0.1}, {"differences": took(10.0)}, ("Fail", "difference", "NumbersDiffer")),
        ({}, {"shadowed": {"Compared": 10}}, PASSED),
        ({}, {"shadowed": {"Compared": 10}, "non_finite": 1}, ("Fail", "nonFinite", "NonFiniteAnswers")),
        ({"queries": QUERIES}, {}, ("Inconclusive", "complaints", "QueryNotAsked")),
        (
            {"queries": QUERIES},
            {"queries": {"complaints": Reading("up", NoValue("NoData", ""))}},
            ("Inconclusive", "complaints", "NoData"),
        ),
        (
            {"queries": QUERIES},
            {"queries": {"complaints": Reading("up", 0.2)}},
            ("Fail", "complaints", "QueryAboveMax"),
        ),
    ],
)  # fmt: skip
def test_the_first_failure_decides_then_the_first_that_is_not_decided(
    fields: dict[str, Any], counts: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    found = judge(analysis(**fields), step(**counts))
    assert (found.result, found.metric, found.reason) == expected


def test_a_failure_hides_behind_nothing() -> None:
    queries = {"complaints": Reading("up", 0.2)}
    found = judge(analysis(queries=QUERIES, minAgreement=0.9), step(delegated={}, queries=queries))
    assert found.reason == "QueryAboveMax"


def test_without_counts_nothing_is_measured() -> None:
    assert judge(analysis(), None).reason == "NotMeasured"
    assert judge_baking(analysis(), None).reason == "NotMeasured"


@pytest.mark.parametrize(
    ("answered", "result"),
    [({"200": 1000}, "Pass"), ({"200": 500, "500": 500}, "Fail"), ({"200": 1000, "404": 5000}, "Pass")],
)
def test_a_revision_that_is_baked_is_judged_by_its_own_answers(
    answered: Mapping[str, int], result: str
) -> None:
    assert judge_baking(analysis(), step(delegated={}, direct=True, answered=answered)).result == result


@pytest.mark.parametrize(
    ("restarts", "allowed", "fails"), [(0, 0, False), (1, 0, True), (2, 2, False), (3, 2, True)]
)
def test_restarts(restarts: int, allowed: int, fails: bool) -> None:
    found = judge_pods(analysis(maxRestarts=allowed), restarts)
    assert (found is not None and found.result == "Fail") is fails


def test_a_revision_that_meets_nobody_is_judged_by_queries_alone() -> None:
    assert judge_unmet(analysis(), None).reason == "NothingToMeasure"
    assert judge_unmet(analysis(queries=QUERIES), None).reason == "QueryNotAsked"


@pytest.mark.parametrize(
    ("code", "own", "callers"),
    [
        *(("200", False, False), ("404", False, True), ("500", True, False), ("503", True, False)),
        *(("OK", False, False), ("INTERNAL", True, False), ("INVALID_ARGUMENT", False, True)),
    ],
)
def test_whose_fault_a_status_is(code: str, own: bool, callers: bool) -> None:
    assert (is_own_fault(code), is_callers_fault(code)) == (own, callers)


def test_counts_of_another_step_do_not_count() -> None:
    assert counted_since(step(), SINCE) == step()
    assert counted_since(step(), "2026-01-02T00:00:00Z") is None
    assert counted_since(None, SINCE) is None


@pytest.mark.parametrize(
    ("samples", "needed", "told"),
    [
        (0, 100, "0 of 100"), (1, 100, "fewer than 10 of 100"), (9, 100, "fewer than 10 of 100"),
        (10, 100, "at least 10 of 100"), (24, 100, "at least 10 of 100"), (25, 100, "at least 25 of 100"),
        (74, 100, "at least 50 of 100"), (99, 100, "at least 75 of 100"),
        (0, 1, "0 of 1"), (1, 2, "at least 1 of 2"), (2, 3, "at least 2 of 3"), (1, 7, "at least 1 of 7"),
        (1, 1000, "fewer than 100 of 1000"),
    ],
)  # fmt: skip
def test_what_a_check_waits_for_is_told_in_coarse_numbers(samples: int, needed: int, told: str) -> None:
    found = waiting_for(
        Analysis(min_samples=needed), StepCounts(since="now", delegated={"Answered": samples})
    )
    assert found == [f"errorRate: {told} samples"]


@pytest.mark.parametrize(
    ("analysis", "counts", "told"),
    [
        ({}, None, ["the metrics of its pods"]),
        ({}, {"delegated": {"Answered": 100}}, []),
        (
            {},
            {"delegated": {"Answered": 98, "Failed": 2}},
            ["errorRate: not clearly within its limit of 0.01"],
        ),
        (
            {"min_agreement": 0.9, "max_p99_increase": 0.5},
            {"delegated": {"Answered": 100}},
            ["p99Seconds: 0 of 100 samples", "agreement: 0 of 100 samples (no request was copied)"],
        ),
        (
            {"min_agreement": 0.9, "max_difference": 0.1},
            {
                "delegated": {"Answered": 100},
                "shadowed": {"Compared": 30, "Dropped": 9},
                "uncompared": {"TooLarge": 9, "OtherClasses": 30},
                "labelled": 30,
                "agreement": 30.0,
            },
            [
                "agreement: at least 25 of 100 samples (not compared: OtherClasses, TooLarge)",
                "difference: 0 of 100 samples (not compared: OtherClasses, TooLarge)",
            ],
        ),
        (
            {"min_agreement": 0.9},
            {"delegated": {"Answered": 100}, "shadowed": {"Compared": 1}, "labelled": 1, "agreement": 1.0},
            ["agreement: fewer than 10 of 100 samples"],
        ),
    ],
)
def test_each_check_that_cannot_be_told_yet_says_what_it_needs(
    analysis: dict[str, Any], counts: dict[str, Any] | None, told: list[str]
) -> None:
    measured = None if counts is None else StepCounts(since="now", **counts)
    assert waiting_for(Analysis(**analysis), measured) == told


def test_what_a_check_waits_for_fits_into_the_status_whatever_a_pod_counts() -> None:
    most = Analysis(min_samples=10_000_000, min_agreement=0.9)
    reasons = {f"{letter * 32}": 1 for letter in "abcdefgh"}
    for phrase in waiting_for(most, StepCounts(since="now", uncompared=reasons, labelled=9_999_999)):
        assert len(phrase) <= 256
