"""Verifies a model file which no run has verified, by a Job. Pure.

Only a problem of the file itself is final. If the file does not exist yet, or the cluster cannot run the Job, a new Job
is created after a pause. Until then the failed one is kept for its log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelwright.common import conditions
from modelwright.common.conditions import Summary, true_condition
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created, deleting, uid
from modelwright.engine.plan import Delete, Effect
from modelwright.modelversion.facts import Facts, facts_of_failure, facts_of_verification
from modelwright.modelversion.manifests import (
    DEADLINE_SECONDS,
    STEP,
    has_another_store,
    previous_failure,
    steps_of,
    verify_job,
)
from modelwright.modelversion.observed import Observed
from modelwright.workload.following import (
    Ended,
    Ending,
    Failed,
    Failing,
    Postponed,
    Progress,
    Starting,
    Suspended,
    Work,
    follow,
    next_try,
)
from modelwright.workload.podstatus import Problem
from modelwright.workload.store import claim_of

VERIFYING = conditions.reconciling("Verifying", "a Job verifies the model file")


@dataclass(frozen=True)
class Pending:
    """The facts are not known yet: the summary, the effects, and when to reconcile again."""

    summary: Summary
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None


def verification(observed: Observed, settings: Settings, now: datetime) -> Facts | Pending:
    """Returns the facts from the report of the Job; Pending while there is none."""
    job = observed.job
    if job is None:
        return Pending(VERIFYING, (verify_job(observed, settings),))
    since = from_timestamp(created(observed.body))
    progress = follow(
        Work(steps_of(observed), job, observed.pods, refused=observed.pods_refused, since=since), now
    )
    match progress:
        case Ended(results=results):
            return facts_of_verification(results[STEP], observed.spec)
        case Failing(problem) | Failed(problem) if _is_final(problem):
            return facts_of_failure(problem)
        case Failed(problem):
            end = true_condition(job, "Failed") or true_condition(job, "Complete") or {}
            return _retry(observed, job, problem, next_try(end, since), settings, now)
        case Postponed(problem, retry_at):
            return _retry(observed, job, problem, retry_at, settings, now)
    requeue_at = progress.until if isinstance(progress, Ending) else None
    return Pending(_under_way(observed, job, progress), requeue_at=requeue_at)


def _is_final(problem: Problem) -> bool:
    """True if the step reports that this file can never be served."""
    return problem.permanent and not problem.missing and problem.reason != "DeadlineExceeded"


def _retry(
    observed: Observed, job: Body, problem: Problem, retry_at: datetime, settings: Settings, now: datetime
) -> Pending:
    """Replaces a failed Job by a new one at `retry_at`, or once the spec says how else the store is reached.

    The conditions keep the cause of the failure until the new Job has ended.
    """
    cause = _cause(observed, problem)
    if deleting(job):
        return Pending(_waiting(cause))
    if now < retry_at and not has_another_store(observed, job):
        return Pending(_waiting(cause), requeue_at=retry_at)
    replacement = (Delete(observed.job_key, uid(job)), verify_job(observed, settings, after=cause))
    return Pending(_waiting(cause), replacement)


def _cause(observed: Observed, problem: Problem) -> Problem:
    """Why the Job failed, with a message which says that it is tried again."""
    if problem.reason == "DeadlineExceeded":
        ready = next((c for c in observed.written_conditions if c["type"] == "Ready"), None)
        if ready is not None and ready["status"] == "False":  # it holds what kept the Job from ending
            return Problem(ready["reason"], ready["message"])
        problem = Problem("DeadlineExceeded", f"the Job did not end within {DEADLINE_SECONDS} seconds")
    if problem.reason == "OutOfMemory":
        step = problem.message.partition(" ")[0].rstrip(":")
        used = f"{step if step in steps_of(observed) else STEP} used more memory than its limit"
        problem = Problem("OutOfMemory", f"{used}: raise the operator's resources of training steps")
    action = "it is looked for" if problem.missing else "the file is verified"
    return Problem(problem.reason, f"{problem.message.rstrip('.')}; {action} again with growing pauses")


def _claim_not_found(observed: Observed, problem: Problem) -> Problem:
    """The problem as ArtifactNotFound or DataNotFound if the pod waits for a claim that does not exist; else
    unchanged."""
    data = str((observed.spec.get("evaluate") or {}).get("uri"))
    claims = {claim_of(str(observed.artifact["uri"])): ("ArtifactNotFound", "file")}
    claims.setdefault(claim_of(data), ("DataNotFound", "data to evaluate on"))
    for claim, (reason, what) in claims.items():
        if claim is not None and f'persistentvolumeclaim "{claim}" not found' in problem.message:
            message = (
                f"PersistentVolumeClaim {claim} of the {what} is not there; the file is verified once it is"
            )
            return Problem(reason, message)
    return problem


def _under_way(observed: Observed, job: Body, progress: Progress) -> Summary:
    """The summary of a Job that has not ended. After a failed Job it keeps the cause of that failure."""
    if isinstance(progress, Starting) and progress.problem is not None:
        return _waiting(_claim_not_found(observed, progress.problem))
    if isinstance(progress, Suspended):
        message = f"Job {observed.job_name} is suspended (by a queue such as Kueue, or by hand)"
        return conditions.reconciling("Suspended", message)
    failure = previous_failure(job)
    return VERIFYING if failure is None else _waiting(failure)


def _waiting(problem: Problem) -> Summary:
    return conditions.waiting(problem.reason, problem.message)
