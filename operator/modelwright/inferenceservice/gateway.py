"""The Gateway that an InferenceService names: which listeners match, whether it accepted the route, and the URL for
callers outside the cluster. Pure; the route itself is made in `manifests.httproute`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelwright.api.gateway import Gateway
from modelwright.api.inferenceservice import InferenceServiceSpec
from modelwright.common.conditions import Aspect, Progress, Summary, reconciling, waiting
from modelwright.engine.objects import Body

if TYPE_CHECKING:  # `observed` imports this module
    from modelwright.inferenceservice.observed import Observed

ACCEPTED = "RouteAccepted"
SCHEMES = {"HTTPS": ("https", 443), "HTTP": ("http", 80)}
# The most listeners that a message names.
MOST_LISTENERS = 5

Listener = Mapping[str, Any]


def aspect(observed: Observed) -> Aspect | None:
    """The condition RouteAccepted; None if the spec names no Gateway."""
    named = observed.spec.gateway
    if named is None:
        return None
    return _obstacle(observed, named) or _answer(observed, named)


def is_open(observed: Observed) -> bool:
    """True if the Gateway in the spec has accepted the route."""
    accepted = observed.outside
    return accepted is not None and accepted.status is True


def paced(observed: Observed) -> InferenceServiceSpec:
    """The spec; with the rollout paused while the Gateway, which splits the traffic, has not accepted the route."""
    if observed.spec.gateway is None or is_open(observed):
        return observed.spec
    rollout = observed.spec.rollout.model_copy(update={"paused": True})
    return observed.spec.model_copy(update={"rollout": rollout})


def overruled(summary: Summary, outside: Aspect | None) -> Summary:
    """The summary; if the Gateway does not route callers here, the reason and message of that instead."""
    has_cause = summary.progress is Progress.STALLED or (summary.warning and not summary.ready)
    if outside is None or outside.status is True or has_cause:
        return summary
    if outside.status is False:
        return waiting(outside.reason, outside.message)
    done = summary.progress is Progress.DONE
    return reconciling(outside.reason, outside.message, ready=False) if done else summary


def url(observed: Observed) -> str | None:
    """The URL for callers outside the cluster; None if the Gateway gives none."""
    named, gateway = observed.spec.gateway, observed.gateway
    if named is None or gateway is None or not is_open(observed):
        return None
    listeners = [listener for listener, why in _judged(observed, gateway, named) if why is None]
    for listener in sorted(listeners, key=lambda listener: list(SCHEMES).index(listener["protocol"])):
        host = _host(listener, named) or _address(listener, named, gateway)
        if host is not None:
            scheme, usual = SCHEMES[listener["protocol"]]
            return f"{scheme}://{host}" + ("" if listener["port"] == usual else f":{listener['port']}")
    return None


def namespace_of(observed: Observed, named: Gateway) -> str:
    """The namespace of the Gateway."""
    return named.namespace or observed.namespace


def route_statuses(observed: Observed) -> Iterator[Mapping[str, Any]]:
    """Yields the route's status for the Gateway in the spec. Entries for other Gateways may be out of date."""
    if observed.spec.gateway is None:
        return
    gateway = namespace_of(observed, observed.spec.gateway), observed.spec.gateway.name
    for route in observed.routes:
        for parent in (route.get("status") or {}).get("parents") or ():
            ref = parent["parentRef"]
            if (ref.get("namespace") or observed.namespace, ref["name"]) == gateway:
                yield parent


def _obstacle(observed: Observed, named: Gateway) -> Aspect | None:
    """RouteAccepted, if it is False whatever the route is; None if nothing is in the way."""
    where = f"Gateway {named.name} in the namespace {namespace_of(observed, named)}"
    if "Unserved" in (observed.routes_unseen, observed.gateway_unseen):
        return _closed(
            "GatewayAPINotInstalled",
            "the cluster has no Gateway API (gateway.networking.k8s.io/v1): install it and a controller of Gateways, "
            "or leave out spec.gateway",
        )
    if observed.routes_unseen is not None:
        return _closed("RouteForbidden", "the operator may not read HTTPRoutes: grant it what the chart does")
    if observed.gateway_unseen is not None:
        return None
    if observed.gateway is None:
        return _closed("GatewayNotFound", f"there is no {where}")
    refusals = [
        f"{listener.get('name')} {why}"
        for listener, why in _judged(observed, observed.gateway, named)
        if why is not None
    ]
    if len(refusals) < len(observed.gateway["spec"].get("listeners") or ()):
        return None
    reasons = "; ".join(refusals[:MOST_LISTENERS]) or "it has none"
    return _closed("NoMatchingListener", f"no listener of {where} fits: {reasons}")


def _answer(observed: Observed, named: Gateway) -> Aspect:
    """RouteAccepted, by the status of the route."""
    where = f"Gateway {named.name} in the namespace {namespace_of(observed, named)}"
    conditions = [c for parent in route_statuses(observed) for c in parent.get("conditions") or ()]
    for kind in ("Accepted", "ResolvedRefs"):
        refusal = next((c for c in conditions if c["type"] == kind and c["status"] == "False"), None)
        if refusal is not None:
            why = refusal.get("message") or refusal["reason"]
            return _closed(refusal["reason"], f"{where} does not follow the route: {why}")
    if any(c["type"] == "Accepted" and c["status"] == "True" for c in conditions):
        return Aspect(ACCEPTED, True, "Accepted", f"{where} leads callers to the Service")
    if observed.gateway_unseen is not None:
        unseen = "the operator may not read Gateways there, so whether it exists is not known"
        return Aspect(ACCEPTED, None, "GatewayNotReadable", f"{where} has not answered; {unseen}")
    return Aspect(ACCEPTED, None, "RoutePending", f"{where} has not answered yet")


def _closed(reason: str, message: str) -> Aspect:
    """RouteAccepted is False."""
    return Aspect(ACCEPTED, False, reason, message)


def _judged(observed: Observed, gateway: Body, named: Gateway) -> Iterator[tuple[Listener, str | None]]:
    """Yields each listener, and why it does not take the route (None if it does)."""
    for listener in gateway["spec"].get("listeners") or ():
        yield listener, _refusal(listener, named, same=namespace_of(observed, named) == observed.namespace)


def _refusal(listener: Listener, named: Gateway, *, same: bool) -> str | None:
    """Why a listener does not take the route; None if it may. A selector of namespaces is left to the controller."""
    allowed = listener.get("allowedRoutes") or {}
    kinds = allowed.get("kinds") or ()
    if named.section_name not in (None, listener["name"]):
        return "is not the one that spec.gateway.sectionName names"
    if listener["protocol"] not in SCHEMES:
        return f"speaks {listener['protocol']}, not HTTP"
    if not same and (allowed.get("namespaces") or {}).get("from", "Same") == "Same":
        return "takes routes of its own namespace only"
    if kinds and not any(kind["kind"] == "HTTPRoute" for kind in kinds):
        return "takes no HTTPRoutes"
    if not list(_hosts(listener, named)):
        return f"is for {listener.get('hostname')} only"
    return None


def _hosts(listener: Listener, named: Gateway) -> Iterator[str]:
    """The hostnames that both the listener and the spec allow; `*` if both allow all."""
    for hostname in named.hostnames or ["*"]:
        host = _common(hostname, listener.get("hostname") or "*")
        if host is not None:
            yield host


def _common(one: str, other: str) -> str | None:
    """The intersection of two hostnames: the narrower one, if the wider one covers it; None if it is empty."""
    for wide, narrow in ((one, other), (other, one)):
        if wide in (narrow, "*") or (wide.startswith("*.") and narrow.endswith(wide[1:])):
            return narrow
    return None


def _host(listener: Listener, named: Gateway) -> str | None:
    """The first common hostname without a wildcard."""
    return next((host for host in _hosts(listener, named) if not host.startswith("*")), None)


def _address(listener: Listener, named: Gateway, gateway: Body) -> str | None:
    """The Gateway's own address, if any hostname is allowed."""
    addresses = (gateway.get("status") or {}).get("addresses") or ()
    if "*" not in _hosts(listener, named) or not addresses:
        return None
    value = str(addresses[0]["value"])
    return f"[{value}]" if ":" in value else value
