"""Whether the pods of a revision are there and ready, and what keeps them from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.inferenceservice import CanaryRevision
from modelwright.common.conditions import true_condition
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, metadata
from modelwright.inferenceservice.analysis.judge import RESTARTED
from modelwright.inferenceservice.observed import Observed
from modelwright.workload import refusals
from modelwright.workload.podstatus import Problem, failure, obstacle


def is_complete(deployment: Body | None, replicas: int) -> bool:
    """Whether all pods of a revision are there, up to date and available, and none too many."""
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    if deployment is None or int(status.get("observedGeneration", 0)) < int(
        metadata(deployment).get("generation", 0)
    ):
        return False
    return serves_fully(deployment, replicas) and int(status.get("availableReplicas", 0)) >= replicas


def serves_fully(deployment: Body | None, replicas: int) -> bool:
    """Whether as many pods of a revision are ready as the spec asks for, and none is too many.

    That is enough for a revision that has the traffic: another minReadySeconds makes none of its pods worse.
    """
    if deployment is None:
        return False
    status = deployment.get("status") or {}
    enough = min(int(status.get(count, 0)) for count in ("updatedReplicas", "readyReplicas"))
    asked, there = int(deployment["spec"].get("replicas", 1)), int(status.get("replicas", 0))
    return asked == replicas and there <= replicas <= enough


def ready_replicas(deployment: Body | None) -> int:
    """Pods of a revision that are ready."""
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    return int(status.get("readyReplicas", 0))


def has_ready_pods(observed: Observed, revision: str) -> bool:
    """Whether a revision can answer."""
    return ready_replicas(observed.deployment(revision)) > 0


def deadline(since: datetime, observed: Observed) -> datetime:
    """When a canary is given up whose pods have had to become ready since then."""
    return since + timedelta(seconds=observed.spec.rollout.progress_deadline_seconds)


def hopeless(observed: Observed, revision: str) -> Problem | None:
    """Why a revision cannot work, whatever the cluster does. A model file that is not there may come."""
    problems = (*_failures(observed, revision), *_obstacles(observed, revision))
    return next((problem for problem in problems if problem.permanent and not problem.missing), None)


def waits_since(canary: CanaryRevision) -> datetime:
    """Since when the pods of a canary, or its share of the traffic, are waited for."""
    return from_timestamp(canary.waiting_since or canary.since)


def overdue(observed: Observed, canary: CanaryRevision, lacking: str | None, now: datetime) -> Problem | None:
    """Why a canary must be given up whose pods, or whose share of the traffic (`lacking`), have had their time."""
    if now < deadline(waits_since(canary), observed):
        return None
    late = f"not ready within progressDeadlineSeconds: {observed.spec.rollout.progress_deadline_seconds}"
    refused = refusals.first_problem(observed.refusals)
    causes = (*_failures(observed, canary.revision), *_obstacles(observed, canary.revision), refused)
    cause = next((problem for problem in causes if problem is not None), None)
    if cause is not None:
        return replace(cause, message=f"{cause.message} ({late})")
    return Problem("ProgressDeadlineExceeded", late if lacking is None else f"{lacking} ({late})")


def hindrance(observed: Observed, revision: str) -> Problem | None:
    """What keeps pods of a revision from being ready, if it shows."""
    return next(iter((*_obstacles(observed, revision), *_failures(observed, revision))), None)


def _failures(observed: Observed, revision: str) -> list[Problem]:
    """How containers of a revision's pods have ended."""
    return [problem for pod in observed.pods_of(revision) if (problem := failure(pod))]


def _obstacles(observed: Observed, revision: str) -> list[Problem]:
    """What keeps a revision's pods from starting, and its Deployment from making more."""
    obstacles = [problem for pod in observed.pods_of(revision) if (problem := obstacle(pod))]
    refused = pods_refused(observed.deployment(revision))
    return (
        obstacles
        if refused is None
        else [*obstacles, refusals.refusal_problem(str(refused.get("message", "")))]
    )


def pods_refused(deployment: Body | None) -> Mapping[str, Any] | None:
    """The condition of a Deployment whose pods a quota, a LimitRange or a policy refuses."""
    return None if deployment is None else true_condition(deployment, "ReplicaFailure")


def explained(observed: Observed, revision: str, problem: Problem) -> Problem:
    """A verdict on restarts, in the words of the container that ended."""
    if problem.reason != RESTARTED:
        return problem
    cause = next((found for pod in observed.pods_of(revision) if (found := failure(pod))), None)
    if cause is None:
        return problem
    return Problem(cause.reason, f"{cause.message} ({problem.message})")
