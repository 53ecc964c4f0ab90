"""Moves an InferenceService from its stable revision to the one that is asked for. Pure.

The stable revision has the traffic. A canary starts beside it, takes over when all of its pods are ready, and is
given up when it cannot work or takes too long; the stable one never waits for it. The one before is retired: it
runs on for a while, so that connections which still know it are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.inferenceservice import CanaryRevision, RetiredRevision, Revision, StableRevision
from modelwright.common.podstatus import Problem, failure, obstacle
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import Body, metadata
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.target import Unresolved


@dataclass(frozen=True)
class Revisions:
    """Which revision has which part."""

    stable: StableRevision | None = None
    canary: CanaryRevision | None = None
    retired: RetiredRevision | None = None

    @property
    def starting(self) -> CanaryRevision | None:
        """The canary, unless it was given up."""
        return self.canary if self.canary is not None and self.canary.state == "Progressing" else None

    @property
    def running(self) -> set[str]:
        """The revisions that have pods."""
        parts = (self.stable, self.retired, self.starting)
        return {part.revision for part in parts if part is not None}


def advance(observed: Observed, target: Revision | Unresolved, now: datetime) -> Revisions:
    """The parts, one step on."""
    before = observed.status
    revisions = Revisions(before.stable, before.canary, _still_retired(before.retired, now))
    if isinstance(target, Unresolved) or _is(revisions.stable, target):
        return replace(revisions, canary=None)
    if _retried(revisions.canary, target, observed.generation):
        return replace(revisions, canary=_canary(target, observed.generation, now))
    canary = revisions.canary
    if canary is None or canary.state == "Failed":
        return revisions
    if is_complete(observed.deployment(canary.revision), observed.spec.replicas):
        return _promoted(revisions, canary, observed, now)
    problem = _defect(observed, canary, now)
    return revisions if problem is None else replace(revisions, canary=_failed(canary, problem))


def _is(part: Revision | None, target: Revision) -> bool:
    return part is not None and part.revision == target.revision


def _retried(canary: CanaryRevision | None, target: Revision, generation: int) -> bool:
    """Whether a canary starts: there is none, it is of another revision, or it failed under another spec."""
    if canary is None or not _is(canary, target):
        return True
    return canary.state == "Failed" and canary.generation != generation


def _canary(target: Revision, generation: int, now: datetime) -> CanaryRevision:
    shape = target.model_dump(include={"revision", "version", "artifact", "image", "resources"})
    return CanaryRevision(**shape, state="Progressing", since=to_timestamp(now), generation=generation)


def _failed(canary: CanaryRevision, problem: Problem) -> CanaryRevision:
    return canary.model_copy(update={"state": "Failed", "reason": problem.reason, "message": problem.message})


def _promoted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    shape = canary.model_dump(include={"revision", "version", "artifact", "image", "resources"})
    stable = StableRevision(**shape)
    return Revisions(stable=stable, retired=_retire(revisions.stable, observed, now))


def _retire(stable: StableRevision | None, observed: Observed, now: datetime) -> RetiredRevision | None:
    if stable is None:
        return None
    until = now + timedelta(seconds=observed.spec.rollout.scale_down_delay_seconds)
    return RetiredRevision(revision=stable.revision, version=stable.version, until=to_timestamp(until))


def _still_retired(retired: RetiredRevision | None, now: datetime) -> RetiredRevision | None:
    return retired if retired is not None and now < from_timestamp(retired.until) else None


def is_complete(deployment: Body | None, replicas: int) -> bool:
    """Whether all pods of a revision are there, up to date and ready, and none too many."""
    if deployment is None:
        return False
    status = deployment.get("status") or {}
    current = int(status.get("observedGeneration", 0)) >= int(metadata(deployment).get("generation", 0))
    enough = min(
        int(status.get(count, 0)) for count in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    asked, there = int(deployment["spec"].get("replicas", 1)), int(status.get("replicas", 0))
    return current and asked == replicas and there <= replicas <= enough


def ready_replicas(deployment: Body | None) -> int:
    """Pods of a revision that are ready."""
    status: Mapping[str, Any] = (deployment or {}).get("status") or {}
    return int(status.get("readyReplicas", 0))


def deadline(canary: CanaryRevision, observed: Observed) -> datetime:
    """When a canary is given up."""
    return from_timestamp(canary.since) + timedelta(seconds=observed.spec.rollout.progress_deadline_seconds)


def _defect(observed: Observed, canary: CanaryRevision, now: datetime) -> Problem | None:
    """Why the canary must be given up: it says that it cannot work, or its time is over."""
    pods = observed.pods_of(canary.revision)
    failures = [problem for pod in pods if (problem := failure(pod))]
    hopeless = next((problem for problem in failures if problem.permanent), None)
    if hopeless is not None:
        return hopeless
    if now < deadline(canary, observed):
        return None
    obstacles = [problem for pod in pods if (problem := obstacle(pod))]
    cause = next(iter((*failures, *obstacles)), None)
    seconds = observed.spec.rollout.progress_deadline_seconds
    if cause is not None:
        return replace(
            cause, message=f"{cause.message} (not ready within progressDeadlineSeconds: {seconds})"
        )
    return Problem("ProgressDeadlineExceeded", f"not ready within progressDeadlineSeconds: {seconds}")


def hindrance(observed: Observed, revision: str) -> Problem | None:
    """What keeps pods of a revision from being ready, if it shows."""
    for pod in observed.pods_of(revision):
        problem = obstacle(pod) or failure(pod)
        if problem is not None:
            return problem
    return None
