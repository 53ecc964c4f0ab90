"""The canary answers all requests while no pod of the stable revision is ready. Pure.

A stable revision without a ready pod protects nobody: the Service selects the canary as soon as one of its pods is
ready, and the stable revision again as soon as one of its own is. Until then nothing is judged, for the requests in
between were never the canary's share, and nothing is rolled back to a revision that answers nobody. If the stable
revision does not come back within progressDeadlineSeconds, the canary takes over for good.
"""

from __future__ import annotations

from datetime import datetime

from modelwright.api.inferenceservice import CanaryRevision, StableRevision
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.rollout import steps
from modelwright.inferenceservice.rollout.readiness import deadline, has_ready_pods

# The reason of the condition Ready meanwhile, and of the decision that ends it.
STABLE_UNAVAILABLE = "StableUnavailable"


def is_lost(observed: Observed, stable: StableRevision | None) -> bool:
    """Whether the stable revision should answer, and no pod of it is ready."""
    return stable is not None and observed.spec.replicas > 0 and not has_ready_pods(observed, stable.revision)


def noted(
    canary: CanaryRevision | None, stable: StableRevision | None, observed: Observed, now: datetime
) -> CanaryRevision | None:
    """The canary with the moment since which it stands in, or without it once the stable revision is back.

    Then its step begins anew, as what was counted meanwhile is not of its share; so does the time for its pods, whose
    number changes. A canary that loses its pods while it stands in keeps its place: nobody else is ready.
    """
    if canary is None or canary.state == "Failed":
        return canary
    lost = is_lost(observed, stable)
    if canary.stand_in_since is not None and not lost:
        again = {} if canary.step_since is None else {"step_since": to_timestamp(now)}
        return canary.model_copy(update={"stand_in_since": None, "waiting_since": to_timestamp(now), **again})
    if canary.stand_in_since is None and lost and has_ready_pods(observed, canary.revision):
        return canary.model_copy(update={"stand_in_since": to_timestamp(now)})
    return canary


def answers(canary: CanaryRevision, observed: Observed) -> bool:
    """Whether it stands in, and is able to."""
    return canary.stand_in_since is not None and has_ready_pods(observed, canary.revision)


def takes_over(canary: CanaryRevision, observed: Observed, now: datetime) -> bool:
    """Whether it has stood in for long enough, and nobody wants it to wait."""
    if canary.stand_in_since is None or not answers(canary, observed) or must_wait(canary, observed):
        return False
    return now >= deadline(from_timestamp(canary.stand_in_since), observed)


def must_wait(canary: CanaryRevision, observed: Observed) -> bool:
    """Whether the canary may not take over without somebody's consent: it stands in for as long as it takes."""
    if canary.state == "Completing":
        return False
    return steps.is_paused(canary, observed.spec) or steps.awaits_approval(canary, observed.spec)
