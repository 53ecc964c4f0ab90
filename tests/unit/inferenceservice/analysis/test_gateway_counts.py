"""What the answers of a canary behind a Gateway count as: case by case."""

from __future__ import annotations

import pytest

from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.gateway_counts import by_own_answers

SINCE = "2026-01-01T00:00:00Z"
QUIET = {"200": 1000}


@pytest.mark.parametrize(
    ("answered", "stable", "shadowed", "delegated"),
    [
        ({}, {}, {}, {}),
        ({"200": 90, "500": 10}, QUIET, {}, {"Answered": 90, "Failed": 10}),
        ({"OK": 90, "INTERNAL": 10}, QUIET, {}, {"Answered": 90, "Failed": 10}),
        # The callers of the stable revision send as much nonsense: the canary may be right to refuse it.
        ({"200": 50, "400": 50}, {"200": 500, "400": 500}, {}, {"Answered": 50, "Invalid": 50}),
        # Whether it is depends on the stable one's rate of refusals, which the judge compares.
        ({"200": 50, "400": 50}, QUIET, {}, {"Answered": 50, "Invalid": 50}),
        # A lack of capacity or time may be the cluster's fault.
        ({"200": 90, "500": 4, "503": 6}, QUIET, {}, {"Answered": 90, "Failed": 4, "Overloaded": 6}),
        ({"OK": 90, "UNAVAILABLE": 6}, QUIET, {"Failed": 4}, {"Answered": 90, "Overloaded": 2}),
        # Answers to copied requests are no answers to callers.
        ({"200": 90, "500": 10}, QUIET, {"Compared": 40, "Failed": 4}, {"Answered": 50, "Failed": 6}),
        ({"200": 10}, QUIET, {"Compared": 20}, {}),
    ],
)
def test_answers_of_the_canary_count_as_requests_that_were_passed_on_to_it(
    answered: dict[str, int], stable: dict[str, int], shadowed: dict[str, int], delegated: dict[str, int]
) -> None:
    measured = StepCounts(
        since=SINCE, direct=True, answered=answered, stable_answered=stable, shadowed=shadowed
    )
    assert by_own_answers(measured).delegated == delegated
