"""Callers who come by a Gateway: a real Traefik splits them between the revisions as the routes say."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import sqrt
from typing import Any

import pytest
from cluster import kind, processes
from cluster.settings import GATEWAY_CLASS, GATEWAY_HTTP, NODE_ADDRESS
from support import handmade
from support.kubectl import Kubectl, Object, condition, message
from support.load import Callers, calling
from support.manifests import inference_service
from support.models import failing_on_data, valid_model

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator", "traefik"),
    pytest.mark.skipif(
        kind.engine_answers(), reason="Traefik runs on this host, where it reaches no pod of kind"
    ),
]

REQUEST = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [[3.0, 4.0]]}]}
FILES = {"one": valid_model(), "two": valid_model() + b"\x1a\x03two", "fails": failing_on_data()}
STEPS = [{"weight": 30, "holdSeconds": 3}, {"weight": 60, "holdSeconds": 3}]
ASKED = 400


@pytest.fixture(scope="session")
def traefik() -> None:
    """The Gateway API and its controller, on this cluster."""
    if "traefik" not in processes.running():
        pytest.fail("no Traefik: run `make gateway` first, or `make test`, which does")


@pytest.fixture(scope="module")
def published(shared: Kubectl) -> Kubectl:
    """Three versions that can be served."""
    handmade.versions(shared, "doubles", FILES, within=120)
    return shared


@pytest.fixture
def versions(published: Kubectl) -> Iterator[Kubectl]:
    """The versions, and no service of an earlier test."""
    yield published
    published.run("delete", "mwisvc,gateway", "--all", "--cascade=foreground")


@pytest.fixture
def served(versions: Kubectl) -> Kubectl:
    """Version `one` has all of the traffic that comes by the Gateway."""
    versions.apply(gateway(), service(versions, "one"))
    versions.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=120)
    soon(versions, 20, {"one": 20})
    return versions


def gateway(**listener: Any) -> Object:
    """A Gateway with one listener, for all names unless told otherwise."""
    listeners = [{"name": "web", "protocol": "HTTP", "port": GATEWAY_HTTP, **listener}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "outside"},
        "spec": {"gatewayClassName": GATEWAY_CLASS, "listeners": listeners},
    }


def host(kubectl: Kubectl) -> str:
    """The name that callers ask for: of the namespace, as all share one Traefik."""
    return f"{kubectl.namespace}.example.com"


def service(kubectl: Kubectl, version: str, named: Object | None = None, **rollout: Any) -> Object:
    told = {
        "strategy": "Canary",
        "steps": STEPS,
        "analysis": {"minSamples": 30},
        "scaleDownDelaySeconds": 3,
        **rollout,
    }
    reached = {"name": "outside", "hostnames": [host(kubectl)], "scope": "Host", **(named or {})}
    return inference_service("doubles", version=version, replicas=2, rollout=told, gateway=reached)


@contextmanager
def callers(kubectl: Kubectl) -> Iterator[Callers]:
    """Clients of every kind that come by the Gateway."""
    with calling(NODE_ADDRESS, GATEWAY_HTTP, GATEWAY_HTTP, "doubles", REQUEST, host(kubectl)) as found:
        yield found


def asked(kubectl: Kubectl, times: int, path: str = "/v2/models/doubles", **headers: str) -> Counter[str]:
    """How many of so many requests each version answered."""
    connection = http.client.HTTPConnection(NODE_ADDRESS, GATEWAY_HTTP, timeout=10)
    seen: Counter[str] = Counter()
    for _ in range(times):
        connection.request("POST", f"{path}/infer", json.dumps(REQUEST), {"Host": host(kubectl), **headers})
        answer = connection.getresponse()
        content = answer.read()
        seen[json.loads(content)["model_version"] if answer.status == 200 else str(answer.status)] += 1
    connection.close()
    return seen


def soon(
    kubectl: Kubectl, times: int, wanted: dict[str, int], path: str = "/v2/models/doubles", **headers: str
) -> None:
    """Waits for these answers: Traefik says that it has taken a route in, and acts on it up to two seconds later."""
    seen: list[Counter[str]] = []

    def answers_so(_: Object) -> bool:
        seen.append(asked(kubectl, times, path, **headers))
        return seen[-1] == wanted

    try:
        kubectl.wait("mwisvc", "doubles", answers_so, within=30, what="answering so")
    except AssertionError as error:
        error.add_note(f"the last answers: {seen[-3:]}")
        raise


def has_weight(weight: int) -> Any:
    """Whether the Gateway's route gives the canary this share and the Gateway has taken that in."""

    def holds(route: Object) -> bool:
        weights = {
            ref["name"]: ref["weight"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]
        }
        parents = route.get("status", {}).get("parents", [])
        seen = [c["observedGeneration"] for parent in parents for c in parent["conditions"]]
        current = bool(seen) and min(seen) == route["metadata"]["generation"]
        return current and [share for name, share in weights.items() if name != "doubles"] == [weight]

    return holds


def test_a_good_version_takes_over_at_the_gateway_and_no_request_is_lost(served: Kubectl) -> None:
    with callers(served) as clients:
        served.apply(service(served, "two", paused=True))
        served.wait("httproute", "doubles", has_weight(30), what="30 % for the canary")
        served.wait("mwisvc", "doubles", lambda _: asked(served, 20)["two"] > 0, what="the new share")
        seen = asked(served, ASKED)
        served.apply(service(served, "two"))
        done = served.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=180)
        served.wait("mwisvc", "doubles", lambda found: "retired" not in found["status"], within=60)
        served.wait("mwisvc", "doubles", lambda _: len(served.all("deployment")) == 1, within=60)
        clients.answered_everywhere()
        lost = clients.stop()

    assert lost["failed"] == {}, lost
    assert set(seen) == {"one", "two"}
    assert abs(seen["two"] - 0.3 * ASKED) < 5 * sqrt(ASKED * 0.3 * 0.7), seen
    assert done["status"]["stable"]["version"] == "two"
    assert asked(served, 20) == {"two": 20}
    services = served.all("service", "modelwright.dev/inference-service=doubles")
    assert [found["metadata"]["name"] for found in services] == ["doubles"]


def test_a_bad_version_costs_no_more_than_its_share_until_it_is_rolled_back(served: Kubectl) -> None:
    with callers(served) as clients:
        before = total(clients.seen()["answered"])
        served.apply(service(served, "fails"))
        refused = served.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=120)
        served.wait("mwisvc", "doubles", lambda _: len(served.all("deployment")) == 1, within=60)
        clients.answered_everywhere()
        lost = clients.stop()

    failed, answered = total(lost["failed"]), total(lost["answered"]) - before
    assert 0 < failed < 0.45 * (failed + answered), lost
    assert "RefusesCallers" in message(refused)
    assert refused["status"]["stable"]["version"] == "one"
    assert condition(refused, "Available")["status"] == "True"  # type: ignore[index]
    soon(served, 20, {"one": 20})


def total(counts: dict[str, int]) -> int:
    return sum(counts.values())


def test_a_header_or_the_version_in_the_path_decides_who_answers(served: Kubectl) -> None:
    chosen = {"headers": [{"name": "X-Version", "value": "next"}]}
    shadow = [{"weight": 0, "mirror": 10, "holdSeconds": 3}, {"weight": 50, "holdSeconds": 3}]
    served.apply(service(served, "two", steps=shadow, traffic=chosen, paused=True))
    served.condition("mwisvc", "doubles", "Ready", "False", "CanaryPaused", within=120)

    # While the only pod of the canary is not ready for a moment, as on a busy node, the route leaves it out.
    soon(served, 20, {"two": 20}, **{"X-Version": "next"})
    soon(served, 20, {"one": 20})
    soon(served, 20, {"two": 20}, "/v2/models/doubles/versions/two")
    soon(served, 20, {"one": 20}, "/v2/models/doubles/versions/one", **{"X-Version": "next"})


def test_callers_are_told_where_to_go_and_many_models_share_a_name(versions: Kubectl) -> None:
    named = {"scope": "Model"}
    other = inference_service(
        "other", version="two", gateway={"name": "outside", "hostnames": [host(versions)]}
    )
    versions.apply(gateway(), service(versions, "one", named), other)
    found = versions.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=120)
    versions.condition("mwisvc", "other", "Ready", "True", "Serving", within=120)

    assert found["status"]["url"] == f"http://{host(versions)}:{GATEWAY_HTTP}"
    inside = f"http://doubles.{versions.namespace}.svc"
    assert found["status"]["address"] == {"url": inside}
    soon(versions, 10, {"one": 10})
    soon(versions, 10, {"two": 10}, "/v2/models/other")
    assert asked(versions, 1, "/v2/models/third") == {"404": 1}


def test_what_is_wrong_with_the_gateway_is_said_and_the_service_serves_on(versions: Kubectl) -> None:
    versions.apply(service(versions, "one"))
    versions.condition("mwisvc", "doubles", "Available", "True", within=120)
    found = versions.condition("mwisvc", "doubles", "Ready", "False", "GatewayNotFound", within=10)
    assert condition(found, "RouteAccepted")["reason"] == "GatewayNotFound"  # type: ignore[index]
    assert found["status"]["url"] == found["status"]["address"]["url"]

    versions.apply(gateway(hostname="other.example.com"))
    found = versions.condition("mwisvc", "doubles", "Ready", "False", "NoMatchingListener", within=60)
    assert "web is for other.example.com only" in message(found)

    versions.apply(gateway(hostname="*.example.com"))
    versions.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=60)

    versions.delete("gateway", "outside")
    found = versions.condition("mwisvc", "doubles", "Ready", "False", "GatewayNotFound", within=60)
    assert condition(found, "Available")["status"] == "True"  # type: ignore[index]


def test_the_route_goes_with_the_gateway_in_the_spec_and_with_the_service(served: Kubectl) -> None:
    served.run(
        "patch", "mwisvc", "doubles", "--type=json", "-p", '[{"op": "remove", "path": "/spec/gateway"}]'
    )
    served.wait("mwisvc", "doubles", lambda _: served.find("httproute", "doubles") is None, what="no route")
    found = served.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=60)
    assert condition(found, "RouteAccepted") is None

    served.apply(service(served, "one"))
    served.condition("mwisvc", "doubles", "RouteAccepted", "True", "Accepted", within=60)
    served.delete("mwisvc", "doubles")
    served.wait(
        "namespace", served.namespace, lambda _: served.find("httproute", "doubles") is None, what="gone"
    )


@pytest.mark.parametrize(
    ("named", "rollout", "told"),
    [
        ({"hostnames": ["10.0.0.1"]}, {}, "an address is none"),
        ({"hostnames": ["Upper.example.com"]}, {}, "hostnames[0]"),
        ({"hostnames": [], "scope": "Host"}, {}, "say in hostnames which"),
        ({}, {"traffic": {"sticky": "X-User"}}, "leave out rollout.traffic.sticky"),
    ],
)
def test_what_cannot_work_with_a_gateway_is_refused(
    shared: Kubectl, named: Object, rollout: dict[str, Any], told: str
) -> None:
    assert told in shared.refuses(service(shared, "one", named, **rollout))
