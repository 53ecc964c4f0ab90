"""What was decided of a canary, and by which number, as sentences. Pure."""

from __future__ import annotations

from modelwright.api.requests import asked_for
from modelwright.view.format import count, number, percent
from modelwright.view.model import Decision, InferenceService

METRICS = {
    "errorRate": ("failed requests", percent),
    "agreement": ("agreeing labels", percent),
    "p99Seconds": ("99th percentile", lambda seconds: f"{number(seconds)} s"),
    "p50Seconds": ("median", lambda seconds: f"{number(seconds)} s"),
    "difference": ("difference of 99 of 100 numbers", number),
    "nonFinite": ("answers that are NaN or infinite", number),
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

# Decisions about the whole traffic, which no step has to do with.
WHOLE = {
    "Undone": "was undone: the revision before has the traffic",
    "Redone": "has the traffic again: its undo was undone",
}


def sentence(decision: Decision, seen: InferenceService) -> str:
    """What was decided, at which step, and why."""
    name = _name(decision, seen)
    by = f", {asked_for(decision.requested_by)}" if decision.requested_by else ""
    if decision.reason in WHOLE:
        return f"{name} {WHOLE[decision.reason]}{by}"
    verdict = VERDICTS.get(decision.verdict, decision.verdict)
    return f"{name} {verdict} at step {decision.step + 1}: {decision.reason}{by}{_numbers(decision)}"


def before(decision: Decision, seen: InferenceService) -> str:
    """The same, with its moment."""
    return f"{decision.at}  {sentence(decision, seen)}"


def _name(decision: Decision, seen: InferenceService) -> str:
    """The version of the revision that it was about, if that is still known."""
    status = seen.status
    parts = (status.stable, status.canary, status.retired, *status.rejected)
    version = next((part.version for part in parts if part and part.revision == decision.revision), None)
    return version or f"revision {decision.revision}"


def _numbers(decision: Decision) -> str:
    if decision.metric is None:
        return ""
    name, write = METRICS.get(decision.metric, (decision.metric, number))
    value = "unknown" if decision.value is None else write(decision.value)
    limit = "" if decision.threshold is None else f", limit {write(decision.threshold)}"
    return f" ({name} {value}{limit}, {count(decision.samples, 'sample')})"
