"""The verification of a model file that no run vouches for: how far its Job is, and what is done about it. Pure.

Only what the Job finds in the file itself is final. A file that is not there may come, and what the cluster does not
give may be given later: the Job is made again after a pause, and the failed one is kept for its log until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelwright.common import conditions
from modelwright.common.conditions import Summary, standing
from modelwright.common.settings import Settings
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created, deleting, uid
from modelwright.engine.plan import Delete, Effect
from modelwright.modelversion.facts import Facts, of_verification, rejected
from modelwright.modelversion.manifests import DEADLINE_SECONDS, STEP, previous_failure, verify_job
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
    """Nothing is known of the file yet: how that stands, what is done about it, and when to look again."""

    summary: Summary
    effects: tuple[Effect, ...] = ()
    requeue_at: datetime | None = None


def verification(observed: Observed, settings: Settings, now: datetime) -> Facts | Pending:
    """What the Job has found, or how far it is."""
    job = observed.job
    if job is None:
        return Pending(VERIFYING, (verify_job(observed, settings),))
    since = from_timestamp(created(observed.body))
    progress = follow(Work((STEP,), job, observed.pods, refused=observed.pods_refused, since=since), now)
    match progress:
        case Ended(results=results):
            return of_verification(results[STEP])
        case Failing(problem) | Failed(problem) if _is_final(problem):
            return rejected(problem)
        case Failed(problem):
            end = standing(job, "Failed") or standing(job, "Complete") or {}
            return _tried_again(observed, job, problem, next_try(end, since), settings, now)
        case Postponed(problem, again):
            return _tried_again(observed, job, problem, again, settings, now)
    requeue_at = progress.until if isinstance(progress, Ending) else None
    return Pending(_under_way(observed, job, progress), requeue_at=requeue_at)


def _is_final(problem: Problem) -> bool:
    """Whether the step has found out that this file can never be served."""
    return problem.permanent and not problem.missing and problem.reason != "DeadlineExceeded"


def _tried_again(
    observed: Observed, job: Body, problem: Problem, again: datetime, settings: Settings, now: datetime
) -> Pending:
    """The Job has failed and is made again at that time. The condition stands until the next Job has ended."""
    cause = _in_words(observed, problem)
    if deleting(job):
        return Pending(_waiting(cause))
    if now < again:
        return Pending(_waiting(cause), requeue_at=again)
    anew = (Delete(observed.job_key, uid(job)), verify_job(observed, settings, after=cause))
    return Pending(_waiting(cause), anew)


def _in_words(observed: Observed, problem: Problem) -> Problem:
    """Why the Job failed, and that this is not the end."""
    if problem.reason == "DeadlineExceeded":
        ready = next((c for c in observed.written_conditions if c["type"] == "Ready"), None)
        if ready is not None and ready["status"] == "False":  # what has kept the Job from ending stands there
            return Problem(ready["reason"], ready["message"])
        problem = Problem("DeadlineExceeded", f"the Job did not end within {DEADLINE_SECONDS} seconds")
    if problem.reason == "OutOfMemory":
        message = f"{STEP} used more memory than its limit: raise the operator's resources of training steps"
        problem = Problem("OutOfMemory", message)
    what = "it is looked for" if problem.missing else "the file is verified"
    return Problem(problem.reason, f"{problem.message.rstrip('.')}; {what} again with growing pauses")


def _of_the_claim(observed: Observed, problem: Problem) -> Problem:
    """A pod that waits for a claim that is not there waits for the file."""
    claim = claim_of(str(observed.artifact["uri"]))
    if f'persistentvolumeclaim "{claim}" not found' not in problem.message:
        return problem
    message = f"PersistentVolumeClaim {claim} of the file is not there; the file is verified once it is"
    return Problem("ArtifactNotFound", message)


def _under_way(observed: Observed, job: Body, progress: Progress) -> Summary:
    """How far the Job is. Until the next try has ended, the condition says what came of the one before."""
    if isinstance(progress, Starting) and progress.problem is not None:
        return _waiting(_of_the_claim(observed, progress.problem))
    if isinstance(progress, Suspended):
        message = f"Job {observed.job_name} is suspended (by a queue such as Kueue, or by hand)"
        return conditions.reconciling("Suspended", message)
    before = previous_failure(job)
    return VERIFYING if before is None else _waiting(before)


def _waiting(problem: Problem) -> Summary:
    return conditions.waiting(problem.reason, problem.message)
