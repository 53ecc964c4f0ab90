"""A service with objectives gets a PrometheusRule where the cluster knows the kind, and says whether it did."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import InferenceService, a_service, a_version, a_world
from unit.given.world import NAMESPACE, World
from unit.inferenceservice.test_refused_children import refuses

from modelwright.api.monitoring import LATENCY_BOUNDS
from modelwright.common.resources import PROMETHEUS_RULES
from modelwright.engine.cache import Blindness
from modelwright.engine.objects import Key
from modelwright_serving.histogram import DURATION_BOUNDS

RULE = Key(PROMETHEUS_RULES, NAMESPACE, "churn-slo")
BOTH = {"availability": 0.999, "latencySeconds": 0.05, "latencyTarget": 0.95}


def promising(world: World, slo: dict[str, Any] | None = None) -> InferenceService:
    """churn-1 serves, with objectives."""
    a_version(world).is_verified()
    return a_service(world, monitoring={"slo": slo or BOTH}).serves()


def installed(service: InferenceService) -> tuple[str, str]:
    found = service.condition("AlertRulesInstalled")
    return found["status"], found["reason"]


def test_each_objective_has_its_groups_and_belongs_to_the_service() -> None:
    service = promising(a_world(alert_rules=(("release", "prometheus"),)))

    rule = service.world.api.objects[RULE]
    names = [group["name"] for group in rule["spec"]["groups"]]
    assert names == [
        f"modelwright-team-churn-{each}"
        for each in ("availability", "availability-slow", "latency", "latency-slow")
    ]
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["metadata"]["ownerReferences"][0]["name"] == "churn"
    assert installed(service) == ("True", "Installed")
    assert service.condition("AlertRulesInstalled")["message"] == (
        "PrometheusRule churn-slo, over 30 days: 99.9 % of the requests are answered without an error of the server; "
        "95 % of the requests are answered within 0.05 s"
    )
    assert service.is_ready


def test_without_objectives_there_is_no_rule_and_no_condition() -> None:
    service = promising(a_world())
    service.changes(monitoring={"drift": {}}).settles()

    assert RULE not in service.world.api.objects
    assert "AlertRulesInstalled" not in [c["type"] for c in service.status["conditions"]]


def test_another_objective_changes_the_rule() -> None:
    service = promising(a_world())
    service.changes(monitoring={"slo": {"availability": 0.99}}).settles()

    groups = service.world.api.objects[RULE]["spec"]["groups"]
    assert len(groups) == 2
    assert {"record": "slo:objective:ratio", "expr": "vector(0.99)"}.items() <= next(
        rule for rule in groups[0]["rules"] if rule.get("record") == "slo:objective:ratio"
    ).items()


@pytest.mark.parametrize(
    ("why", "reason"),
    [("Unserved", "PrometheusOperatorNotInstalled"), ("Forbidden", "RightMissing")],
)
def test_where_the_kind_cannot_be_seen_it_serves_and_says_so(why: Blindness, reason: str) -> None:
    world = a_world()
    world.cache.blind(PROMETHEUS_RULES, why)
    service = promising(world)

    assert RULE not in world.api.objects
    assert installed(service) == ("False", reason)
    assert service.is_ready

    world.cache.blind(PROMETHEUS_RULES, None)
    service.settles()
    assert installed(service) == ("True", "Installed")


def test_an_administrator_can_want_no_rules() -> None:
    service = promising(a_world())
    service.world.is_upgraded(alert_rules=None)
    service.settles()

    assert RULE not in service.world.api.objects
    assert installed(service) == ("False", "SwitchedOff")
    assert service.is_ready


def test_a_rule_that_is_refused_leaves_the_service_ready() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world, monitoring={"slo": BOTH})
    refuses(service, PROMETHEUS_RULES, "rules are written by the platform team")
    service.serves()

    assert service.is_ready
    assert installed(service) == ("False", "PolicyDenied")
    assert "rules are written by the platform team" in service.condition("AlertRulesInstalled")["message"]


def test_latencies_can_only_be_bounds_of_the_servers_histogram() -> None:
    assert tuple(bound for bound in DURATION_BOUNDS if bound >= 0.001) == LATENCY_BOUNDS
