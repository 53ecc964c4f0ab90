"""Records decisions about a canary in the status, and as events. Pure."""

from __future__ import annotations

from datetime import datetime

from modelwright.api.inferenceservice import CanaryRevision, Decision
from modelwright.api.requests import Request, requester_phrase
from modelwright.checks.verdict import verdict_text
from modelwright.common.standing import WITHHELD
from modelwright.common.times import to_timestamp
from modelwright.engine.plan import Event
from modelwright.inferenceservice.rollout.steps import SCALED_TO_ZERO, Judged, Outcome

# The most decisions that status.history keeps.
HISTORY = 20

_EVENTS = {
    "Advance": "CanaryAdvanced",
    "Promote": "CanaryPromoted",
    "Pause": "CanaryPaused",
    "Resume": "CanaryResumed",
    "Retry": "RevisionRetried",
}
# Reasons of decisions that were made by request.
REQUESTED, REDONE = "Requested", "Redone"


def measured(canary: CanaryRevision, judged: Judged, now: datetime) -> Decision:
    """The record of a decision that follows from a verdict."""
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
    """The record of a decision without a verdict, such as one for pods that fail."""
    return Decision(at=to_timestamp(now), revision=revision, step=step or 0, verdict=outcome, reason=reason)


def requested(
    request: Request, step: int | None, outcome: Outcome, now: datetime, reason: str = REQUESTED
) -> Decision:
    """The record of a decision by request."""
    decision = other(request.revision, step, outcome, reason, now)
    return decision.model_copy(update={"requested_by": request.requested_by})


def history(
    last: Decision | None, before: list[Decision] | None, new: Decision | None
) -> list[Decision] | None:
    """Returns status.history: the decisions before the last one, the newest first."""
    if new is None or last is None:
        return before
    return [last, *(before or [])][:HISTORY]


def event(decision: Decision | None) -> tuple[Event, ...]:
    """The event of a decision. A rollback because of the canary has none here: the change of Ready makes one."""
    if decision is not None and decision.verdict == "Rollback" and decision.reason in WITHHELD:
        message = f"revision {decision.revision}: its ModelVersion is no longer Ready: {decision.reason}"
        return (Event("Warning", "CanaryWithdrawn", message),)
    reason = None if decision is None else _EVENTS.get(decision.verdict)
    if decision is None or reason is None:
        return ()
    if decision.reason == REDONE:
        message = f"the undo was undone: revision {decision.revision} has the traffic again"
        return (Event("Normal", REDONE, f"{message}, {requester_phrase(decision.requested_by)}"),)
    if decision.reason == SCALED_TO_ZERO:
        message = f"spec.replicas is 0: revision {decision.revision} takes over without having been tried"
        return (Event("Normal", reason, message),)
    message = decision.reason
    if decision.metric is not None:
        message += ": " + verdict_text(decision.metric, decision.value, decision.threshold, decision.samples)
    if decision.reason == REQUESTED:
        message = requester_phrase(decision.requested_by)
    if decision.verdict in {"Advance", "Promote"}:
        message = f"step {decision.step + 1} ended: {message}"
    return (Event("Normal", reason, message),)
