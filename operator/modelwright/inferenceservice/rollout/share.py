"""Whether a canary really has the share of the traffic that its step gives it. Pure.

The share is in the status before anything follows from it, and what follows may be refused. A step counts for nothing
as long as no caller could reach the canary.
"""

from __future__ import annotations

from modelwright.api.inferenceservice import CanaryRevision, StableRevision
from modelwright.engine.objects import deleting
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.manifests import httproute, traffic_rule
from modelwright.inferenceservice.manifests.names import canary_name, config_name
from modelwright.inferenceservice.manifests.services import selected
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout import steps


def missing(observed: Observed, stable: StableRevision | None, canary: CanaryRevision) -> str | None:
    """The object that does not lead the step's share to the canary yet, in a clause; None if all do."""
    step = steps.current(canary, observed.spec)
    if (
        stable is None
        or step is None
        or canary.state != "Shifting"
        or not steps.reaches_canary(step, observed.spec)
    ):
        return None
    service = observed.canary_service
    if service is None or deleting(service) or selected(service) != canary.revision:
        return f"Service {canary_name(observed)} does not lead to its pods yet"
    name = config_name(observed, stable.revision)
    known = observed.config(name)
    wanted = traffic_rule.rules(observed, Revisions(stable, canary)).get(stable.revision)
    if known is None or known["data"].get(traffic_rule.FILE) != wanted:
        return f"ConfigMap {name} does not give it its share yet"
    if gateway.is_open(observed) and not httproute.gives_share(observed, canary):
        return f"HTTPRoute {observed.name} does not give it its share yet"
    return None
