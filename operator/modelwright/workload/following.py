"""Follows a Job: computes the progress of the work that it does. One way for every kind. Pure.

Work fails for good only because of its own steps. If the cluster cannot run it (a quota refuses the pods, or there is
no node, image or claim), or its input does not exist yet, it is postponed: a new Job is to replace this one after a
pause. The pauses grow with the time since the first try, and with what a try has spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.common.conditions import true_condition
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created, deleting
from modelwright.workload.podstatus import (
    Problem,
    disrupted,
    failure,
    has_begun,
    obstacle,
    running_step,
    step_result,
)
from modelwright.workload.podtemplate import queue_of

# Jobs and pods come from different watches: how long to wait for the pods of a Job that has ended.
PODS_LAG = timedelta(seconds=20)
SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)
# The message of a problem of `publish` begins so: all steps before it, the training too, are done again.
SPENT = "publish: "
# The pause after such a problem, in times of what the Job took, and the longest one.
PAUSE_AFTER_TRAINING = 2
LONGEST_AFTER_TRAINING = timedelta(hours=24)


@dataclass(frozen=True)
class Work:
    """A Job and what is known about it.

    Observed now:
    `steps`: its containers, in the order in which they run; the result of the last one is the result of the Job.
    `pods`: the pods of this Job, the newest first.
    `refused`: why the API server refuses its pods; None if it does not.
    `absent`: the API server confirms that the Job does not exist.

    Observed earlier, from the status:
    `existed`: the Job existed.
    `step_began`: a step ran.
    `start_problem`: what kept its pod from starting.
    `since`: when the work was first tried; None for the creation of this Job.
    `postponed`: why the work goes on after the failure of this Job.
    """

    steps: Sequence[str]
    job: Body | None
    pods: Sequence[Body] = ()
    refused: Problem | None = None
    existed: bool = False
    absent: bool = False
    step_began: bool = False
    start_problem: Problem | None = None
    since: datetime | None = None
    postponed: Problem | None = None


@dataclass(frozen=True)
class NotMade:
    """The Job does not exist yet."""


@dataclass(frozen=True)
class NotSeen:
    """The Job existed and is not in the cache. The effect `Confirm` checks whether it still exists."""


@dataclass(frozen=True)
class Deleted:
    """The Job was deleted before it ended."""


@dataclass(frozen=True)
class Suspended:
    """The Job is suspended: it gets no pods until it is resumed. `queue`: the one of Kueue that resumes it."""

    queue: str | None = None


@dataclass(frozen=True)
class Starting:
    """No step runs yet. `problem`: what prevents it, if that is known."""

    problem: Problem | None = None


@dataclass(frozen=True)
class Running:
    """A step runs, or is the next one in a pod that has finished others."""

    step: str


@dataclass(frozen=True)
class Retrying:
    """A pod failed; the Job creates another one."""

    problem: Problem


@dataclass(frozen=True)
class Failing:
    """A pod failed, and the Job creates no other; its condition Failed is not set yet."""

    problem: Problem


@dataclass(frozen=True)
class Ending:
    """The Job has ended, but its ended pods are not in the cache. `until`: how long to wait for them."""

    until: datetime
    complete: bool


@dataclass(frozen=True)
class Ended:
    """All steps succeeded. `results`: the result of each step; empty if it reported none."""

    pod: Body
    results: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Failed:
    """The work failed for good."""

    problem: Problem


@dataclass(frozen=True)
class Postponed:
    """The Job failed because of the cluster, or because its input does not exist yet.

    `retry_at`: when to replace it by a new one. Until then it is kept for its logs.
    """

    problem: Problem
    retry_at: datetime


Progress = (
    NotMade
    | NotSeen
    | Deleted
    | Suspended
    | Starting
    | Running
    | Retrying
    | Failing
    | Ending
    | Ended
    | Failed
    | Postponed
)


def follow(work: Work, now: datetime) -> Progress:
    """Returns the progress of the work."""
    if work.job is None:
        if not work.existed:
            return NotMade()
        return Deleted() if work.absent else NotSeen()
    if complete := true_condition(work.job, "Complete"):
        return _completed(work, complete, now)
    if failed := true_condition(work.job, "Failed"):
        return _failed(work, work.job, failed, now)
    if work.job["spec"].get("suspend") or true_condition(work.job, "Suspended"):
        return Suspended(queue_of(work.job))
    return _under_way(work, work.job)


def _completed(work: Work, complete: Mapping[str, Any], now: datetime) -> Progress:
    for pod in work.pods:
        if step_result(pod, work.steps[-1]):
            return Ended(pod, {step: step_result(pod, step) or {} for step in work.steps})
    if now < _pods_due(complete):
        return Ending(_pods_due(complete), complete=True)
    return Failed(Problem("ResultLost", "the pod was deleted before its result was read"))


def _failed(work: Work, job: Body, failed: Mapping[str, Any], now: datetime) -> Progress:
    if work.postponed is not None:
        return _postponed(work, job, failed, work.postponed)
    if failed.get("reason") == "DeadlineExceeded":
        return _deadline_exceeded(work, job, failed)
    problem = next((cause for pod in work.pods if (cause := failure(pod))), None)
    if problem is not None:
        return _postponed(work, job, failed, problem) if problem.missing else Failed(problem)
    if now < _pods_due(failed):
        return Ending(_pods_due(failed), complete=False)
    reason = str(failed.get("reason") or "JobFailed")
    return Failed(Problem(reason, f"the Job failed: {failed.get('message') or 'no reason given'}"))


def _deadline_exceeded(work: Work, job: Body, failed: Mapping[str, Any]) -> Progress:
    """The progress of a Job that exceeded its deadline: the work failed if a step ran or the cause is permanent, else
    it is postponed.

    The Job's controller has deleted the running pod, so what is known of it was observed earlier.
    """
    late = f"it took longer than activeDeadlineSeconds: {job['spec'].get('activeDeadlineSeconds')}"
    cause = work.refused or work.start_problem
    # The problem in the status may come from the previous Job, and then begins with the same text.
    message = f"{late}; {cause.message.removeprefix(f'{late}; ')}" if cause else late
    if work.step_began or any(has_begun(pod) for pod in work.pods) or (cause and cause.permanent):
        return Failed(Problem("DeadlineExceeded", message, permanent=True))
    if cause is None:
        unknown = Problem("DeadlineExceeded", f"{late}; none of its steps began")
        return _postponed(work, job, failed, unknown)
    return _postponed(work, job, failed, Problem(cause.reason, message))


def _postponed(work: Work, job: Body, failed: Mapping[str, Any], problem: Problem) -> Postponed:
    retry_at = next_try(failed, work.since or from_timestamp(created(job)))
    if problem.message.startswith(SPENT):
        ended = from_timestamp(str(failed["lastTransitionTime"]))
        pause = PAUSE_AFTER_TRAINING * (ended - _began(job))
        retry_at = max(retry_at, ended + min(pause, LONGEST_AFTER_TRAINING))
    return Postponed(problem, retry_at)


def _began(job: Body) -> datetime:
    """When the Job began to run: a queue may have held it back before."""
    return from_timestamp(str((job.get("status") or {}).get("startTime") or created(job)))


def next_try(end: Mapping[str, Any], since: datetime) -> datetime:
    """Returns when to try the work again. The pause is as long as all tries before it together, within bounds.

    `end`: the condition that ended the Job. `since`: when the work was first tried.
    """
    ended = from_timestamp(str(end["lastTransitionTime"]))
    return ended + min(max(ended - since, SHORTEST_PAUSE), LONGEST_PAUSE)


def _under_way(work: Work, job: Body) -> Progress:
    """The progress of a Job that has not ended."""
    pods = [pod for pod in work.pods if not _is_left(pod, job)]
    if not pods:
        return Starting(work.refused)
    failures = [cause for pod in pods if (cause := failure(pod)) and not disrupted(pod)]
    last = next((cause for pod in pods if (cause := failure(pod))), None)
    final = next((cause for cause in failures if cause.permanent), None)
    if final is None and len(failures) > job["spec"].get("backoffLimit", 6):
        final = failures[0]
    if final is not None:
        return Failing(final)
    newest = pods[0]
    if blocked := obstacle(newest):
        return Starting(blocked)
    step = None if failure(newest) else running_step(newest) or _next_step(work, newest)
    if step is not None:
        return Running(step)
    return Retrying(last) if last is not None else Starting()


def _is_left(pod: Body, job: Body) -> bool:
    """True if a pod that goes is of the time before the Job was suspended: it may take a while to end, and says nothing
    of what was resumed."""
    resumed = (job.get("status") or {}).get("startTime")
    return (
        deleting(pod) and resumed is not None and from_timestamp(created(pod)) < from_timestamp(str(resumed))
    )


def _next_step(work: Work, pod: Body) -> str | None:
    """The next step of a pod that is between two steps; None if none has ended."""
    done = sum(step_result(pod, step) is not None for step in work.steps)
    return work.steps[min(done, len(work.steps) - 1)] if done else None


def _pods_due(end: Mapping[str, Any]) -> datetime:
    return from_timestamp(str(end["lastTransitionTime"])) + PODS_LAG
