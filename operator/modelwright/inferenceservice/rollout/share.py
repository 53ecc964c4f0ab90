"""Whether the share of the traffic of a canary's step has taken effect. Pure.

The status holds the share before the objects that implement it are written, and those writes may be refused. Until
requests can reach the canary, its step must not pass.
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
    """Which object does not implement the canary's share yet, as a clause for messages; None if all do."""
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
    config = observed.config(name)
    rule = traffic_rule.rules(observed, Revisions(stable, canary)).get(stable.revision)
    if config is None or config["data"].get(traffic_rule.EARLIER_FILE) != rule:
        return f"ConfigMap {name} does not give it its share yet"
    if gateway.is_open(observed) and not httproute.gives_share(observed, canary):
        return f"HTTPRoute {observed.name} does not give it its share yet"
    return None
