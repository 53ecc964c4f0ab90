"""What is kept and told of a decision about a canary: the record in the status, and the event. Pure."""

from __future__ import annotations

from datetime import datetime

from modelwright.api.inferenceservice import CanaryRevision, Decision
from modelwright.api.requests import Request, requester_phrase
from modelwright.checks.verdict import verdict_text
from modelwright.common.times import to_timestamp
from modelwright.engine.plan import Event
from modelwright.inferenceservice.rollout.steps import Judged, Outcome

# As many decisions as the status keeps besides the last one.
HISTORY = 20

_EVENTS = {
    "Advance": "CanaryAdvanced",
    "Promote": "CanaryPromoted",
    "Resume": "CanaryResumed",
    "Retry": "RevisionRetried",
}
# The reason of decisions that somebody asked for, where no other word says it better.
REQUESTED, REDONE = "Requested", "Redone"


def measured(canary: CanaryRevision, judged: Judged, now: datetime) -> Decision:
    """The record of a decision by a number."""
    verdict = judged.verdict
    return Decision(
        at=to_timestamp(now),
        revision=canary.revision,
        step=canary.step or 0,
        verdict=judged.outcome,
        reason=verdict.reason,
        metric=verdict.metric,
        value=verdict.value,
        threshold=verdict.threshold,
        samples=verdict.samples,
    )


def other(revision: str, step: int | None, outcome: Outcome, reason: str, now: datetime) -> Decision:
    """The record of a decision that no number made, such as of pods that fail."""
    return Decision(at=to_timestamp(now), revision=revision, step=step or 0, verdict=outcome, reason=reason)


def requested(
    request: Request, step: int | None, outcome: Outcome, now: datetime, reason: str = REQUESTED
) -> Decision:
    """The record of what somebody asked for."""
    done = other(request.revision, step, outcome, reason, now)
    return done.model_copy(update={"requested_by": request.requested_by})


def history(
    last: Decision | None, before: list[Decision] | None, new: Decision | None
) -> list[Decision] | None:
    """The decisions before the last one, the newest first."""
    if new is None or last is None:
        return before
    return [last, *(before or [])][:HISTORY]


def event(decision: Decision | None) -> tuple[Event, ...]:
    """The event of a decision; rollbacks and pauses are told by the condition Ready, which changes with them."""
    reason = None if decision is None else _EVENTS.get(decision.verdict)
    if decision is None or reason is None:
        return ()
    if decision.reason == REDONE:
        told = f"the undo was undone: revision {decision.revision} has the traffic again"
        return (Event("Normal", REDONE, f"{told}, {requester_phrase(decision.requested_by)}"),)
    told = decision.reason
    if decision.metric is not None:
        told += ": " + verdict_text(decision.metric, decision.value, decision.threshold, decision.samples)
    if decision.reason == REQUESTED:
        told = requester_phrase(decision.requested_by)
    if decision.verdict in {"Advance", "Promote"}:
        told = f"step {decision.step + 1} ended: {told}"
    return (Event("Normal", reason, told),)
