"""The status of an InferenceService as one look leaves it, all but its conditions. Pure.

What is kept of rejected models is what quarantines their ModelVersions.
"""

from __future__ import annotations

from typing import Any

from modelwright.api.inferenceservice import Address, InferenceServiceStatus, Rejection, Revision
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.manifests.names import canary_url, url
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout import decision_log
from modelwright.inferenceservice.rollout.readiness import ready_replicas
from modelwright.inferenceservice.rollout.steps import planned, replicas

# As many rejected models as the status keeps.
REJECTED = 20


def record(observed: Observed, revisions: Revisions) -> InferenceServiceStatus:
    """What is known of the revisions now, and what was decided."""
    before = observed.status
    stable, canary = revisions.stable, revisions.canary
    if stable is not None:
        stable = stable.model_copy(update=_counts(observed, stable, observed.spec.replicas))
    if canary is not None:
        update = _counts(observed, canary, replicas(canary, observed.spec, beside=stable is not None))
        if stable is not None and revisions.starting is not None and planned(observed.spec):
            # Not before the Service is there: its name may be taken.
            update["url"] = canary_url(observed) if observed.canary_service is not None else None
        canary = canary.model_copy(update=update)
    return InferenceServiceStatus(
        observed_generation=observed.generation,
        url=(gateway.url(observed) or url(observed)) if stable else None,
        address=Address(url=url(observed)) if stable else None,
        replicas=ready_replicas(observed.deployment(stable.revision)) if stable else 0,
        stable=stable,
        canary=canary,
        retired=revisions.retired,
        last_handled_request=before.last_handled_request if revisions.handled is None else revisions.handled,
        last_decision=revisions.decision or before.last_decision,
        history=decision_log.history(before.last_decision, before.history, revisions.decision),
        rejected=_rejected(observed, revisions),
    )


def _rejected(observed: Observed, revisions: Revisions) -> list[Rejection] | None:
    """The models that were found bad, the newest first; not one that serves by now, or may be tried again."""
    new, known = revisions.rejected, observed.status.rejected or []
    good = revisions.stable.artifact.digest if revisions.stable is not None else None
    gone = {good, new.digest if new else None}
    kept = [found for found in known if found.digest not in gone and found.revision != revisions.forgiven]
    return [*([new] if new else []), *kept][:REJECTED] or None


def _counts(observed: Observed, revision: Revision, wanted: int) -> dict[str, Any]:
    found = observed.deployment(revision.revision)
    return {"replicas": wanted, "ready_replicas": ready_replicas(found)}
