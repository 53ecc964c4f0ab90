"""The HTTPRoute that leads callers outside to the revisions, by weight and by header, as a manifest. Pure.

It names the canary's Service only while pods of the canary are ready behind it. What it has named stays until the
Gateway has taken in that it does so no more (`held`): a Gateway follows later than the API server answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelwright.api.gateway import Gateway
from modelwright.api.inferenceservice import CanaryRevision, StableRevision
from modelwright.common.resources import HTTP_ROUTES
from modelwright.engine.objects import Body, Key, deleting, metadata, name, uid
from modelwright.engine.plan import Apply, Delete, Effect
from modelwright.inferenceservice.gateway import answers, namespace_of
from modelwright.inferenceservice.manifests.names import GRPC, HTTP, canary_name, child_metadata
from modelwright.inferenceservice.manifests.services import selected
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import Revisions
from modelwright.inferenceservice.rollout.readiness import ready_replicas
from modelwright.inferenceservice.rollout.steps import SHIFTING

# What gRPC callers call.
CALLS = ("/inference.GRPCInferenceService", "/grpc.health.v1.Health")


def effects(observed: Observed, revisions: Revisions) -> Iterator[Effect]:
    """The route of the Gateway that is named, and the end of one that no longer is."""
    if observed.spec.gateway is None:
        for found in observed.routes:
            if not deleting(found):
                yield Delete(Key(HTTP_ROUTES, observed.namespace, name(found)), uid(found))
    elif revisions.stable is not None and observed.service is not None and observed.routes_unseen is None:
        yield _route(observed, observed.spec.gateway, revisions.stable, _led_to(observed, revisions.canary))


def held(observed: Observed) -> list[Body]:
    """The Services besides the stable revision's that the Gateway may still lead callers to."""
    route, outside = next(iter(observed.routes), None), observed.outside
    if route is None or outside is None or outside.status is False:
        return []
    taken_in = _is_taken_in(observed, route)
    return [found for found in observed.side_services if _names(route, name(found)) or not taken_in]


def gives_share(observed: Observed, canary: CanaryRevision) -> bool:
    """Whether the route that is there gives the canary its weight."""
    rules = observed.routes[0]["spec"]["rules"] if observed.routes else ()
    shares = {ref.get("weight", 1) for ref in _backends(rules[-1:]) if ref["name"] == canary_name(observed)}
    return shares == ({canary.weight} if canary.weight else set())


def _led_to(observed: Observed, canary: CanaryRevision | None) -> CanaryRevision | None:
    """The canary, if callers can be led to it."""
    if canary is None or canary.state not in SHIFTING or observed.canary_service is None:
        return None
    there = selected(observed.canary_service) == canary.revision
    return canary if there and ready_replicas(observed.deployment(canary.revision)) > 0 else None


def _names(route: Body, service: str) -> bool:
    return any(ref["name"] == service for ref in _backends(route["spec"]["rules"]))


def _backends(rules: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for rule in rules:
        yield from rule["backendRefs"]


def _is_taken_in(observed: Observed, route: Body) -> bool:
    """Whether everybody who follows the route has seen it as it is."""
    seen = [c.get("observedGeneration", 0) for a in answers(observed) for c in a.get("conditions") or ()]
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
    """A request follows the rule with the longest path, and of these the one with a header."""
    model = f"/v2/models/{observed.name}"
    ports = {HTTP: (model,)} if named.scope == "Model" else {HTTP: ("/",), GRPC: CALLS}
    only_stable = {observed.name: 100}
    if canary is None:
        for port, paths in ports.items():
            yield _rule([_match(path) for path in paths], port, only_stable)
        return
    only_canary, told = {canary_name(observed): 100}, observed.spec.rollout.traffic
    for port, paths in ports.items():
        headers = (told.headers if told else None) or ()
        matches = [_match(path, (header.name, header.value)) for header in headers for path in paths]
        if matches:
            yield _rule(matches, port, only_canary)
    # Who names a version gets that version.
    if canary.version != stable.version:
        yield _rule([_match(f"{model}/versions/{canary.version}")], HTTP, only_canary)
        yield _rule([_match(f"{model}/versions/{stable.version}")], HTTP, only_stable)
    weight = canary.weight or 0
    split = {observed.name: 100 - weight, canary_name(observed): weight} if weight else only_stable
    for port, paths in ports.items():
        yield _rule([_match(path) for path in paths], port, split)


def _match(path: str, header: tuple[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"path": {"type": "PathPrefix", "value": path}}
    if header is not None:
        found["headers"] = [{"type": "Exact", "name": header[0], "value": header[1]}]
    return found


def _rule(matches: list[dict[str, Any]], port: int, weights: dict[str, int]) -> dict[str, Any]:
    backends = [
        {"group": "", "kind": "Service", "name": service, "port": port, "weight": weight}
        for service, weight in weights.items()
    ]
    return {"matches": matches, "backendRefs": backends}
