"""The moments in which the traffic goes over as a whole: to a canary that has passed, or back to the one before. Pure.

A revision that took over is baked: the analysis goes on for a while, and takes it back if it fails. Going back is one
switch of the Service, because the one before still runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from modelwright.api.inferenceservice import (
    CanaryRevision,
    Rejection,
    RetiredRevision,
    Revision,
    StableRevision,
)
from modelwright.checks.verdict import Verdict
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.analysis.counts import counted_since
from modelwright.inferenceservice.analysis.judge import judge_baking, judge_pods
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions, is_same_but_image, shape
from modelwright.inferenceservice.rollout import decision_log, steps
from modelwright.inferenceservice.rollout.readiness import explained, is_complete, ready_replicas
from modelwright.workload.podstatus import Problem


def promoted(revisions: Revisions, canary: CanaryRevision, observed: Observed, now: datetime) -> Revisions:
    """The canary has the traffic; the one before runs on for a while."""
    retired = _retired(revisions.stable, observed, now)
    bake = observed.spec.rollout.bake_seconds if retired is not None else 0
    stable = StableRevision(
        **shape(canary),
        since=to_timestamp(now),
        bake_until=to_timestamp(now + timedelta(seconds=bake)) if bake else None,
    )
    return Revisions(stable=stable, retired=retired)


def _retired(
    stable: StableRevision | None, observed: Observed, now: datetime, *, undone: bool | None = None
) -> RetiredRevision | None:
    if stable is None:
        return None
    told = observed.spec.rollout
    # As long as the new one may be taken back, there has to be one to go back to.
    seconds = (
        told.scale_down_delay_seconds if undone else max(told.scale_down_delay_seconds, told.bake_seconds)
    )
    until = to_timestamp(now + timedelta(seconds=seconds))
    return RetiredRevision(**shape(stable), until=until, undone=undone)


def still_retired(retired: RetiredRevision | None, now: datetime) -> RetiredRevision | None:
    """The revision before, as long as its pods run."""
    return retired if retired is not None and now < from_timestamp(retired.until) else None


def still_baking(stable: StableRevision | None, now: datetime) -> StableRevision | None:
    """The revision that has the traffic; once its time is over, it is not taken back any more."""
    if stable is None or stable.bake_until is None or now < from_timestamp(stable.bake_until):
        return stable
    return stable.model_copy(update={"bake_until": None})


def baked(revisions: Revisions, observed: Observed, now: datetime) -> Revisions:
    """The revision that has taken over, while it may still be taken back."""
    stable = revisions.stable
    if stable is None or stable.bake_until is None:
        return revisions
    verdict = _judged(stable, observed)
    if verdict is None or not _can_go_back(revisions, observed):
        return revisions
    back = taken_back(revisions, observed, now)
    problem = explained(observed, stable.revision, steps.problem(verdict))
    given_up = _as_failed(stable, problem, observed, now)
    decision = decision_log.measured(given_up, steps.Judged("Rollback", verdict), now)
    # Where the image alone was new, nothing is known against the model.
    blamed = back.stable is not None and not is_same_but_image(back.stable, stable)
    rejected = rejection(stable, problem, now) if blamed else None
    return replace(back, canary=given_up, decision=decision, rejected=rejected)


def _judged(stable: StableRevision, observed: Observed) -> Verdict | None:
    """The failure of a revision that is baked; None as long as there is none."""
    analysis = steps.asked(observed.spec)
    if crashed := judge_pods(analysis, observed.restarts(stable.revision)):
        return crashed
    verdict = judge_baking(analysis, counted_since(observed.measured, stable.since))
    return verdict if verdict.result == "Fail" else None


def is_way_back(revisions: Revisions, target: Revision, observed: Observed) -> bool:
    """Whether the revision that is asked for is the one before, and can answer at once."""
    retired = revisions.retired
    if retired is None or retired.revision != target.revision or retired.undone:
        return False
    return is_complete(observed.deployment(retired.revision), observed.spec.replicas)


def undone(revisions: Revisions, revision: str, observed: Observed, now: datetime) -> Revisions | str:
    """The parts after somebody wants the one before again, or why that cannot be."""
    stable, retired = revisions.stable, revisions.retired
    if stable is None or stable.revision != revision:
        return f"revision {revision} does not have the traffic"
    if retired is None or retired.undone:
        return "there is no revision before it that still runs; ask for its version in spec.model instead"
    if not _can_go_back(revisions, observed):
        return f"no pod of ModelVersion {retired.version} is ready"
    given_up = _as_failed(stable, Problem("Undone", "somebody asked for it"), observed, now)
    decision = decision_log.other(revision, given_up.step, "Rollback", "Undone", now)
    # Where another revision is asked for, that one is remembered: nobody tries the undone one again anyway.
    canary = revisions.canary or given_up
    return replace(taken_back(revisions, observed, now), canary=canary, decision=decision)


def taken_back(revisions: Revisions, observed: Observed, now: datetime) -> Revisions:
    """The one before has the traffic again."""
    before = revisions.retired
    if before is None:
        return revisions
    stable = StableRevision(**shape(before), since=to_timestamp(now))
    return Revisions(stable=stable, retired=_retired(revisions.stable, observed, now, undone=True))


def _can_go_back(revisions: Revisions, observed: Observed) -> bool:
    retired = revisions.retired
    return (
        retired is not None
        and not retired.undone
        and ready_replicas(observed.deployment(retired.revision)) > 0
    )


def failed(canary: CanaryRevision, problem: Problem, observed: Observed) -> CanaryRevision:
    """The canary, given up under the present spec."""
    told = {"reason": problem.reason, "message": problem.message, "generation": observed.generation}
    over = {"state": "Failed", "waiting_since": None, "stand_in_since": None}
    return canary.model_copy(update={**over, **told})


def _as_failed(stable: StableRevision, problem: Problem, observed: Observed, now: datetime) -> CanaryRevision:
    """A revision that had taken over, remembered as one that is not tried again."""
    return CanaryRevision(
        **shape(stable),
        state="Failed",
        since=stable.since or to_timestamp(now),
        step=max(len(steps.planned(observed.spec)) - 1, 0),
        generation=observed.generation,
        reason=problem.reason,
        message=problem.message,
    )


def rejection(revision: Revision, problem: Problem, now: datetime) -> Rejection:
    """The record of a model that was found bad."""
    return Rejection(
        at=to_timestamp(now),
        revision=revision.revision,
        version=revision.version,
        digest=revision.artifact.digest,
        reason=problem.reason,
    )
