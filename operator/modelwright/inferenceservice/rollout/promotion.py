"""Switches the whole traffic: to a canary that has passed (promotion), or to the previous revision (rollback). Pure.

A promoted revision bakes for a while: the analysis goes on, and a failure rolls it back. A rollback only has to switch
the Service, because the previous revision still runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from modelwright.api.inferenceservice import (
    CanaryRevision,
    InferenceServiceStatus,
    RetiredRevision,
    Revision,
    StableRevision,
)
from modelwright.api.requests import Request
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.analysis import judge
from modelwright.inferenceservice.analysis.checks_record import recorded
from modelwright.inferenceservice.analysis.counts import counted_since
from modelwright.inferenceservice.analysis.judge import Measurement
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions, shape
from modelwright.inferenceservice.revision.target import Unresolved, withheld
from modelwright.inferenceservice.rollout import decision_log, rejections, restarts, steps
from modelwright.inferenceservice.rollout.readiness import explained, is_complete, ready_replicas
from modelwright.workload.podstatus import Problem

# The pause before a revision that could not start is retried: doubled each time, up to the longest.
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)
# How long pods may take to read a new traffic rule.
LAST_QUESTIONS_SECONDS = 30


def promoted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """Makes the canary the stable revision, and retires the previous one."""
    retired = _retired(revisions.stable, observed, now)
    bake = observed.spec.rollout.bake_seconds if retired is not None else 0
    stable = StableRevision(
        **shape(canary),
        since=to_timestamp(now),
        previous=_previous(revisions.stable, canary),
        bake_until=to_timestamp(now + timedelta(seconds=bake)) if bake else None,
        measurement=(canary.measurement or 0) + 1 if bake else None,
    )
    return replace(revisions, stable=stable, canary=None, retired=retired)


def _previous(before: StableRevision | None, promoted: Revision) -> str | None:
    """The version that had the traffic before the promoted one: of the same version in another shape of pod, before
    both."""
    if before is None:
        return None
    return before.version if before.version != promoted.version else before.previous


def _retired(
    stable: StableRevision | None, observed: Observed, now: datetime, *, undone: bool | None = None
) -> RetiredRevision | None:
    """The stable revision as a retired one. `undone`: it lost the traffic by a rollback."""
    if stable is None:
        return None
    rollout = observed.spec.rollout
    seconds = rollout.scale_down_delay_seconds
    if rollout.bake_seconds and not undone:
        # It must outlast the baking of its successor, or a rollback would have nothing to switch to. Pods of the
        # successor ask it about refusals until they have read that the baking is over.
        seconds = max(seconds, rollout.bake_seconds + LAST_QUESTIONS_SECONDS)
    until = to_timestamp(now + timedelta(seconds=seconds))
    return RetiredRevision(**shape(stable), until=until, undone=undone)


def still_retired(retired: RetiredRevision | None, now: datetime) -> RetiredRevision | None:
    """The retired revision; None once its time is over."""
    return retired if retired is not None and now < from_timestamp(retired.until) else None


def still_baking(stable: StableRevision | None, now: datetime) -> StableRevision | None:
    """The stable revision, no longer marked as baking once its baking time is over."""
    if stable is None or stable.bake_until is None or now < from_timestamp(stable.bake_until):
        return stable
    return stable.model_copy(update=dict.fromkeys(("bake_until", "measurement", "restarts", "checks")))


def counting_restarts(before: InferenceServiceStatus, revisions: Revisions, observed: Observed) -> Revisions:
    """The revisions with the record of their pods' earlier restarts, if a measurement has just begun."""
    stable, canary = revisions.stable, revisions.canary
    if canary is not None and canary.step_since != (before.canary and before.canary.step_since):
        canary = canary.model_copy(update={"restarts": restarts.recorded(observed.pods_of(canary.revision))})
    if stable is not None and stable.bake_until and stable.since != (before.stable and before.stable.since):
        stable = stable.model_copy(update={"restarts": restarts.recorded(observed.pods_of(stable.revision))})
    return replace(revisions, stable=stable, canary=canary)


def baked(revisions: Revisions, observed: Observed, now: datetime) -> Revisions:
    """Rolls a stable revision back that fails while it bakes.

    Also to a version that is no longer Ready: one of both has to answer. The message of Ready says so.
    """
    stable = revisions.stable
    if stable is None or stable.bake_until is None:
        return revisions
    judged = _judged(stable, observed)
    verdict = judged.verdict
    if verdict.result != "Fail" or not _can_go_back(revisions, observed):
        checks = recorded([verdict], counted_since(observed.measured, stable.since), stable.checks)
        return replace(revisions, stable=stable.model_copy(update={"checks": checks}))
    back = taken_back(revisions, observed, now)
    problem = explained(observed, stable.revision, steps.problem(verdict))
    given_up = _as_failed_canary(stable, problem, observed, now)
    new = rejections.rejection(
        stable, problem.reason, now, serves=back.stable, quarantine=judged.blames_model
    )
    return replace(
        back,
        canary=given_up,
        decision=decision_log.measured(given_up, judged, now),
        rejected=rejections.added(revisions.rejected, new),
    )


def _judged(stable: StableRevision, observed: Observed) -> steps.Judged:
    """What follows from the verdict on a baking revision, if that is a failure."""
    analysis = steps.analysis_of(observed.spec)
    pods, earlier = observed.pods_of(stable.revision), stable.restarts or ()
    count = 0 if stable.since is None else restarts.own_restarts(pods, stable.since, earlier)
    if crashed := judge.pods(analysis, count):
        return steps.Judged("Rollback", crashed)
    counted = counted_since(observed.measured, stable.since)
    measurement = Measurement(stable.measurement or 1)
    verdict = judge.baking(analysis, counted, measurement)
    failed = verdict.result == "Fail"
    return steps.Judged(
        "Rollback", verdict, failed and judge.blames_model(verdict, analysis, counted, measurement)
    )


def is_way_back(revisions: Revisions, target: Revision, observed: Observed) -> bool:
    """True if the revision in the spec is the retired one, was not rolled back, and has all its pods available."""
    retired = revisions.retired
    if retired is None or retired.revision != target.revision or retired.undone:
        return False
    return is_complete(observed.deployment(retired.revision), observed.spec.replicas)


def undone(
    request: Request, revisions: Revisions, observed: Observed, target: Revision | Unresolved, now: datetime
) -> Revisions | str:
    """Undo: returns the revisions after the traffic is switched to the retired one, or why the request is refused.

    The retired revision is the previous one, or the newer one if that was undone before.
    """
    stable, canary, retired = revisions.stable, revisions.canary, revisions.retired
    if stable is None or stable.revision != request.revision:
        return f"revision {request.revision} does not have the traffic"
    if retired is None:
        return "there is no other revision that still runs; ask for its version in spec.model instead"
    if lost := withheld(observed, retired.version):
        return (
            f"ModelVersion {retired.version} is not Ready{lost.why}; ask for another version in spec.model, or undo "
            "again once it is Ready"
        )
    if ready_replicas(observed.deployment(retired.revision)) == 0:
        return f"no pod of ModelVersion {retired.version} is ready"
    if retired.undone:
        return _redone(request, stable, retired, revisions, observed, target, now)
    new = rejections.rejection(
        stable, rejections.UNDONE, now, serves=retired, requested_by=request.requested_by
    )
    return replace(
        taken_back(revisions, observed, now),
        # The canary of another model goes on.
        canary=None if canary is None or rejections.blocks(new, canary) else canary,
        rejected=rejections.added(revisions.rejected, new),
        decision=decision_log.requested(request, None, "Rollback", now, rejections.UNDONE),
    )


def _redone(
    request: Request,
    stable: StableRevision,
    retired: RetiredRevision,
    revisions: Revisions,
    observed: Observed,
    target: Revision | Unresolved,
    now: datetime,
) -> Revisions | str:
    """Undo of an undo: the newer revision has the traffic again. Only after an undo, never after a failed analysis."""
    is_undone = any(
        rejected.revision == retired.revision and rejected.reason == rejections.UNDONE
        for rejected in revisions.rejected
    )
    if not is_undone:
        return (
            f"ModelVersion {retired.version} lost the traffic, and not by an undo: it comes back step by step, "
            "by a retry or when spec.model asks for it"
        )
    if isinstance(target, Revision) and target.revision == stable.revision and observed.spec.model.version:
        return f"spec.model asks for ModelVersion {stable.version}, which has the traffic"
    decision = decision_log.requested(request, None, "Promote", now, decision_log.REDONE)
    return replace(
        revisions,
        stable=StableRevision(**shape(retired), since=to_timestamp(now), previous=_previous(stable, retired)),
        retired=_retired(stable, observed, now),
        rejected=rejections.without(revisions.rejected, retired.revision),
        decision=decision.model_copy(update={"revision": retired.revision}),
    )


def taken_back(revisions: Revisions, observed: Observed, now: datetime) -> Revisions:
    """Makes the retired revision the stable one again."""
    previous = revisions.retired
    if previous is None:
        return revisions
    stable = StableRevision(**shape(previous), since=to_timestamp(now))
    retired = _retired(revisions.stable, observed, now, undone=True)
    return replace(revisions, stable=stable, canary=None, retired=retired)


def _can_go_back(revisions: Revisions, observed: Observed) -> bool:
    """True if the previous revision still runs and has a ready pod."""
    retired = revisions.retired
    return (
        retired is not None
        and not retired.undone
        and ready_replicas(observed.deployment(retired.revision)) > 0
    )


def failed(canary: CanaryRevision, problem: Problem, observed: Observed) -> CanaryRevision:
    """The canary as Failed, for the present generation of the spec: without traffic, the reason as its verdict."""
    update = {
        "state": "Failed",
        "weight": None if canary.weight is None else 0,
        "verdict": problem.reason,
        "reason": problem.reason,
        "message": problem.message,
        "generation": observed.generation,
        "spec_hash": observed.spec_hash,
        **dict.fromkeys(
            (
                *("paused", "failed_looks", "last_look", "url", "waiting_since", "stand_in_since"),
                *("restarts", "checks"),
            )
        ),
    }
    return canary.model_copy(update=update)


def given_up(canary: CanaryRevision, problem: Problem, observed: Observed, now: datetime) -> CanaryRevision:
    """The canary as Failed because its pods did not become ready or its share of the traffic did not take effect.

    It gets a time for a retry unless the revision itself is the cause.
    """
    over = failed(canary, problem, observed)
    if problem.own or (problem.permanent and not problem.missing):
        return over
    attempts = (canary.attempts or 0) + 1
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempts - 1, 10))
    return over.model_copy(update={"attempts": attempts, "retry_at": to_timestamp(now + pause)})


def _as_failed_canary(
    stable: StableRevision, problem: Problem, observed: Observed, now: datetime
) -> CanaryRevision:
    """A stable revision that was rolled back, as a failed canary: so it is not started again."""
    return CanaryRevision(
        **shape(stable),
        state="Failed",
        since=stable.since or to_timestamp(now),
        step=max(len(steps.planned(observed.spec)) - 1, 0),
        generation=observed.generation,
        spec_hash=observed.spec_hash,
        verdict=problem.reason,
        reason=problem.reason,
        message=problem.message,
    )
