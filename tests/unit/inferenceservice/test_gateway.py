"""An InferenceService that names a Gateway: its route splits, and what is wrong with the Gateway is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from unit.given.resources import InferenceService, a_service, a_version, a_world
from unit.given.world import NAMESPACE, World
from unit.inferenceservice.rollout.test_canary import after, measures, rollout, rule

from modelwright.common.resources import GATEWAYS, HTTP_ROUTES, REVISION, SERVICES
from modelwright.engine.cache import Blindness
from modelwright.engine.objects import Body, Key, uid
from modelwright.engine.plan import Apply, Delete

OUTSIDE = {"name": "outside"}
ROUTE = Key(HTTP_ROUTES, NAMESPACE, "churn")
WEB = {"name": "web", "protocol": "HTTP", "port": 80}
STEPS = ({"weight": 10, "holdSeconds": 60}, {"weight": 50, "holdSeconds": 120})


def a_gateway(world: World, *listeners: Mapping[str, Any], namespace: str = NAMESPACE) -> Key:
    """The Gateway `outside`, as somebody has just applied it."""
    key = Key(GATEWAYS, namespace, "outside")
    world.api.put(key, {"metadata": {}, "spec": {"listeners": list(listeners or [WEB])}})
    world.watch()
    return key


def served(world: World | None = None, gateway: Mapping[str, Any] = OUTSIDE, **more: Any) -> InferenceService:
    """churn-1 serves, with two pods."""
    world = world or a_world()
    a_version(world).is_verified()
    told = {"replicas": 4, "rollout": rollout(*STEPS), "gateway": dict(gateway), **more}
    return a_service(world, **told).serves(told["replicas"])


def reached(**more: Any) -> InferenceService:
    """The same, and the Gateway leads callers there."""
    world = a_world()
    a_gateway(world)
    return taken_in(served(world, **more))


def with_a_share(**more: Any) -> InferenceService:
    """churn-2 has its first share."""
    service = reached(**more)
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    service.has_ready(service.deployed[service.revision("canary")]).settles()
    return taken_in(service)


def taken_in(
    service: InferenceService, kind: str = "Accepted", status: str = "True", **more: str
) -> InferenceService:
    """The Gateway's controller has seen the route as it is."""
    told = {"type": kind, "status": status, "reason": kind, "message": "", "observedGeneration": 0, **more}
    told["observedGeneration"] = route(service)["metadata"]["generation"]
    (parent,) = route(service)["spec"]["parentRefs"]
    service.world.edit(ROUTE, status={"parents": [{"parentRef": parent, "conditions": [told]}]})
    return service.settles()


def route(service: InferenceService) -> Body:
    return service.world.api.objects[ROUTE]


def split(
    service: InferenceService, path: str = "/v2/models/churn", *headers: tuple[str, str]
) -> dict[str, int]:
    """Where the route leads requests to a path with these headers, by port and Service."""
    wanted = [{"type": "Exact", "name": name, "value": value} for name, value in headers]
    (found,) = [
        rule["backendRefs"]
        for rule in route(service)["spec"]["rules"]
        for match in rule["matches"]
        if match["path"] == {"type": "PathPrefix", "value": path} and match.get("headers", []) == wanted
    ]
    return {f"{ref['name']}:{ref['port']}": ref["weight"] for ref in found}


def accepted(service: InferenceService) -> tuple[str, str]:
    found = service.condition("RouteAccepted")
    return found["status"], found["reason"]


def canary_service(service: InferenceService) -> Body | None:
    return service.world.api.objects.get(Key(SERVICES, NAMESPACE, service.canary_name))


class TestWithoutACanary:
    def test_nobody_hears_of_gateways_who_names_none(self) -> None:
        world = a_world()
        a_version(world).is_verified()
        service = a_service(world).serves()

        assert [c["type"] for c in service.status["conditions"]] == ["Ready", "Available"]
        assert ROUTE not in world.api.objects

    def test_the_route_leads_to_the_service(self) -> None:
        service = reached(
            gateway={"name": "outside", "hostnames": ["churn.example.com"], "sectionName": "web"}
        )

        spec = route(service)["spec"]
        assert spec["parentRefs"] == [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "namespace": NAMESPACE,
                "name": "outside",
                "sectionName": "web",
            }
        ]
        assert spec["hostnames"] == ["churn.example.com"]
        assert len(spec["rules"]) == 1
        assert split(service) == {"churn:80": 100}
        assert (service.reason, accepted(service)) == ("Serving", ("True", "Accepted"))

    def test_a_host_of_its_own_takes_grpc_as_well(self) -> None:
        service = reached(gateway={"name": "outside", "hostnames": ["churn.example.com"], "scope": "Host"})

        assert split(service, "/") == {"churn:80": 100}
        assert split(service, "/inference.GRPCInferenceService") == {"churn:8081": 100}
        assert split(service, "/grpc.health.v1.Health") == {"churn:8081": 100}

    def test_there_is_no_route_before_there_is_somebody_to_answer(self) -> None:
        world = a_world()
        a_gateway(world)
        a_version(world).is_verified()
        service = a_service(world, gateway=OUTSIDE).settles()

        assert ROUTE not in world.api.objects
        assert accepted(service) == ("Unknown", "RoutePending")
        assert service.reason == "RevisionStarting"

    def test_the_route_goes_when_no_gateway_is_named_any_more(self) -> None:
        service = reached()
        service.world.api.edit(service.key, lambda body: body["spec"].pop("gateway"))
        service.world.watch()
        service.settles()

        assert ROUTE not in service.world.api.objects
        assert service.is_ready
        assert [c["type"] for c in service.status["conditions"]] == ["Ready", "Available"]


class TestSplit:
    def test_the_gateway_splits_and_the_pods_do_not_split_again(self) -> None:
        service = with_a_share()

        assert split(service) == {"churn:80": 90, f"{service.canary_name}:80": 10}
        assert rule(service)["weight"] == 0  # type: ignore[index]
        assert service.status["canary"]["weight"] == 10

    def test_the_pods_go_on_mirroring(self) -> None:
        service = with_a_share(rollout=rollout({"weight": 10, "mirror": 30}))

        assert (rule(service)["weight"], rule(service)["mirror"]) == (0, 30)  # type: ignore[index]

    def test_a_share_of_nothing_is_no_share(self) -> None:
        service = with_a_share(rollout=rollout({"weight": 0, "mirror": 30}))

        assert split(service) == {"churn:80": 100}

    def test_a_header_leads_to_the_canary_whatever_the_weight(self) -> None:
        chosen = {"headers": [{"name": "X-Version", "value": "next"}, {"name": "X-Team", "value": "ours"}]}
        service = with_a_share(rollout=rollout({"weight": 0}, traffic=chosen))

        for header in (("X-Version", "next"), ("X-Team", "ours")):
            assert split(service, "/v2/models/churn", header) == {f"{service.canary_name}:80": 100}

    def test_who_names_a_version_gets_it(self) -> None:
        service = with_a_share()

        assert split(service, "/v2/models/churn/versions/churn-1") == {"churn:80": 100}
        assert split(service, "/v2/models/churn/versions/churn-2") == {f"{service.canary_name}:80": 100}

    def test_both_protocols_are_split_at_a_host_of_its_own(self) -> None:
        chosen = {"headers": [{"name": "X-Version", "value": "next"}]}
        named = {"name": "outside", "hostnames": ["churn.example.com"], "scope": "Host"}
        service = with_a_share(gateway=named, rollout=rollout(*STEPS, traffic=chosen))

        calls, header = "/inference.GRPCInferenceService", ("X-Version", "next")
        assert split(service, "/") == {"churn:80": 90, f"{service.canary_name}:80": 10}
        assert split(service, calls) == {"churn:8081": 90, f"{service.canary_name}:8081": 10}
        assert split(service, "/", header) == {f"{service.canary_name}:80": 100}
        assert split(service, calls, header) == {f"{service.canary_name}:8081": 100}
        found = canary_service(service)
        assert found is not None
        assert {port["port"] for port in found["spec"]["ports"]} == {80, 8081}

    def test_a_canary_whose_pods_are_gone_has_no_share_until_they_are_back(self) -> None:
        service = with_a_share()
        service.has_ready(0).settles()
        assert split(service) == {"churn:80": 100}

        service.has_ready(1).settles()
        assert split(service) == {"churn:80": 90, f"{service.canary_name}:80": 10}

    def test_the_weight_follows_the_step(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"200": 500}, stable_answered={"200": 4500})
        after(service, 60)
        service.has_ready(2).settles()

        assert split(service) == {"churn:80": 50, f"{service.canary_name}:80": 50}


class TestRemoval:
    def test_the_route_is_changed_before_what_it_named_goes(self) -> None:
        service = with_a_share()
        canary = service.revision("canary")
        service.changes(model={"version": "churn-1"}).settles()

        assert split(service) == {"churn:80": 100}
        assert canary_service(service) is not None, "the Gateway may not have seen it yet"
        assert canary in service.deployed

        taken_in(service)
        assert canary_service(service) is None
        assert list(service.deployed) == [service.revision("stable")]

    def test_in_no_plan_the_route_names_what_is_being_deleted(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"500": 100})
        for _ in range(20):
            plan = service.world.plan(service.key)
            gone = {effect.key.name for effect in plan.effects if isinstance(effect, Delete)}
            routes = [e.body for e in plan.effects if isinstance(e, Apply) and e.key == ROUTE]
            named = {
                ref["name"]
                for body in (*routes, route(service))
                for found in body["spec"]["rules"]
                for ref in found["backendRefs"]
            }
            assert not gone & named
            service.looks()
        assert service.reason == "RolledBack"
        assert split(service) == {"churn:80": 100}

    def test_a_service_that_callers_may_still_use_is_not_given_to_another_revision(self) -> None:
        service = with_a_share()
        first = service.revision("canary")
        a_version(service.world, "churn-3", "c").is_verified("c")
        service.changes(model={"version": "churn-3"}).settles()
        found = canary_service(service)
        assert found is not None
        assert found["spec"]["selector"][REVISION] == first
        assert split(service) == {"churn:80": 100}

        service.has_ready(1).settles()
        assert service.status["canary"]["state"] == "Shifting"
        assert split(service) == {"churn:80": 100}, "what is behind the canary's Service is not the canary"

        taken_in(service)
        found = canary_service(service)
        assert found is not None
        assert found["spec"]["selector"][REVISION] == service.revision("canary")
        assert first not in service.deployed

    def test_a_gateway_that_is_gone_is_not_waited_for(self) -> None:
        service = with_a_share()
        service.changes(model={"version": "churn-1"}).settles()
        service.world.drop(Key(GATEWAYS, NAMESPACE, "outside"))
        service.settles()

        assert canary_service(service) is None
        assert list(service.deployed) == [service.revision("stable")]

    def test_what_another_gateway_has_said_does_not_count(self) -> None:
        service = reached()
        a_gateway(service.world, namespace="infra")
        service.changes(gateway={"name": "outside", "namespace": "infra"})
        service.settles()

        assert accepted(service) == ("False", "NoMatchingListener")
        service.world.api.edit(
            Key(GATEWAYS, "infra", "outside"),
            lambda body: body["spec"]["listeners"][0].update(allowedRoutes={"namespaces": {"from": "All"}}),
        )
        service.world.watch()
        service.settles()
        assert accepted(service) == ("Unknown", "RoutePending")

    def test_after_a_promotion_the_route_leads_to_the_service_alone(self) -> None:
        service = with_a_share(rollout=rollout({"weight": 50, "holdSeconds": 1}), replicas=2)
        measures(service, {}, answered={"200": 500}, stable_answered={"200": 500})
        after(service, 5)
        service.has_ready(2).settles()

        assert service.version("stable") == "churn-2"
        assert split(service) == {"churn:80": 100}
        taken_in(service)
        assert canary_service(service) is not None, "pods of the revision before may still ask it"
        after(service, 40)
        assert canary_service(service) is None

    def test_as_long_as_the_gateway_has_not_taken_it_in_the_service_of_the_canary_stays(self) -> None:
        service = with_a_share(rollout=rollout({"weight": 50, "holdSeconds": 1}), replicas=2)
        measures(service, {}, answered={"200": 500}, stable_answered={"200": 500})
        after(service, 5)
        service.has_ready(2).settles()
        after(service, 40)

        assert canary_service(service) is not None
        taken_in(service)
        assert canary_service(service) is None


class TestAnalysis:
    """Callers ask the canary itself: its own counts are what counts."""

    def test_a_canary_that_answers_with_errors_is_rolled_back(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"200": 50, "500": 40, "INTERNAL": 10})
        service.settles()

        decision = service.status["lastDecision"]
        assert (decision["verdict"], decision["reason"]) == ("Rollback", "ErrorRateTooHigh")
        assert (decision["samples"], decision["value"]) == (100, 0.5)

    def test_what_the_stable_revision_says_of_the_canary_does_not_count_twice(self) -> None:
        service = with_a_share()
        measures(service, {"Answered": 50}, answered={"200": 60}, stable_answered={"200": 500})
        after(service, 60)

        assert service.status["canary"]["step"] == 0, "60 are too few"

    def test_the_repeated_requests_of_a_shadow_count_once(self) -> None:
        service = with_a_share(rollout=rollout({"weight": 10, "mirror": 50}))
        shadowed = {"Compared": 60, "Failed": 4}
        measures(service, {}, answered={"200": 90, "500": 10}, shadowed=shadowed)
        service.settles()

        decision = service.status["lastDecision"]
        assert (decision["samples"], decision["value"]) == (100, 0.1)

    def test_a_canary_that_refuses_what_the_stable_revision_takes_is_rolled_back(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"400": 100}, stable_answered={"200": 1000, "400": 10})
        service.settles()

        assert service.status["lastDecision"]["reason"] == "RefusesCallers"

    def test_errors_that_both_revisions_have_at_the_time_are_not_held_against_it(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"200": 80, "500": 20}, stable_answered={"200": 800, "500": 200})
        service.settles()
        assert service.reason == "CanaryInProgress"

    def test_wrong_requests_are_not_held_against_it(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"200": 400, "400": 100}, stable_answered={"200": 4000, "400": 1000})
        after(service, 60)

        assert service.status["lastDecision"]["verdict"] == "Advance"


class TestConditions:
    @pytest.mark.parametrize(
        ("resource", "why", "reason"),
        [
            (HTTP_ROUTES, "Unserved", "GatewayAPINotInstalled"),
            (GATEWAYS, "Unserved", "GatewayAPINotInstalled"),
            (HTTP_ROUTES, "Forbidden", "RouteForbidden"),
        ],
    )
    def test_without_the_gateway_api_it_serves_on_and_says_so(
        self, resource: Any, why: Blindness, reason: str
    ) -> None:
        world = a_world()
        world.cache.blind(resource, why)
        service = served(world)

        assert (service.reason, service.kstatus) == (reason, "InProgress")
        assert accepted(service) == ("False", reason)
        assert service.condition("Available")["status"] == "True"
        assert service.status["url"] == "http://churn.team.svc"

    def test_no_route_is_written_that_nobody_knows(self) -> None:
        world = a_world()
        world.cache.blind(HTTP_ROUTES, "Unserved")
        served(world)
        assert ROUTE not in world.api.objects

    def test_a_gateway_that_is_not_there_is_missed_and_found(self) -> None:
        service = served()
        assert (service.reason, accepted(service)) == ("GatewayNotFound", ("False", "GatewayNotFound"))
        assert service.message == "there is no Gateway outside in the namespace team"

        a_gateway(service.world)
        service.settles()
        assert (service.reason, accepted(service)) == ("RoutePending", ("Unknown", "RoutePending"))
        taken_in(service)
        assert service.is_ready

    @pytest.mark.parametrize(
        ("listener", "named", "why"),
        [
            ({}, {"sectionName": "other"}, "web is not the one that spec.gateway.sectionName names"),
            ({"protocol": "TLS"}, {}, "web speaks TLS, not HTTP"),
            (
                {"hostname": "*.example.com"},
                {"hostnames": ["example.com", "a.other.com"]},
                "web is for *.example.com only",
            ),
            ({"allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}, {}, "web takes no HTTPRoutes"),
        ],
    )
    def test_a_gateway_without_a_listener_that_fits_is_named_with_the_reason(
        self, listener: Mapping[str, Any], named: Mapping[str, Any], why: str
    ) -> None:
        world = a_world()
        a_gateway(world, {**WEB, **listener})
        service = served(world, {**OUTSIDE, **named})

        assert service.reason == "NoMatchingListener"
        assert service.message == f"no listener of Gateway outside in the namespace team fits: {why}"

    @pytest.mark.parametrize(
        ("allowed", "reason"),
        [
            ({}, "NoMatchingListener"),
            ({"from": "Same"}, "NoMatchingListener"),
            ({"from": "All"}, "RoutePending"),
            ({"from": "Selector"}, "RoutePending"),
        ],
    )
    def test_a_gateway_of_another_namespace_has_to_let_routes_in(
        self, allowed: Mapping[str, str], reason: str
    ) -> None:
        world = a_world()
        a_gateway(world, {**WEB, "allowedRoutes": {"namespaces": allowed}}, namespace="infra")
        service = served(world, {"name": "outside", "namespace": "infra"})

        assert service.reason == reason

    def test_an_operator_of_one_namespace_says_that_it_cannot_see_the_gateway(self) -> None:
        world = a_world()
        world.cache._scope = (NAMESPACE,)
        service = served(world, {"name": "outside", "namespace": "infra"})

        assert (service.reason, accepted(service)) == (
            "GatewayNotReadable",
            ("Unknown", "GatewayNotReadable"),
        )
        taken_in(service)
        assert (service.reason, accepted(service)) == ("Serving", ("True", "Accepted"))

    @pytest.mark.parametrize("kind", ["Accepted", "ResolvedRefs"])
    def test_what_the_gateway_has_against_the_route_is_passed_on(self, kind: str) -> None:
        service = reached()
        taken_in(service, kind, "False", reason="NotThis", message="because of that")

        assert (service.reason, accepted(service)) == ("NotThis", ("False", "NotThis"))
        assert service.message.endswith("does not follow the route: because of that")

    def test_a_canary_goes_no_further_while_the_gateway_is_away(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"200": 500}, stable_answered={"200": 500})
        service.world.drop(Key(GATEWAYS, NAMESPACE, "outside"))
        after(service, 90)
        assert (service.reason, service.status["canary"]["step"]) == ("GatewayNotFound", 0)

        a_gateway(service.world)
        service.settles()
        assert service.status["canary"]["step"] == 1

    def test_a_canary_that_fails_is_rolled_back_all_the_same(self) -> None:
        service = with_a_share()
        measures(service, {}, answered={"500": 100})
        service.world.drop(Key(GATEWAYS, NAMESPACE, "outside"))
        service.settles()

        assert service.reason == "RolledBack"


class TestUrl:
    """Callers outside are told where to go; callers inside, too."""

    @pytest.mark.parametrize(
        ("listeners", "hostnames", "url"),
        [
            ([WEB], ["churn.example.com"], "http://churn.example.com"),
            ([{**WEB, "port": 8080}], ["churn.example.com"], "http://churn.example.com:8080"),
            (
                [WEB, {"name": "s", "protocol": "HTTPS", "port": 443}],
                ["a.example.com"],
                "https://a.example.com",
            ),
            (
                [{**WEB, "hostname": "*.example.com"}],
                ["b.other.com", "a.example.com"],
                "http://a.example.com",
            ),
            ([{**WEB, "hostname": "a.example.com"}], ["*.example.com"], "http://a.example.com"),
            ([{**WEB, "hostname": "a.example.com"}], None, "http://a.example.com"),
            ([WEB], None, "http://10.0.0.7"),
            ([{**WEB, "hostname": "*.example.com"}], None, "http://churn.team.svc"),
        ],
    )
    def test_the_url_is_a_name_that_gateway_and_route_share(
        self, listeners: list[Mapping[str, Any]], hostnames: list[str] | None, url: str
    ) -> None:
        world = a_world()
        gateway = a_gateway(world, *listeners)
        world.edit(gateway, status={"addresses": [{"type": "IPAddress", "value": "10.0.0.7"}]})
        service = taken_in(served(world, {**OUTSIDE, **({"hostnames": hostnames} if hostnames else {})}))

        assert service.status["url"] == url
        assert service.status["address"] == {"url": "http://churn.team.svc"}


def test_the_route_belongs_to_the_service() -> None:
    service = reached()
    (owner,) = route(service)["metadata"]["ownerReferences"]

    assert owner["uid"] == uid(service.body)
    service.is_deleted()
    assert ROUTE not in service.world.api.objects
