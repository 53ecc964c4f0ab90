"""The canary answers all requests while no pod of the stable revision is ready: it stands in. Pure.

The Service selects the canary as soon as one of its pods is ready, and the stable revision again as soon as one of its
own is. Meanwhile no analysis is made, because the requests are not the canary's share, and there is no rollback,
because the stable revision answers nothing. If the stable revision does not come back within progressDeadlineSeconds,
the canary is promoted.
"""

from __future__ import annotations

from datetime import datetime

from modelwright.api.inferenceservice import CanaryRevision, StableRevision
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.rollout import steps
from modelwright.inferenceservice.rollout.readiness import deadline, has_ready_pods, hindrance

# The reason of Ready while the canary stands in, and of the decision to promote it.
STABLE_UNAVAILABLE = "StableUnavailable"


def is_lost(observed: Observed, stable: StableRevision | None) -> bool:
    """True if the stable revision should have pods, and none of them is ready."""
    return stable is not None and observed.spec.replicas > 0 and not has_ready_pods(observed, stable.revision)


def marked(
    canary: CanaryRevision | None, stable: StableRevision | None, observed: Observed, now: datetime
) -> CanaryRevision | None:
    """The canary, marked with the time since which it stands in, or unmarked once the stable revision is back.

    When the stable revision is back, the canary's step starts again, because the counts are not of its share. So does
    its deadline, because its number of pods changes. A canary that loses its pods meanwhile keeps its mark: no other
    revision is ready either.
    """
    if canary is None or canary.state == "Failed":
        return canary
    lost = is_lost(observed, stable)
    if canary.stand_in_since is not None and not lost:
        measured = canary.step_since is not None and not steps.rests(canary)
        restarted = steps.begun(canary, now) if measured else {}
        return canary.model_copy(
            update={"stand_in_since": None, "waiting_since": to_timestamp(now), **restarted}
        )
    if canary.stand_in_since is None and lost and has_ready_pods(observed, canary.revision):
        return canary.model_copy(update={"stand_in_since": to_timestamp(now)})
    return canary


def pods(canary: CanaryRevision, stable: StableRevision | None, observed: Observed) -> int:
    """How many pods the canary's Deployment is to have.

    None while it rests and the pods of the stable revision, which had all gone too, start: else it might be ready first
    and answer all requests. It does not wait for stable pods that something keeps from starting.
    """
    if steps.rests(canary) and is_starting(observed, stable):
        return 0
    return steps.replicas(canary, observed.spec, beside=stable is not None)


def is_starting(observed: Observed, stable: StableRevision | None) -> bool:
    """True if no pod of the stable revision is ready, and nothing is known that keeps them from it."""
    return stable is not None and is_lost(observed, stable) and hindrance(observed, stable.revision) is None


def answers(canary: CanaryRevision, observed: Observed) -> bool:
    """True if the canary stands in and has a ready pod."""
    return canary.stand_in_since is not None and has_ready_pods(observed, canary.revision)


def takes_over(canary: CanaryRevision, observed: Observed, now: datetime) -> bool:
    """True if the canary has stood in until the deadline, and needs no approval to be promoted."""
    if canary.stand_in_since is None or not answers(canary, observed) or must_wait(canary, observed):
        return False
    return now >= deadline(from_timestamp(canary.stand_in_since), observed)


def must_wait(canary: CanaryRevision, observed: Observed) -> bool:
    """True if the canary is paused or awaits approval: then it stands in without a deadline."""
    if canary.state == "Completing":
        return False
    return steps.is_paused(canary, observed.spec) or steps.awaits_approval(canary, observed.spec)
