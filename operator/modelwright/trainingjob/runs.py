"""Follows one run: what state it is in, given its Job, its pods and its ModelVersion. Pure.

A terminal state stays, whatever happens to the Job: this looks only at runs that are not terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modelwright.api.trainingjob import DataReport, Run
from modelwright.common.conditions import standing
from modelwright.common.report import FetchReport, PublishReport, first_fault
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body, uid
from modelwright.trainingjob.observed import Observed
from modelwright.workload.jobs import due
from modelwright.workload.podstatus import Problem, failure, obstacle, running_step, step_result

TERMINAL = {"Succeeded", "Failed", "Superseded"}
STEPS = ("fetch", "train", "publish")


@dataclass(frozen=True)
class Published:
    """A run whose pod ended well: what it made."""

    report: PublishReport
    data: DataReport
    pod: Body


@dataclass(frozen=True)
class Step:
    """A run that goes on: where it is, what holds it up, and why its last attempt failed, if it is not the first."""

    name: str | None = None
    problem: Problem | None = None
    failed: Problem | None = None


Progress = Published | Problem | Step


def progress(observed: Observed, run: Run, now: datetime) -> Progress:
    """How far the run is."""
    job = observed.job
    if job is None:
        return _without_job(run)
    if complete := standing(job, "Complete"):
        return _completed(observed, complete, now)
    if failed := standing(job, "Failed"):
        return _failed(observed, failed, now)
    return _under_way(observed)


def _without_job(run: Run) -> Progress:
    if run.state == "Pending":
        return Step()
    return Problem("JobDeleted", f"Job {run.job} was deleted while it ran; change the spec to run again")


def _completed(observed: Observed, complete: Mapping[str, Any], now: datetime) -> Progress:
    for pod in observed.pods:
        words = step_result(pod, "publish")
        if words:
            return _published(pod, words)
    if _recent(complete, now):
        return Step("publish")
    return Problem(
        "ResultLost", "the pod was deleted before its result was read; change the spec to run again"
    )


def _published(pod: Body, words: Mapping[str, Any]) -> Progress:
    fetched = step_result(pod, "fetch") or {}
    try:
        report = PublishReport.model_validate(words)
        found = FetchReport.model_validate(fetched)
    except ValidationError as error:
        return Problem("ResultUnreadable", f"the report of the run is unexpected at {first_fault(error)}")
    data = DataReport(digest=found.digest, train_rows=found.rows.train, holdout_rows=found.rows.holdout)
    return Published(report, data, pod)


def _failed(observed: Observed, failed: Mapping[str, Any], now: datetime) -> Progress:
    words = next((problem for pod in observed.pods if (problem := failure(pod))), None)
    if failed.get("reason") == "DeadlineExceeded":
        seconds = (observed.job or {}).get("spec", {}).get("activeDeadlineSeconds")
        message = f"the run took longer than activeDeadlineSeconds: {seconds}{_held_up(observed)}"
        return Problem("DeadlineExceeded", message, permanent=True)
    if words is not None:
        return words
    if _recent(failed, now):
        return Step()
    return Problem(
        str(failed.get("reason") or "JobFailed"),
        f"the Job failed: {failed.get('message', 'no reason given')}",
    )


def _held_up(observed: Observed) -> str:
    """What was in the way when the deadline came; the Job's pods are gone by then, the condition still tells."""
    ready = next((c for c in observed.status.conditions if c.type == "Ready"), None)
    return f"; {ready.message}" if ready is not None and ready.status == "False" else ""


def _under_way(observed: Observed) -> Step:
    if not observed.pods:
        return Step()
    pod = observed.pods[0]
    failed = next((problem for each in observed.pods if (problem := failure(each))), None)
    name = None if failure(pod) else running_step(pod) or _last_done(pod)
    return Step(name, obstacle(pod), failed)


def _last_done(pod: Body) -> str | None:
    """Between two steps: the one that comes next."""
    ended = [step for step in STEPS if step_result(pod, step) is not None]
    return STEPS[min(len(ended), len(STEPS) - 1)] if ended else None


def _recent(condition: Mapping[str, Any], now: datetime) -> bool:
    return now < due(condition)


def started(run: Run, job: Body, now: datetime) -> Run:
    """The run, once its Job is there."""
    if run.state != "Pending":
        return run
    return run.model_copy(update={"state": "Running", "job_uid": uid(job), "start_time": to_timestamp(now)})


def ended(run: Run, now: datetime, state: str, **parts: Any) -> Run:
    """The run in a terminal state."""
    return run.model_copy(update={"state": state, "completion_time": to_timestamp(now), **parts})
