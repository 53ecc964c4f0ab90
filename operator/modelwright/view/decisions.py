"""What was decided of a canary, and by which number, as sentences. Pure."""

from __future__ import annotations

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
    "Rollback": "was rolled back",
}


def sentence(decision: Decision, seen: InferenceService) -> str:
    """What was decided, at which step, and why."""
    verdict = VERDICTS.get(decision.verdict, decision.verdict)
    return f"{_name(decision, seen)} {verdict} at step {decision.step + 1}: {decision.reason}{_numbers(decision)}"


def before(decision: Decision, seen: InferenceService) -> str:
    """The same, with its moment."""
    return f"{decision.at}  {sentence(decision, seen)}"


def _name(decision: Decision, seen: InferenceService) -> str:
    """The version of the revision that it was about, if that is still known."""
    status = seen.status
    parts = (status.stable, status.canary, status.retired)
    version = next((part.version for part in parts if part and part.revision == decision.revision), None)
    return version or f"revision {decision.revision}"


def _numbers(decision: Decision) -> str:
    if decision.metric is None:
        return ""
    name, write = METRICS.get(decision.metric, (decision.metric, number))
    value = "unknown" if decision.value is None else write(decision.value)
    limit = "" if decision.threshold is None else f", limit {write(decision.threshold)}"
    return f" ({name} {value}{limit}, {count(decision.samples, 'sample')})"
