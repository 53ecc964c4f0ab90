"""Describes the decisions of a rollout, and the numbers behind them, as sentences. Pure."""

from __future__ import annotations

from modelwright.api.phrases import counted
from modelwright.api.requests import requester_phrase
from modelwright.view.format import duration, number, percent
from modelwright.view.model import Decision, InferenceService

METRICS = {
    "errorRate": ("failed requests", percent),
    "refusalRate": ("refused requests", percent),
    "agreement": ("agreeing labels", percent),
    "p99Seconds": ("99th percentile", duration),
    "p50Seconds": ("median", duration),
    "difference": ("difference of 99 of 100 answers", number),
    "nonFinite": ("answers with NaN or infinity", percent),
    "scoreDrop": ("drop of the score by feedback", number),
    "predictionShift": ("shift of predictions", percent),
    "restarts": ("restarts", number),
    "requests": ("requests", number),
}
VERDICTS = {
    "Advance": "went on to the next step",
    "Promote": "has passed, and takes over",
    "Pause": "was paused",
    "Resume": "goes on",
    "Retry": "is tried again",
    "Rollback": "was rolled back",
}

# Decisions about the whole traffic, which belong to no step.
WHOLE = {
    "Undone": "was undone: the revision before has the traffic",
    "Redone": "has the traffic again: its undo was undone",
}


def sentence(decision: Decision, service: InferenceService) -> str:
    """Returns what was decided, at which step, and why."""
    name = _name(decision, service)
    by = f", {requester_phrase(decision.requested_by)}" if decision.requested_by else ""
    if decision.reason in WHOLE:
        return f"{name} {WHOLE[decision.reason]}{by}"
    verdict = VERDICTS.get(decision.verdict, decision.verdict)
    return f"{name} {verdict} at step {decision.step + 1}: {decision.reason}{by}{_numbers(decision)}"


def dated(decision: Decision, service: InferenceService) -> str:
    """Returns the sentence after the time of the decision."""
    return f"{decision.at}  {sentence(decision, service)}"


def _name(decision: Decision, service: InferenceService) -> str:
    """The version of the revision that was decided about; the revision itself if the status no longer names it."""
    status = service.status
    revisions = (status.stable, status.canary, status.retired, *status.rejected)
    version = next((each.version for each in revisions if each and each.revision == decision.revision), None)
    return version or f"revision {decision.revision}"


def _numbers(decision: Decision) -> str:
    if decision.metric is None:
        return ""
    name, write = METRICS.get(decision.metric, (decision.metric, number))
    value = "unknown" if decision.value is None else write(decision.value)
    limit = "" if decision.threshold is None else f", limit {write(decision.threshold)}"
    return f" ({name} {value}{limit}, {counted(decision.samples)})"
