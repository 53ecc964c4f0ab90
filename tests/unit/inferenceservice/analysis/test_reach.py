"""What messages say of a revision that requests do not reach."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.reach import unasked, unreachable


def step(**counts: Any) -> StepCounts:
    return StepCounts(since="2026-01-01T00:00:00Z", **counts)


@pytest.mark.parametrize(
    "counts",
    [
        {"delegated": {"Unreachable": 1}},
        {"delegated": {"Answered": 9, "Unreachable": 2, "Failed": 2}},
        {"shadowed": {"Unreachable": 3, "Compared": 5}},
    ],
)
def test_most_faults_are_connections_that_could_not_be_made(counts: dict[str, Any]) -> None:
    assert unreachable(step(**counts)) == (
        "its pods cannot be connected to: NetworkPolicies have to let the stable revision's pods reach their port 8080"
    )


@pytest.mark.parametrize(
    "counts",
    [{}, {"delegated": {"Failed": 3}}, {"delegated": {"Unreachable": 1, "Failed": 2, "Answered": 9}}],
)
def test_other_faults_name_no_flow(counts: dict[str, Any]) -> None:
    assert unreachable(step(**counts)) is None


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "no request has come"),
        ({"stable_answered": {"200": 3}}, "the stable revision has had requests, and this one none"),
        ({"delegated": {"Answered": 1}}, None),
        ({"shadowed": {"Compared": 1}}, None),
    ],
)
def test_without_a_request_it_says_whether_the_stable_revision_had_some(
    counts: dict[str, Any], said: str | None
) -> None:
    assert unasked(step(**counts)) == said
