"""The HTTPRoute that routes callers outside the cluster to the revisions, by weight and by header. Pure.

It names the canary's Service only while that has ready pods. A Service that the route no longer names stays until the
Gateway has observed the change (`held`), because a Gateway applies a route some time after it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelwright.api.gateway import Gateway
from modelwright.api.inferenceservice import CanaryRevision, StableRevision
from modelwright.common.resources import HTTP_ROUTES
from modelwright.engine.objects import Body, Key, metadata, name
from modelwright.engine.plan import Apply, Effect, deletions
from modelwright.inferenceservice.gateway import namespace_of, route_statuses
from modelwright.inferenceservice.manifests.names import GRPC, HTTP, canary_name, child_metadata
from modelwright.inferenceservice.manifests.services import selected
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout.readiness import ready_replicas
from modelwright.inferenceservice.rollout.steps import SHIFTING, rests

# The gRPC services, as paths.
CALLS = ("/inference.GRPCInferenceService", "/grpc.health.v1.Health")


def effects(observed: Observed, revisions: Revisions) -> Iterator[Effect]:
    """The route for the Gateway in the spec; the deletion of the route if the spec names none."""
    if observed.spec.gateway is None:
        yield from deletions(HTTP_ROUTES, observed.routes)
    elif revisions.stable is not None and observed.service is not None and observed.routes_unseen is None:
        yield _route(observed, observed.spec.gateway, revisions.stable, _routable(observed, revisions.canary))


def held(observed: Observed) -> list[Body]:
    """The Services other than the stable revision's that the Gateway may still route to."""
    route, outside = next(iter(observed.routes), None), observed.outside
    if route is None or outside is None or outside.status is False:
        return []
    is_observed = _is_observed(observed, route)
    return [service for service in observed.side_services if _names(route, name(service)) or not is_observed]


def gives_share(observed: Observed, canary: CanaryRevision) -> bool:
    """True if the route in the cluster gives the canary its weight."""
    rules = observed.routes[0]["spec"]["rules"] if observed.routes else ()
    shares = {ref.get("weight", 1) for ref in _backends(rules[-1:]) if ref["name"] == canary_name(observed)}
    return shares == ({canary.weight} if canary.weight else set())


def _routable(observed: Observed, canary: CanaryRevision | None) -> CanaryRevision | None:
    """The canary, if callers can be routed to it; else None."""
    if canary is None or canary.state not in SHIFTING or rests(canary) or observed.canary_service is None:
        return None
    selects_canary = selected(observed.canary_service) == canary.revision
    return canary if selects_canary and ready_replicas(observed.deployment(canary.revision)) > 0 else None


def _names(route: Body, service: str) -> bool:
    return any(ref["name"] == service for ref in _backends(route["spec"]["rules"]))


def _backends(rules: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for rule in rules:
        yield from rule["backendRefs"]


def _is_observed(observed: Observed, route: Body) -> bool:
    """True if all controllers that report on the route have observed its present generation."""
    seen = [
        c.get("observedGeneration", 0)
        for status in route_statuses(observed)
        for c in status.get("conditions") or ()
    ]
    return all(generation >= metadata(route)["generation"] for generation in seen)


def _route(
    observed: Observed, named: Gateway, stable: StableRevision, canary: CanaryRevision | None
) -> Apply:
    parent = {
        "group": HTTP_ROUTES.group,
        "kind": "Gateway",
        "namespace": namespace_of(observed, named),
        "name": named.name,
        **({"sectionName": named.section_name} if named.section_name else {}),
    }
    body = {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": HTTP_ROUTES.kind,
        "metadata": child_metadata(observed, observed.name),
        "spec": {
            "parentRefs": [parent],
            **({"hostnames": list(named.hostnames)} if named.hostnames else {}),
            "rules": list(_rules(observed, named, stable, canary)),
        },
    }
    return Apply(Key(HTTP_ROUTES, observed.namespace, observed.name), body)


def _rules(
    observed: Observed, named: Gateway, stable: StableRevision, canary: CanaryRevision | None
) -> Iterator[dict[str, Any]]:
    """The rules. A request follows the one with the longest matching path, and of these the one with a header."""
    model = f"/v2/models/{observed.name}"
    ports = {HTTP: (model,)} if named.scope == "Model" else {HTTP: ("/",), GRPC: CALLS}
    only_stable = {observed.name: 100}
    if canary is None:
        for port, paths in ports.items():
            yield _rule([_match(path) for path in paths], port, only_stable)
        return
    only_canary, traffic = {canary_name(observed): 100}, observed.spec.rollout.traffic
    for port, paths in ports.items():
        headers = (traffic.headers if traffic else None) or ()
        matches = [_match(path, (header.name, header.value)) for header in headers for path in paths]
        if matches:
            yield _rule(matches, port, only_canary)
    # A request that names a version goes to the revision of that version.
    if canary.version != stable.version:
        yield _rule([_match(f"{model}/versions/{canary.version}")], HTTP, only_canary)
        yield _rule([_match(f"{model}/versions/{stable.version}")], HTTP, only_stable)
    weight = canary.weight or 0
    split = {observed.name: 100 - weight, canary_name(observed): weight} if weight else only_stable
    for port, paths in ports.items():
        yield _rule([_match(path) for path in paths], port, split)


def _match(path: str, header: tuple[str, str] | None = None) -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "PathPrefix", "value": path}}
    if header is not None:
        match["headers"] = [{"type": "Exact", "name": header[0], "value": header[1]}]
    return match


def _rule(matches: list[dict[str, Any]], port: int, weights: dict[str, int]) -> dict[str, Any]:
    backends = [
        {"group": "", "kind": "Service", "name": service, "port": port, "weight": weight}
        for service, weight in weights.items()
    ]
    return {"matches": matches, "backendRefs": backends}
