"""Moves an InferenceService from its stable revision to the one that is asked for. Pure.

The stable revision has the traffic. A canary starts beside it and takes over when it is ready: at once, or step by
step while what is measured speaks for it. It is given up when it cannot work, takes too long or fails its analysis;
the stable one never waits for it. The one before is retired: it runs on for a while, so that connections which still
know it are served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from modelwright.api.inferenceservice import (
    CanaryRevision,
    Decision,
    RetiredRevision,
    Revision,
    StableRevision,
)
from modelwright.common.podstatus import Problem, failure, obstacle
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import Body, metadata
from modelwright.inferenceservice import requests, steps
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.target import Unresolved

# Their pods get a share of the traffic.
SHIFTING = frozenset(("Shifting", "Completing"))


@dataclass(frozen=True)
class Revisions:
    """Which revision has which part; `decision`: what was decided of the canary in this look.

    `handled`: the token of the request that was carried out, or refused for the reason `refused`.
    """

    stable: StableRevision | None = None
    canary: CanaryRevision | None = None
    retired: RetiredRevision | None = None
    decision: Decision | None = None
    handled: str | None = None
    refused: str | None = None

    @property
    def starting(self) -> CanaryRevision | None:
        """The canary, unless it was given up."""
        return self.canary if self.canary is not None and self.canary.state != "Failed" else None

    @property
    def running(self) -> set[str]:
        """The revisions that have pods."""
        parts = (self.stable, self.retired, self.starting)
        return {part.revision for part in parts if part is not None}


def advance(observed: Observed, target: Revision | Unresolved, now: datetime) -> Revisions:
    """The parts, one step on: by what somebody asks for, else by what time and pods bring."""
    before = observed.status
    asked = requests.pending(observed.body, before.last_handled_request)
    if isinstance(asked, requests.Refused):
        moved = _moved(observed, target, now)
        return replace(moved, handled=asked.token, refused=asked.message)
    if asked is None:
        return _moved(observed, target, now)
    if before.canary is None or before.canary.revision != asked.revision:
        moved = _moved(observed, target, now)
        message = f"{asked.action} is asked for revision {asked.revision}, which is not the canary"
        return replace(moved, handled=asked.token, refused=message)
    done = _asked(before.canary, asked, observed, now)
    if done is None:  # in its time
        return _moved(observed, target, now)
    canary, decision = done
    retired = _still_retired(before.retired, now)
    return Revisions(before.stable, canary, retired, decision, handled=asked.token)


def _asked(
    canary: CanaryRevision, asked: requests.Request, observed: Observed, now: datetime
) -> tuple[CanaryRevision, Decision | None] | None:
    """The canary after what was asked for; None as long as it makes no sense yet."""
    failed = canary.state == "Failed"
    match asked.action:
        case "abort" if not failed:
            problem = Problem("Aborted", "somebody asked for it")
            return _failed(canary, problem), steps.given_up(canary, problem.reason, now)
        case "pause" | "resume" if not failed:
            return canary.model_copy(update={"paused": asked.action == "pause" or None}), None
        case "promote" | "promote-full" if canary.state == "Shifting":
            return steps.promoted(canary, observed.spec, now, fully=asked.action == "promote-full")
        case "retry" if failed:
            return _canary(canary, observed.generation, now), None
    return None


def _moved(observed: Observed, target: Revision | Unresolved, now: datetime) -> Revisions:
    """The parts as time and pods have them."""
    before = observed.status
    revisions = Revisions(before.stable, before.canary, _still_retired(before.retired, now))
    if isinstance(target, Unresolved) or _is(revisions.stable, target):
        return replace(revisions, canary=None)
    if _retried(revisions.canary, target, observed.generation):
        return replace(revisions, canary=_canary(target, observed.generation, now))
    canary = revisions.canary
    if canary is None or canary.state == "Failed":
        return revisions
    if canary.state in SHIFTING and revisions.stable is not None and observed.spec.rollout.steps:
        return _shifted(revisions, canary, observed, now)
    needed = steps.replicas(canary, observed.spec, beside=revisions.stable is not None)
    if is_complete(observed.deployment(canary.revision), needed):
        return _ready(revisions, canary, observed, now)
    problem = _defect(observed, canary, from_timestamp(canary.since), now)
    return revisions if problem is None else replace(revisions, canary=_failed(canary, problem))


def _ready(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """The pods that the canary begins with are ready: where there is traffic to take over, the steps begin."""
    if revisions.stable is None or not observed.spec.rollout.steps or observed.spec.replicas == 0:
        return _promoted(revisions, canary, observed, now)
    first = observed.spec.rollout.steps[0]
    update = {"state": "Shifting", "step": 0, "weight": first.weight, "step_since": to_timestamp(now)}
    return replace(revisions, canary=canary.model_copy(update=update))


def _shifted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """A canary that has a share of the traffic: on, back, or as it is."""
    entered = from_timestamp(canary.step_since or canary.since)
    move = steps.move(canary, observed.spec, observed.measured, now)
    decision = None if move.decision is None else steps.decision(canary, move.decision, now)
    if move.problem is not None:
        return replace(revisions, canary=_failed(canary, move.problem), decision=decision)
    moved = canary.model_copy(update=dict(move.update))
    complete = is_complete(
        observed.deployment(canary.revision), steps.replicas(moved, observed.spec, beside=True)
    )
    if complete and moved.state == "Completing":
        return replace(_promoted(revisions, moved, observed, now), decision=decision)
    if complete and (due := steps.enter(moved, observed.spec, now)):
        moved = moved.model_copy(update=due)
    if not complete and moved == canary:
        problem = _defect(observed, canary, entered, now)
        if problem is not None:
            lost = steps.given_up(canary, problem.reason, now)
            return replace(revisions, canary=_failed(canary, problem), decision=lost)
    return replace(revisions, canary=moved, decision=decision)


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


def deadline(since: datetime, observed: Observed) -> datetime:
    """When a canary is given up whose pods have had to become ready since then."""
    return since + timedelta(seconds=observed.spec.rollout.progress_deadline_seconds)


def _defect(observed: Observed, canary: CanaryRevision, since: datetime, now: datetime) -> Problem | None:
    """Why the canary must be given up: it says that it cannot work, or its time is over."""
    pods = observed.pods_of(canary.revision)
    failures = [problem for pod in pods if (problem := failure(pod))]
    hopeless = next((problem for problem in failures if problem.permanent), None)
    if hopeless is not None:
        return hopeless
    if now < deadline(since, observed):
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
