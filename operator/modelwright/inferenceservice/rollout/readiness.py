"""Whether the pods of a revision are ready, and if not, why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.inferenceservice import CanaryRevision
from modelwright.checks.rates import ERROR_RATE
from modelwright.common.conditions import true_condition
from modelwright.common.resources import SERVER
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, metadata
from modelwright.inferenceservice.analysis import reach
from modelwright.inferenceservice.analysis.judge import RESTARTED
from modelwright.inferenceservice.observed import Observed
from modelwright.workload import refusals
from modelwright.workload.podstatus import Problem, failure, has_started, obstacle


def is_complete(deployment: Body | None, replicas: int) -> bool:
    """True if the Deployment has at least this many pods, all of its pods up to date, and enough of them available.

    More pods are no fault: an autoscaler may have asked for fewer a moment ago.
    """
    if deployment is None or _is_outdated(deployment):
        return False
    requested, updated = int(deployment["spec"].get("replicas", 1)), _updated_replicas(deployment)
    available = int((deployment.get("status") or {}).get("availableReplicas", 0))
    is_updated = existing_replicas(deployment) <= updated
    return is_updated and replicas <= min(requested, updated, available, ready_replicas(deployment))


def serves_fully(deployment: Body | None, replicas: int) -> bool:
    """True if the Deployment has exactly this many pods, all up to date and ready.

    Enough for the revision that has the traffic: after a change of minReadySeconds its pods may count as unavailable,
    but they still answer.
    """
    if deployment is None:
        return False
    status = deployment.get("status") or {}
    enough = min(int(status.get(count, 0)) for count in ("updatedReplicas", "readyReplicas"))
    requested, existing = int(deployment["spec"].get("replicas", 1)), int(status.get("replicas", 0))
    return requested == replicas and existing <= replicas <= enough


def existing_replicas(deployment: Body | None) -> int:
    """How many pods the Deployment has, ready or not, without those that are being deleted."""
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    return int(status.get("replicas", 0))


def ready_replicas(deployment: Body | None) -> int:
    """How many pods of the Deployment are ready."""
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    return int(status.get("readyReplicas", 0))


def keeps_its_template(observed: Observed, revision: str) -> bool:
    """True while what the administrator says by now must not replace the revision's pods: some are ready, or have been,
    and may be again in a moment, as their server runs since.

    Some must be of its template, as there are more of them than pods of earlier ones.
    """
    deployment = observed.deployment(revision)
    if deployment is None:
        return False
    running = sum(has_started(pod, SERVER) for pod in observed.pods_of(revision))
    return max(ready_replicas(deployment), running) > _of_earlier_templates(deployment)


def _of_earlier_templates(deployment: Body) -> int:
    """How many pods of the Deployment may be of a template that it had before; 0 while that is not known."""
    if _is_outdated(deployment):
        return 0
    return max(existing_replicas(deployment) - _updated_replicas(deployment), 0)


def _is_outdated(deployment: Body) -> bool:
    """True if the status of the Deployment is older than its spec, so that it speaks of earlier pods."""
    status: Mapping[str, Any] = deployment.get("status") or {}
    return int(status.get("observedGeneration", 0)) < int(metadata(deployment).get("generation", 0))


def _updated_replicas(deployment: Body) -> int:
    status: Mapping[str, Any] = deployment.get("status") or {}
    return int(status.get("updatedReplicas", 0))


def has_ready_pods(observed: Observed, revision: str) -> bool:
    """True if any pod of the revision is ready."""
    return ready_replicas(observed.deployment(revision)) > 0


def deadline(since: datetime, observed: Observed) -> datetime:
    """When a canary is given up that has waited for its pods since then."""
    return since + timedelta(seconds=observed.spec.rollout.progress_deadline_seconds)


def hopeless(observed: Observed, revision: str) -> Problem | None:
    """Why the revision can never become ready; None if it may. A missing model file does not count: it may appear."""
    problems = (*_failures(observed, revision), *_obstacles(observed, revision))
    return next((problem for problem in problems if problem.permanent and not problem.missing), None)


def waits_since(canary: CanaryRevision) -> datetime:
    """Since when the canary waits for its pods or its share of the traffic."""
    return from_timestamp(canary.waiting_since or canary.since)


def overdue(observed: Observed, canary: CanaryRevision, lacking: str | None, now: datetime) -> Problem | None:
    """Why a canary is given up whose deadline is over; None before. `lacking`: why it has no share of the traffic."""
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
    """What keeps a revision's pods from being ready; None if the cluster reports no reason."""
    return next(iter((*_obstacles(observed, revision), *_failures(observed, revision))), None)


def _failures(observed: Observed, revision: str) -> list[Problem]:
    """The failures of containers of the revision's pods."""
    return [problem for pod in observed.pods_of(revision) if (problem := failure(pod))]


def _obstacles(observed: Observed, revision: str) -> list[Problem]:
    """What keeps the revision's pods from starting, or its Deployment from creating them."""
    obstacles = [problem for pod in observed.pods_of(revision) if (problem := obstacle(pod))]
    refused = pods_refused(observed.deployment(revision))
    return (
        obstacles
        if refused is None
        else [*obstacles, refusals.refusal_problem(str(refused.get("message", "")))]
    )


def pods_refused(deployment: Body | None) -> Mapping[str, Any] | None:
    """The condition ReplicaFailure, if it is True: a quota, a LimitRange or a policy refuses the Deployment's pods."""
    return None if deployment is None else true_condition(deployment, "ReplicaFailure")


def explained(observed: Observed, revision: str, problem: Problem) -> Problem:
    """The problem with its cause, if the cluster tells it: a verdict on restarts with the reason and message of the
    container that failed, one on failed requests with the flow that is not allowed."""
    if problem.reason == ERROR_RATE.failed and observed.measured is not None:
        why = reach.unreachable(observed.measured)
        return problem if why is None else replace(problem, message=f"{problem.message}; {why}")
    if problem.reason != RESTARTED:
        return problem
    cause = next(
        (container_failure for pod in observed.pods_of(revision) if (container_failure := failure(pod))), None
    )
    if cause is None:
        return problem
    return Problem(cause.reason, f"{cause.message} ({problem.message})")
