"""Why a run was started, as a phrase. Pure."""

from __future__ import annotations

from modelwright.api.triggers import Cause, Evidence

_PHRASES = {
    "SpecChange": "a change of the recipe",
    "Schedule": "the schedule",
    "DataChange": "a change of the data",
    "Drift": "drift",
    "Score": "a score beyond its limit",
    "Manual": "a request by hand",
}


def phrase(cause: Cause) -> str:
    """Returns the cause with its evidence: "drift at InferenceService churn (psi of plan 0.31, limit 0.1)"."""
    found = _PHRASES[cause.trigger]
    return f"{found}{_evidence(cause.evidence)}" if cause.evidence is not None else found


def _evidence(evidence: Evidence) -> str:
    where = f" at InferenceService {evidence.service}" if evidence.service else ""
    what = f"{evidence.statistic} of {evidence.feature}" if evidence.feature else evidence.metric
    numbers = [
        f"{what} {evidence.value:.3g}" if what and evidence.value is not None else None,
        f"limit {evidence.threshold:.3g}" if evidence.threshold is not None else None,
        f"window of {evidence.window_start}" if evidence.window_start else None,
        evidence.schedule_time,
        f"by {evidence.requested_by}" if evidence.requested_by else None,
    ]
    said = ", ".join(each for each in numbers if each)
    return f"{where} ({said})" if said else where
