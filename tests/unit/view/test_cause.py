"""Why a run was started, as cards say it."""

from __future__ import annotations

import pytest

from modelwright.api.triggers import Cause
from modelwright.view.cause import phrase

AT = "2026-01-01T02:00:00Z"
DRIFT = {
    "service": "churn",
    "windowStart": AT,
    "feature": "plan",
    "statistic": "psi",
    "value": 0.31,
    "threshold": 0.1,
}
SCORE = {"service": "churn", "metric": "accuracy", "value": 0.7}


@pytest.mark.parametrize(
    ("trigger", "evidence", "said"),
    [
        ("SpecChange", None, "a change of the recipe"),
        ("Schedule", {"scheduleTime": AT}, f"the schedule ({AT})"),
        ("DataChange", {"marker": "a1"}, "a change of the data"),
        ("Drift", DRIFT, f"drift at InferenceService churn (psi of plan 0.31, limit 0.1, window of {AT})"),
        ("Score", SCORE, "a score beyond its limit at InferenceService churn (accuracy 0.7)"),
        ("Manual", {"requestedBy": "ada"}, "a request by hand (by ada)"),
        ("Manual", {"token": "t"}, "a request by hand"),
    ],
)
def test_a_cause_is_a_phrase(trigger: str, evidence: dict[str, object] | None, said: str) -> None:
    assert phrase(Cause.model_validate({"trigger": trigger, "at": AT, "evidence": evidence})) == said
