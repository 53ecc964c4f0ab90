"""The status of an InferenceService after one reconcile, without its conditions. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.api.inferenceservice import Address, InferenceServiceStatus, Revision
from modelwright.common.resources import INFERENCE_SERVICE, REVISION
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.manifests.names import canary_url, url
from modelwright.inferenceservice.monitoring.state import Watch
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout import decision_log
from modelwright.inferenceservice.rollout.readiness import existing_replicas, ready_replicas
from modelwright.inferenceservice.rollout.steps import planned, replicas

# The most request tokens that the status keeps.
HANDLED = 32


def record(observed: Observed, revisions: Revisions, watched: Watch | None = None) -> InferenceServiceStatus:
    """Returns the status: the revisions with their counts of pods, the requests handled, and the decisions."""
    before = observed.status
    stable, canary = revisions.stable, revisions.canary
    if stable is not None:
        stable = stable.model_copy(update=_counts(observed, stable, observed.spec.replicas))
    if canary is not None:
        needed = replicas(canary, observed.spec, beside=stable is not None)
        update = _counts(observed, canary, needed)
        if stable is not None and revisions.starting is not None and planned(observed.spec):
            # Not before the Service exists: another object may have its name.
            update["url"] = canary_url(observed) if observed.canary_service is not None else None
        canary = canary.model_copy(update=update)
    serving = stable or revisions.starting
    pods = None if serving is None else observed.deployment(serving.revision)
    return InferenceServiceStatus(
        observed_generation=observed.generation,
        url=(gateway.url(observed) or url(observed)) if stable else None,
        address=Address(url=url(observed)) if stable else None,
        replicas=existing_replicas(pods),
        ready_replicas=ready_replicas(pods),
        selector=_selector(observed.name, revisions),
        stable=stable,
        canary=canary,
        retired=revisions.retired,
        last_handled_request=before.last_handled_request if revisions.handled is None else revisions.handled,
        handled_requests=_handled(before, revisions.handled),
        last_decision=revisions.decision or before.last_decision,
        history=decision_log.history(before.last_decision, before.history, revisions.decision),
        rejected=list(revisions.rejected) or None,
        monitoring=None if watched is None else watched.status(),
    )


def _selector(name: str, revisions: Revisions) -> str:
    """The labels of the pods that carry the load of callers.

    An autoscaler multiplies what the pods use on average by the number of pods that it selects. Pods beside the load
    (of the retired revision, of a canary without a share) would hide a load from it, and a metric that does not follow
    the load would raise the number at each of its looks. It reads the labels at each look.
    """
    stable, canary = revisions.stable, revisions.starting
    if stable is not None and canary is not None and not (canary.weight or canary.stand_in_since):
        canary = None
    carrying = ",".join(revision.revision for revision in (stable, canary) if revision is not None)
    return f"{INFERENCE_SERVICE}={name}," + (f"{REVISION} in ({carrying})" if carrying else f"!{REVISION}")


def decisive(status: InferenceServiceStatus) -> InferenceServiceStatus:
    """The part of a status that anything follows from: without conditions, and what counts pods."""
    counts = {"replicas": 0, "ready_replicas": 0}
    stable, canary = status.stable, status.canary
    return status.model_copy(
        update={
            "conditions": [],
            "observed_generation": None,
            "selector": None,
            **counts,
            "stable": None if stable is None else stable.model_copy(update=counts),
            "canary": None if canary is None else canary.model_copy(update=counts),
        }
    )


def _handled(before: InferenceServiceStatus, token: str | None) -> list[str] | None:
    """The tokens of the requests that were handled, the newest first."""
    tokens = before.handled_requests or ([before.last_handled_request] if before.last_handled_request else [])
    return [*([] if token is None else [token]), *tokens][:HANDLED] or None


def _counts(observed: Observed, revision: Revision, needed: int) -> dict[str, Any]:
    """The counts of pods of a revision that needs this many."""
    deployment = observed.deployment(revision.revision)
    return {"replicas": needed, "ready_replicas": ready_replicas(deployment)}
