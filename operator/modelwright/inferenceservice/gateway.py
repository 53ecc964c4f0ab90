"""How an InferenceService stands with the Gateway that it names: which listeners fit, what came of its route, and where
callers outside go. Pure; the route itself is in `manifests.httproute`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelwright.api.gateway import Gateway
from modelwright.api.inferenceservice import InferenceServiceSpec
from modelwright.common.conditions import Aspect, Progress, Summary, reconciling, waiting
from modelwright.engine.objects import Body

if TYPE_CHECKING:  # which holds what is found out here
    from modelwright.inferenceservice.observed import Observed

ACCEPTED = "RouteAccepted"
SCHEMES = {"HTTPS": ("https", 443), "HTTP": ("http", 80)}
# As many listeners as a message speaks of.
TOLD = 5

Listener = Mapping[str, Any]


def aspect(observed: Observed) -> Aspect | None:
    """Whether the Gateway leads callers here; None if the spec names no Gateway."""
    named = observed.spec.gateway
    if named is None:
        return None
    return _obstacle(observed, named) or _answer(observed, named)


def is_open(observed: Observed) -> bool:
    """Whether callers come by the Gateway that is named."""
    found = observed.outside
    return found is not None and found.status is True


def paced(observed: Observed) -> InferenceServiceSpec:
    """The spec, with the rollout paused while the Gateway that has to split the traffic leads nobody here."""
    if observed.spec.gateway is None or is_open(observed):
        return observed.spec
    rollout = observed.spec.rollout.model_copy(update={"paused": True})
    return observed.spec.model_copy(update={"rollout": rollout})


def overruled(summary: Summary, outside: Aspect | None) -> Summary:
    """The summary, unless callers outside have none of what it says."""
    has_cause = summary.progress is Progress.STALLED or (summary.warning and not summary.ready)
    if outside is None or outside.status is True or has_cause:
        return summary
    if outside.status is False:
        return waiting(outside.reason, outside.message)
    done = summary.progress is Progress.DONE
    return reconciling(outside.reason, outside.message, ready=False) if done else summary


def url(observed: Observed) -> str | None:
    """Where callers outside go, as far as the Gateway says."""
    named, gateway = observed.spec.gateway, observed.gateway
    if named is None or gateway is None or not is_open(observed):
        return None
    listeners = [listener for listener, why in _judged(observed, gateway, named) if why is None]
    for listener in sorted(listeners, key=lambda found: list(SCHEMES).index(found["protocol"])):
        host = _host(listener, named) or _address(listener, named, gateway)
        if host is not None:
            scheme, usual = SCHEMES[listener["protocol"]]
            return f"{scheme}://{host}" + ("" if listener["port"] == usual else f":{listener['port']}")
    return None


def namespace_of(observed: Observed, named: Gateway) -> str:
    """The namespace of the Gateway."""
    return named.namespace or observed.namespace


def answers(observed: Observed) -> Iterator[Mapping[str, Any]]:
    """What is said of the route for the Gateway that is named; of others, what was said may be left."""
    if observed.spec.gateway is None:
        return
    wanted = namespace_of(observed, observed.spec.gateway), observed.spec.gateway.name
    for route in observed.routes:
        for parent in (route.get("status") or {}).get("parents") or ():
            ref = parent["parentRef"]
            if (ref.get("namespace") or observed.namespace, ref["name"]) == wanted:
                yield parent


def _obstacle(observed: Observed, named: Gateway) -> Aspect | None:
    """What keeps any route from leading here."""
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
    told = "; ".join(refusals[:TOLD]) or "it has none"
    return _closed("NoMatchingListener", f"no listener of {where} fits: {told}")


def _answer(observed: Observed, named: Gateway) -> Aspect:
    """What came of the route."""
    where = f"Gateway {named.name} in the namespace {namespace_of(observed, named)}"
    conditions = [c for parent in answers(observed) for c in parent.get("conditions") or ()]
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
    return Aspect(ACCEPTED, False, reason, message)


def _judged(observed: Observed, gateway: Body, named: Gateway) -> Iterator[tuple[Listener, str | None]]:
    """Each listener, and why it does not take the route."""
    for listener in gateway["spec"].get("listeners") or ():
        yield listener, _refusal(listener, named, same=namespace_of(observed, named) == observed.namespace)


def _refusal(listener: Listener, named: Gateway, *, same: bool) -> str | None:
    """Why a listener does not take the route. Whether it takes a namespace by its labels, its controller says."""
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
    """The names that both take; `*` where both take all."""
    for wanted in named.hostnames or ["*"]:
        found = _common(wanted, listener.get("hostname") or "*")
        if found is not None:
            yield found


def _common(one: str, other: str) -> str | None:
    """The names that two hostnames have in common, as a hostname: the narrower of them, if it lies in the wider."""
    for wide, narrow in ((one, other), (other, one)):
        if wide in (narrow, "*") or (wide.startswith("*.") and narrow.endswith(wide[1:])):
            return narrow
    return None


def _host(listener: Listener, named: Gateway) -> str | None:
    """The first name in common that can be called."""
    return next((host for host in _hosts(listener, named) if not host.startswith("*")), None)


def _address(listener: Listener, named: Gateway, gateway: Body) -> str | None:
    """The Gateway's own address, where any name will do."""
    addresses = (gateway.get("status") or {}).get("addresses") or ()
    if "*" not in _hosts(listener, named) or not addresses:
        return None
    value = str(addresses[0]["value"])
    return f"[{value}]" if ":" in value else value
