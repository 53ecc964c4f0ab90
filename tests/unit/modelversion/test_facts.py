"""What is known of a model file for good: of its run, of its Job, and as its status holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given import words

from modelwright.common.conditions import Aspect
from modelwright.modelversion.facts import (
    Facts,
    facts_in_status,
    facts_of_failure,
    facts_of_run,
    facts_of_verification,
)
from modelwright.workload.podstatus import Problem

RUN: Mapping[str, Any] = {
    "number": 1, "state": "Succeeded", "job": "churn-1", "digest": words.digest(), "report": words.published(),
}  # fmt: skip
SPEC: Mapping[str, Any] = {"model": "churn", "artifact": words.artifact()}
PUBLISHED = Aspect("ArtifactVerified", True, "Published", "the publisher verified the file after the upload")
VERIFIED = Aspect("ArtifactVerified", True, "Verified", "the file has the digest and is a model that runs")


def test_a_run_vouches_for_the_file_that_it_made() -> None:
    facts = facts_of_run(RUN, SPEC)

    assert facts is not None
    assert (facts.verified, facts.servable) == (PUBLISHED, True)
    assert facts.details["metrics"] == [
        {"name": "accuracy", "value": 0.9, "source": "Measured"},
        {
            "name": "roc_auc",
            "value": 0.95,
            "low": 0.9,
            "high": 0.98,
            "baseline": 0.5,
            "positiveClass": "1",
            "source": "Measured",
        },
    ]
    assert facts.details["score"] == "roc_auc 0.95 (0.9 to 0.98), baseline 0.5"
    assert facts.details["evaluation"]["positiveClass"] == "1"
    assert facts.details["evaluation"]["classes"][1]["holdoutRows"] == 5
    assert facts.details["evaluation"]["confusion"] == {"classes": ["0", "1"], "counts": [[14, 1], [1, 4]]}
    assert facts.details["parity"]["verdict"] == "Pass"
    assert facts.details["signature"]["classes"] == ["0", "1"]


def test_a_number_that_the_trainer_reports_itself_stays_marked() -> None:
    own = {"name": "revenue", "value": 3.5, "source": "Reported"}
    report = words.published()
    facts = facts_of_run({**RUN, "report": {**report, "metrics": [*report["metrics"], own]}}, SPEC)

    assert facts is not None
    assert [metric["source"] for metric in facts.details["metrics"]] == ["Measured", "Measured", "Reported"]
    assert facts.details["score"].startswith("roc_auc")


@pytest.mark.parametrize(
    "run",
    [
        {**RUN, "digest": words.digest("b")},
        {**RUN, "state": "Failed"},
        {**RUN, "state": "Superseded"},
        {name: value for name, value in RUN.items() if name != "report"},
        {**RUN, "report": {"signature": 7}},
    ],
    ids=["another file", "failed", "superseded", "without a report", "with a report of another kind"],
)
def test_another_run_vouches_for_nothing(run: Mapping[str, Any]) -> None:
    assert facts_of_run(run, SPEC) is None


def test_what_a_job_finds_is_reported_and_not_measured() -> None:
    facts = facts_of_verification(words.verified(), SPEC)

    assert (facts.verified, facts.servable) == (VERIFIED, True)
    assert facts.details["metrics"] == [{"name": "accuracy", "value": 0.9, "source": "Reported"}]
    assert "parity" not in facts.details


@pytest.mark.parametrize(
    ("reason", "status"), [("DigestMismatch", False), ("NotOnnx", None), ("ResultUnreadable", None)]
)
def test_a_rejected_file_is_another_one_or_of_no_use(reason: str, status: bool | None) -> None:
    facts = facts_of_failure(Problem(reason, "why"))

    assert (facts.verified, facts.servable) == (Aspect("ArtifactVerified", status, reason, "why"), False)


def condition(status: str, reason: str = "Verified") -> dict[str, Any]:
    return {"type": "ArtifactVerified", "status": status, "reason": reason, "message": "why"}


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ({}, None),
        ({"conditions": [], "metrics": []}, None),
        ({"observedGeneration": -1}, None),
        (
            {
                "conditions": [condition("True")],
                "task": "Regression",
                "metrics": [],
                "from": "a later release",
            },
            Facts(Aspect("ArtifactVerified", True, "Verified", "why"), {"task": "Regression", "metrics": []}),
        ),
        (
            {"conditions": [condition("False", "DigestMismatch")]},
            Facts(Aspect("ArtifactVerified", False, "DigestMismatch", "why")),
        ),
        (
            {"conditions": [condition("Unknown", "NotOnnx")]},
            Facts(Aspect("ArtifactVerified", None, "NotOnnx", "why")),
        ),
    ],
)
def test_facts_are_read_from_the_status_as_they_were_written(
    status: Mapping[str, Any], facts: Facts | None
) -> None:
    assert facts_in_status(status, {}) == facts
