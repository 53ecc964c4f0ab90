"""Objects whose status has something of everything that gauges show."""

from __future__ import annotations

from typing import Any

from unit.given.crds import defects
from unit.given.resources import TrainingJob, a_served_version
from unit.given.world import World

FOUND: dict[str, Any] = {
    "version": "churn-1",
    "windowStart": "2026-01-01T00:00:00Z",
    "windowSeconds": 3600,
    "rows": 1200,
    "requests": 600,
    "verdict": "Drifted",
    "worst": [
        {"feature": "plan", "statistic": "psi", "value": 0.31, "threshold": 0.04},
        {"feature": "plan", "statistic": "psi", "value": 0.2, "threshold": 0.04},
        {"feature": "age", "statistic": "location", "value": 0.5, "threshold": 0.2},
    ],
    "estimated": {"accuracy": 0.74},
    "scores": [
        {"name": "roc_auc", "value": 0.8, "min": 0.85, "verdict": "Fail"},
        {"name": "f1", "verdict": "Inconclusive"},
    ],
    "feedback": {
        "counted": 40,
        "duplicate": 0,
        "forged": 3,
        "expired": 0,
        "unknownLabel": 1,
        "state": "Ready",
    },
}


def monitored(**more: Any) -> World:
    """churn-1 serves, and this was found of it."""
    service = a_served_version(monitoring={"drift": {}})
    found = {**FOUND, **more}
    assert defects("inferenceservices", "status", {"monitoring": found}) == []
    conditions = [
        {"type": "DriftDetected", "status": "True", "reason": "FeatureDrift"},
        {"type": "ScoreBelowTarget", "status": "False", "reason": "AboveTarget"},
        {"type": "Available", "status": "False", "reason": "NoReadyPods"},
    ]
    service.world.edit(service.key, status={"monitoring": found, "conditions": conditions})
    return service.world


def decided(job: TrainingJob) -> TrainingJob:
    """This was decided on a job."""
    decision = {
        "at": "2026-01-01T00:00:00Z", "trigger": "Drift", "outcome": "Skipped", "reason": "Cooldown", "message": "no",
    }  # fmt: skip
    found = {"lastDecision": decision, "nextScheduleTime": "2026-01-05T03:00:00Z", "failuresInARow": 2}
    assert defects("trainingjobs", "status", {"triggers": found}) == []
    job.world.edit(job.key, status={"triggers": found})
    return job
