"""The states of a run, and the summary of each. Pure.

A run is Pending until its Job exists, then Running, then in one of three terminal states. A run that waits for the
cluster or for its data is Pending again, with a reason, until it gets a new Job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from modelwright.api.gates import ChampionRef
from modelwright.api.rundocument import public
from modelwright.api.trainingjob import DataReport, Run
from modelwright.common import conditions
from modelwright.common.conditions import Summary, true_condition
from modelwright.common.report import NOTE_LENGTH, FetchReport, PublishReport, first_fault, with_notes
from modelwright.common.standing import AWAITING_APPROVAL, standing
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import Body, uid
from modelwright.trainingjob.observed import Observed
from modelwright.workload.following import (
    SPENT,
    Ended,
    Failing,
    Progress,
    Retrying,
    Running,
    Starting,
    Suspended,
    Work,
)
from modelwright.workload.podstatus import NEVER_STARTABLE, NOT_THERE, Problem
from modelwright.workload.refusals import refusal_problem

TERMINAL = {"Succeeded", "Failed", "Superseded", "Skipped"}
# Why fetch ends a run before training.
DATA_UNCHANGED = "DataUnchanged"
# Why a run is Pending whose Job waits in a queue of Kueue.
QUEUED = "Queued"
RUN_ANNOTATION = "modelwright.dev/run"
# Kubernetes takes 262,144 bytes of annotations; a few others are on the pod.
DOCUMENT_LIMIT = 250_000
STEPS = ("fetch", "train", "publish")
# Before them, where a container of the user's makes the data.
SOURCE_STEP = "source"
STEP_REASONS = {
    SOURCE_STEP: "Sourcing",
    "fetch": "Fetching",
    "train": "Training",
    "publish": "Publishing",
}


@dataclass(frozen=True)
class Published:
    """The result of a run, the run document that it was made from, and the uri of the data without secret parts.

    `dvc`: the path and the md5 of the data, if DVC tracks it.
    """

    report: PublishReport
    data: DataReport
    pod: Body
    document: Mapping[str, Any]
    source: str
    dvc: Mapping[str, Any] | None = None


def work(observed: Observed, run: Run) -> Work:
    """Returns the run's Job and what is known about it, as input of `follow`."""
    job = observed.job
    has_had_job = job is not None and run.state == "Pending" and run.job_uid == uid(job)
    is_postponed = has_had_job and run.reason != QUEUED
    return Work(
        steps=STEPS if job is None else steps_in(job),
        job=job,
        pods=observed.pods,
        refused=_refused(observed, run),
        existed=run.state == "Running" or is_queued(run),
        absent=observed.job_key(run) in observed.absent,
        step_began=run.step is not None,
        start_problem=_start_problem(observed, run),
        since=from_timestamp(run.start_time) if run.start_time else None,
        postponed=Problem(run.reason, run.message or "") if is_postponed and run.reason else None,
    )


def steps_in(job: Body) -> tuple[str, ...]:
    """The steps of the run that a Job was made for: the spec may have changed since."""
    pod = (job["spec"].get("template") or {}).get("spec") or {}
    made = any(each.get("name") == SOURCE_STEP for each in pod.get("initContainers") or ())
    return (SOURCE_STEP, *STEPS) if made else STEPS


def _refused(observed: Observed, run: Run) -> Problem | None:
    """Why the pods of the Job are refused; None if they are not."""
    if observed.failed_create is None:
        return None
    cause = refusal_problem(observed.failed_create)
    return Problem(cause.reason, f"the pods of Job {run.job} are refused: {cause.message}", cause.permanent)


def _start_problem(observed: Observed, run: Run) -> Problem | None:
    """What kept the run from starting, according to its last status."""
    ready = next((c for c in observed.written_conditions if c.get("type") == "Ready"), None)
    if ready is None or ready.get("status") != "False" or run.state != "Running":
        return None
    reason, message = str(ready.get("reason")), str(ready.get("message"))
    return Problem(reason, message.removeprefix(f"run {run.number}: "), permanent=reason in NEVER_STARTABLE)


def published(ended: Ended, job: Body) -> Published | Problem:
    """Returns the results of the steps, or how they violate the contract."""
    document = document_in(job)
    if document is None:
        return Problem("ResultUnreadable", "the Job holds no run document")
    try:
        report = PublishReport.model_validate(ended.results["publish"])
        fetched = FetchReport.model_validate(ended.results["fetch"])
    except ValidationError as error:
        return Problem("ResultUnreadable", f"the report of the run is unexpected at {first_fault(error)}")
    data = DataReport(
        digest=fetched.digest,
        input_digest=fetched.input_digest,
        marker=fetched.marker,
        train_rows=fetched.rows.train,
        holdout_rows=fetched.rows.holdout,
        notes=[note[: NOTE_LENGTH + 1] for note in fetched.notes] or None,
    )
    dvc = None if fetched.dvc is None else fetched.dvc.model_dump(mode="json")
    return Published(report, data, ended.pod, document, _source(job, document), dvc)


def document_in(job: Body) -> Mapping[str, Any] | None:
    """The run document of the Job; None if it has none. A Job that an earlier release made has it as a variable."""
    template = job["spec"].get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    try:
        document = json.loads(annotations.get(RUN_ANNOTATION) or _variable(job, "MODELWRIGHT_RUN") or "null")
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _source(job: Body, document: Mapping[str, Any]) -> str:
    """The uri that fetch reads, without what may be secret."""
    data = document.get("data")
    uri = data.get("uri", "") if isinstance(data, Mapping) else ""
    return public(_variable(job, "MODELWRIGHT_SOURCE") or str(uri))


def _variable(job: Body, name: str) -> str | None:
    """The value of an environment variable of the steps."""
    pod = (job["spec"].get("template") or {}).get("spec") or {}
    containers = (*(pod.get("initContainers") or ()), *(pod.get("containers") or ()))
    variables = (variable for container in containers for variable in container.get("env") or ())
    return next((str(v["value"]) for v in variables if v["name"] == name and v.get("value")), None)


def started(run: Run, job: Body, now: datetime) -> Run:
    """Returns the run in state Running: its Job exists, and says what the model is compared with."""
    if run.state != "Pending":
        return run
    document = document_in(job) or {}
    waited = {"reason": None, "message": None} if run.reason == QUEUED else {}
    return run.model_copy(
        update={
            **waited,
            "state": "Running",
            "job_uid": uid(job),
            "start_time": run.start_time or to_timestamp(now),
            "step": None,
            "champion": champion_in(document),
        }
    )


def champion_in(document: Mapping[str, Any]) -> ChampionRef | None:
    """Returns the version that a run document compares with; None if it names none that can be read."""
    named = document.get("champion")
    artifact = named.get("artifact") if isinstance(named, Mapping) else None
    if not isinstance(named, Mapping) or not isinstance(artifact, Mapping):
        return None
    return champion_named(named.get("name"), artifact.get("digest"))


def champion_named(name: object, digest: object) -> ChampionRef | None:
    """Returns the version that a run is compared with, as its status names it; None if it is no name or no digest."""
    try:
        return ChampionRef.model_validate({"name": name, "digest": digest})
    except ValidationError:
        return None


def is_queued(run: Run) -> bool:
    """True if the run has a Job that waits in a queue."""
    return run.state == "Pending" and run.reason == QUEUED


def queued(run: Run, job: Body, queue: str) -> Run:
    """Returns the run in state Pending, Queued: Kueue resumes its Job. Time in the queue is no time of the run."""
    message = (
        f"Job {run.job} waits in the queue {queue}; Kueue starts it when there is room. If it never does: look at "
        f"`kubectl describe workloads`, and whether Kueue and the LocalQueue {queue} of this namespace are there; "
        "without the label kueue.x-k8s.io/queue-name of this TrainingJob no queue is waited for"
    )
    return run.model_copy(
        update={"state": "Pending", "job_uid": uid(job), "step": None, "reason": QUEUED, "message": message}
    )


def at_step(run: Run, step: str) -> Run:
    """Returns the run at a step that runs.

    This clears the reason why it waited, unless it waited for what fetch looks for: only the end of fetch shows that
    the data, and the stores, can be used.
    """
    still_waits = step in {SOURCE_STEP, "fetch"} and ("fetch", run.reason) in NOT_THERE
    return run.model_copy(
        update={"step": step} if still_waits else {"step": step, "reason": None, "message": None}
    )


def postponed(run: Run, problem: Problem) -> Run:
    """Returns the run in state Pending, with the reason: it waits for a new Job."""
    message = problem.message
    if problem.missing:
        who = "fetch tries again" if message.startswith("fetch: ") else "the run is tried again"
        spent = ", and trains again each time" if message.startswith(SPENT) else ""
        message = f"{message.rstrip('.')}; {who} with growing pauses{spent}"
    return run.model_copy(
        update={"state": "Pending", "step": None, "reason": problem.reason, "message": message}
    )


def ended(run: Run, now: datetime, state: str, **parts: Any) -> Run:
    """Returns the run in a terminal state."""
    fields = {"reason": None, "message": None, **parts}
    return run.model_copy(update={"state": state, "completion_time": to_timestamp(now), **fields})


def is_unchanged(problem: Problem) -> bool:
    """True if fetch has found no other data than that of the last successful run."""
    return problem.reason == DATA_UNCHANGED and problem.message.startswith("fetch: ")


def summary_of_skipped(run: Run, real: Run | None, version: Body | None) -> Summary:
    """The summary when the newest run was skipped: that of the newest one that was not, with a note.

    `real`, `version`: that run, and its ModelVersion.
    """
    note = f"run {run.number} found no other data and trained nothing"
    if real is None or real.state == "Skipped":
        return conditions.done(DATA_UNCHANGED, note)
    summary = summary_of_ended(real, version)
    return replace(summary, message=f"{summary.message}; {note}")


def summary_of_ended(run: Run, version: Body | None = None) -> Summary:
    """The summary of a TrainingJob whose newest run has ended. `version`: the ModelVersion of the run."""
    if run.state == "Succeeded":
        message = f"run {run.number} made ModelVersion {run.model_version}"
        if version is not None and (held_back := _held_back(message, version)) is not None:
            return held_back
        if version is not None and (mark := true_condition(version, "Quarantined")) is not None:
            message = f"{message}, which is quarantined: {mark.get('message')}"
            return conditions.done("ModelQuarantined", message, warning=True)
        noted = with_notes(message, run.report or {}, (run.data and run.data.notes) or ())
        return conditions.done("RunSucceeded", noted)
    return conditions.stalled(run.reason or "RunFailed", f"run {run.number}: {run.message or 'failed'}")


def _held_back(message: str, version: Body) -> Summary | None:
    """The summary while gates, a lacking approval or a rejection keep the version from being Ready; else None."""
    stand = standing(version)
    if stand.is_withheld:
        message = f"{message}, which is not Ready: {stand.message}"
        if stand.stalled:
            return conditions.stalled(stand.reason, message)
        return replace(conditions.waiting(stand.reason, message), warning=stand.reason != AWAITING_APPROVAL)
    is_judged = version["spec"].get("gates") or version["spec"].get("approval")
    if stand.ready is None and is_judged:
        return conditions.reconciling("Judging", f"{message}, which is judged by its gates")
    return None


def summary_of_waiting(run: Run) -> Summary:
    """The summary while the newest run has no Job, or nothing is known of its Job."""
    if run.reason is not None:
        return conditions.waiting(run.reason, f"run {run.number}: {run.message}")
    if run.state == "Pending":
        return conditions.reconciling("RunPending", f"run {run.number} starts")
    return conditions.reconciling("RunStarted", f"run {run.number}: Job {run.job} starts its pod")


def _summary_of_suspended(run: Run) -> Summary:
    if is_queued(run):
        return conditions.reconciling(QUEUED, f"run {run.number}: {run.message}")
    message = f"run {run.number}: Job {run.job} is suspended (by a queue such as Kueue, or by hand)"
    return conditions.reconciling("Suspended", message)


def summary_of_progress(run: Run, progress: Progress, needs: str | None = None) -> Summary:
    """The summary while the Job of the newest run has not ended. `needs`: what its pod waits for if it is not there."""
    match progress:
        case Starting(None) if needs is not None and run.reason is None:
            message = f"run {run.number}: Job {run.job} starts its pod, which needs the {needs}"
            return conditions.reconciling("RunStarted", message)
        case Starting(Problem() as problem) | Failing(problem):
            return conditions.waiting(problem.reason, f"run {run.number}: {problem.message}")
        case Retrying(problem):
            return conditions.waiting("Retrying", f"run {run.number} is tried again after {problem.message}")
        case Suspended():
            return _summary_of_suspended(run)
        case Running(step) if run.reason is None:
            return conditions.reconciling(STEP_REASONS[step], f"run {run.number}: step {step}")
        case _:
            return summary_of_waiting(run)
