"""What is known about a TrainingJob when its next step is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelwright.api.trainingjob import Run, TrainingJobStatus
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.resources import (
    JOBS,
    MODEL_VERSIONS,
    TRAINING_JOB,
    controlled,
    name,
    pods_of_job,
)
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, labels
from modelwright.workload.podstatus import newest_first


@dataclass(frozen=True)
class Observed(Primary):
    """The TrainingJob and what came of it so far."""

    jobs: tuple[Body, ...]
    pods: tuple[Body, ...]
    version: Body | None
    highest_run: int

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as the user wrote it, with the API server's defaults."""
        spec: Mapping[str, Any] = self.body["spec"]
        return spec

    @property
    def model(self) -> str:
        """The family."""
        return str(self.spec.get("model") or self.name)

    @cached_property
    def status(self) -> TrainingJobStatus:
        """The status as it was written last."""
        return TrainingJobStatus.model_validate(self.written_status)

    @property
    def run(self) -> Run | None:
        """The newest run."""
        return self.status.run

    @cached_property
    def job(self) -> Body | None:
        """The Job of the newest run."""
        return next((job for job in self.jobs if self.run and name(job) == self.run.job), None)


def observe(view: View, key: Key) -> Observed | None:
    """Gathers what the planner needs; None when the TrainingJob is not there."""
    body = view.get(key)
    if body is None:
        return None
    jobs = tuple(controlled(view, JOBS, body))
    versions = [
        version
        for version in view.all(MODEL_VERSIONS, key.namespace)
        if labels(version).get(TRAINING_JOB) == key.name
    ]
    run = (body.get("status") or {}).get("run") or {}
    job = next((job for job in jobs if name(job) == run.get("job")), None)
    version = view.get(Key(MODEL_VERSIONS, key.namespace, run["job"])) if run else None
    return Observed(
        body=body,
        jobs=jobs,
        pods=tuple(newest_first(pods_of_job(view, body, job))),
        version=version,
        highest_run=max((_run_of(version) for version in versions), default=0),
        refusals=refusals_of(view, key),
    )


def _run_of(version: Body) -> int:
    """The run that made a ModelVersion; 0 for one that no run made."""
    return int((version["spec"].get("lineage") or {}).get("run") or 0)
