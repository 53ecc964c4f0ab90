"""What is known about a ModelVersion when its next step is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.common.primary import Primary, refusals_of
from modelwright.common.resources import (
    JOBS,
    TRAINING_JOBS,
    controlled,
    name,
    pods_of_job,
)
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key
from modelwright.workload.podstatus import newest_first


@dataclass(frozen=True)
class Observed(Primary):
    """The ModelVersion, the run that says it made it, and the Job that verifies it."""

    run: Mapping[str, Any] | None
    job: Body | None
    pods: tuple[Body, ...]

    @property
    def spec(self) -> Mapping[str, Any]:
        """The fact."""
        spec: Mapping[str, Any] = self.body["spec"]
        return spec

    @property
    def artifact(self) -> Mapping[str, Any]:
        """The model file."""
        artifact: Mapping[str, Any] = self.spec["artifact"]
        return artifact

    @property
    def settled(self) -> bool:
        """Whether the verdict is in: the spec never changes, so neither does it."""
        found = self.written_conditions
        return any(c["type"] == "Ready" and c["status"] == "True" for c in found) or any(
            c["type"] == "Stalled" for c in found
        )


def job_name(version: str) -> str:
    """The Job that verifies a ModelVersion."""
    return f"{version}-verify"


def observe(view: View, key: Key) -> Observed | None:
    """Gathers what the planner needs; None when the ModelVersion is not there."""
    body = view.get(key)
    if body is None:
        return None
    jobs = controlled(view, JOBS, body)
    job = next((job for job in jobs if name(job) == job_name(key.name)), None)
    pods = newest_first(pods_of_job(view, body, job))
    run = _run(view, key, body["spec"])
    return Observed(body, run, job, tuple(pods), refusals=refusals_of(view, key))


def _run(view: View, key: Key, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run that the lineage names, as the TrainingJob's status tells of it."""
    lineage = spec.get("lineage") or {}
    if "trainingJob" not in lineage:
        return None
    job = view.get(Key(TRAINING_JOBS, key.namespace, lineage["trainingJob"])) or {}
    run: Mapping[str, Any] | None = (job.get("status") or {}).get("run")
    return run if run and run.get("number") == lineage.get("run") and run.get("job") == key.name else None
