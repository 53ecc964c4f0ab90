"""What is kept and told of a decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from modelwright.api.inferenceservice import Decision
from modelwright.api.requests import Request
from modelwright.inferenceservice.rollout import decision_log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_decision(verdict: str = "Advance", reason: str = "Fine", **fields: Any) -> Decision:
    at = "2026-01-01T00:00:00Z"
    return Decision.model_validate(
        {"at": at, "revision": "abc", "step": 0, "verdict": verdict, "reason": reason, **fields}
    )


NUMBERS = {"metric": "errorRate", "value": 0.5, "threshold": 0.01, "samples": 100}


@pytest.mark.parametrize(
    ("decision", "told"),
    [
        (None, None),
        (
            a_decision("Advance", "ErrorRateWithinLimit", **NUMBERS),
            ("CanaryAdvanced", "step 1 ended: ErrorRateWithinLimit: errorRate is 0.5, the limit 0.01 (100 samples)"),
        ),
        (a_decision("Promote", step=2), ("CanaryPromoted", "step 3 ended: Fine")),
        (
            a_decision("Promote", "Requested", requestedBy="alice"),
            ("CanaryPromoted", "step 1 ended: asked for by alice"),
        ),
        (a_decision("Resume", "Requested"), ("CanaryResumed", "asked for by an unknown requester")),
        (a_decision("Retry", "Requested", requestedBy="alice"), ("RevisionRetried", "asked for by alice")),
        (
            a_decision("Promote", "Redone", requestedBy="alice"),
            ("Redone", "the undo was undone: revision abc has the traffic again, asked for by alice"),
        ),
        (a_decision("Pause", "Requested"), ("CanaryPaused", "asked for by an unknown requester")),
        # The change of Ready makes the event of this one.
        (a_decision("Rollback", "ErrorRateTooHigh", **NUMBERS), None),
    ],
)  # fmt: skip
def test_a_decision_makes_an_event_unless_the_condition_makes_it(
    decision: Decision | None, told: tuple[str, str] | None
) -> None:
    events = [(event.reason, event.message) for event in decision_log.event(decision)]
    assert events == ([] if told is None else [told])


def test_a_request_is_recorded_with_who_asked_and_without_numbers() -> None:
    asked = Request("promote", "abc", "t1", requested_by="alice (modelwright-cli)")
    found = decision_log.requested(asked, 1, "Advance", NOW)
    assert found == a_decision("Advance", "Requested", step=1, requestedBy="alice (modelwright-cli)")


FIRST, SECOND, THIRD = (a_decision(step=number) for number in range(3))


@pytest.mark.parametrize(
    ("last", "before", "new", "history"),
    [
        (None, None, None, None),
        (None, None, FIRST, None),
        (FIRST, None, None, None),
        (FIRST, None, SECOND, [FIRST]),
        (SECOND, [FIRST], THIRD, [SECOND, FIRST]),
        (SECOND, [FIRST], None, [FIRST]),
    ],
)
def test_the_history_is_what_was_decided_before_the_last_decision(
    last: Decision | None, before: list[Decision] | None, new: Decision | None, history: list[Decision] | None
) -> None:
    assert decision_log.history(last, before, new) == history


def test_the_history_is_bounded() -> None:
    known: list[Decision] | None = None
    for step in range(50):
        known = decision_log.history(a_decision(step=step), known, a_decision(step=step + 1))
    assert known is not None
    assert [each.step for each in known] == list(range(49, 29, -1))
