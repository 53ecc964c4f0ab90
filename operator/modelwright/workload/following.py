"""Follows a Job: how the work stands that it was made for. One way for every kind. Pure.

Work fails for good only by what its own steps did. What the cluster did not give (pods that a quota refuses, a node,
an image, a claim) and input that is not there yet are waited for: the Job is to be made anew after a pause, which
grows with the time that the work has been tried for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modelwright.common.conditions import standing
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, created
from modelwright.workload.podstatus import (
    Problem,
    disrupted,
    failure,
    has_begun,
    obstacle,
    running_step,
    step_result,
)

# A Job and its pods come by different watches: how long the end of a Job waits for its pods.
PODS_LAG = timedelta(seconds=20)
SHORTEST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Work:
    """A Job and what is known about it.

    `steps` are its containers in the order in which they run; what the last one finds is the result of the Job. `pods`
    are those of this Job, the youngest first. `refused`: why its pods cannot be made, if they are refused.

    The rest was observed earlier, as far as the status has kept it: `noted`, that the Job was there; `began`, that
    a step ran; `hindrance`, what kept its pod from starting; `since`, when the work was first tried (without it: when
    this Job was made); `postponed`, why the end of this Job is not the end of the work. `absent`: the API server
    confirms that there is no such Job.
    """

    steps: Sequence[str]
    job: Body | None
    pods: Sequence[Body] = ()
    refused: Problem | None = None
    noted: bool = False
    absent: bool = False
    began: bool = False
    hindrance: Problem | None = None
    since: datetime | None = None
    postponed: Problem | None = None


@dataclass(frozen=True)
class NotMade:
    """There is no Job yet."""


@dataclass(frozen=True)
class NotSeen:
    """The Job was there and the cache lacks it. The effect `Confirm` finds out whether it still is."""


@dataclass(frozen=True)
class Deleted:
    """The Job was deleted before it ended."""


@dataclass(frozen=True)
class Suspended:
    """The Job gets no pods until whoever suspended it resumes it."""


@dataclass(frozen=True)
class Starting:
    """No step runs yet. `problem`: what is in the way, if anything is known of it."""

    problem: Problem | None = None


@dataclass(frozen=True)
class Running:
    """A step runs, or is the next to run in a pod that has run others."""

    step: str


@dataclass(frozen=True)
class Retrying:
    """An attempt failed; the Job makes another one."""

    problem: Problem


@dataclass(frozen=True)
class Failing:
    """An attempt failed, and the Job makes no other; its condition Failed is not there yet."""

    problem: Problem


@dataclass(frozen=True)
class Ending:
    """The Job has ended, and how its pods ended has not been seen. They are waited for until then."""

    until: datetime
    complete: bool


@dataclass(frozen=True)
class Ended:
    """All steps ended well. `results`: what each found, by step; empty for one that left nothing."""

    pod: Body
    results: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Failed:
    """The work failed for good."""

    problem: Problem


@dataclass(frozen=True)
class Postponed:
    """The Job failed because of the cluster, or of what is not there yet. At that time it is to be deleted and made
    anew; until then it is kept for its logs."""

    problem: Problem
    again: datetime


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
    """How the work stands."""
    if work.job is None:
        if not work.noted:
            return NotMade()
        return Deleted() if work.absent else NotSeen()
    if complete := standing(work.job, "Complete"):
        return _completed(work, complete, now)
    if failed := standing(work.job, "Failed"):
        return _failed(work, work.job, failed, now)
    if work.job["spec"].get("suspend") or standing(work.job, "Suspended"):
        return Suspended()
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
        return _too_late(work, job, failed)
    problem = next((found for pod in work.pods if (found := failure(pod))), None)
    if problem is not None:
        return _postponed(work, job, failed, problem) if problem.missing else Failed(problem)
    if now < _pods_due(failed):
        return Ending(_pods_due(failed), complete=False)
    reason = str(failed.get("reason") or "JobFailed")
    return Failed(Problem(reason, f"the Job failed: {failed.get('message') or 'no reason given'}"))


def _too_late(work: Work, job: Body, failed: Mapping[str, Any]) -> Progress:
    """A deadline. The Job's controller has deleted the pod that was there by then: what it did was observed earlier."""
    late = f"it took longer than activeDeadlineSeconds: {job['spec'].get('activeDeadlineSeconds')}"
    cause = work.refused or work.hindrance
    # The hindrance that a status has kept may be how the Job before this one ended.
    message = f"{late}; {cause.message.removeprefix(f'{late}; ')}" if cause else late
    if work.began or any(has_begun(pod) for pod in work.pods) or (cause and cause.permanent):
        return Failed(Problem("DeadlineExceeded", message, permanent=True))
    if cause is None:
        unknown = Problem("DeadlineExceeded", f"{late}; none of its steps began")
        return _postponed(work, job, failed, unknown)
    return _postponed(work, job, failed, Problem(cause.reason, message))


def _postponed(work: Work, job: Body, failed: Mapping[str, Any], problem: Problem) -> Postponed:
    return Postponed(problem, next_try(failed, work.since or from_timestamp(created(job))))


def next_try(end: Mapping[str, Any], since: datetime) -> datetime:
    """When work that has been tried since then is tried again, given the condition that is the end of its Job: each
    pause is as long as all tries before it."""
    ended = from_timestamp(str(end["lastTransitionTime"]))
    return ended + min(max(ended - since, SHORTEST_PAUSE), LONGEST_PAUSE)


def _under_way(work: Work, job: Body) -> Progress:
    if not work.pods:
        return Starting(work.refused)
    failures = [found for pod in work.pods if (found := failure(pod)) and not disrupted(pod)]
    last = next((found for pod in work.pods if (found := failure(pod))), None)
    ended = next((found for found in failures if found.permanent), None)
    if ended is None and len(failures) > job["spec"].get("backoffLimit", 6):
        ended = failures[0]
    if ended is not None:
        return Failing(ended)
    newest = work.pods[0]
    if blocked := obstacle(newest):
        return Starting(blocked)
    step = None if failure(newest) else running_step(newest) or _next_step(work, newest)
    if step is not None:
        return Running(step)
    return Retrying(last) if last is not None else Starting()


def _next_step(work: Work, pod: Body) -> str | None:
    """Between two steps: the one that comes next."""
    done = sum(step_result(pod, step) is not None for step in work.steps)
    return work.steps[min(done, len(work.steps) - 1)] if done else None


def _pods_due(end: Mapping[str, Any]) -> datetime:
    return from_timestamp(str(end["lastTransitionTime"])) + PODS_LAG
