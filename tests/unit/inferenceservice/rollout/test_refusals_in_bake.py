"""While a revision bakes, its pods ask the one before about what they refuse; it stays as long as it is asked."""

from __future__ import annotations

import json
from typing import Any

from unit.contracts.schemas import defects
from unit.given.resources import InferenceService, a_version
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import after, put, rule
from unit.inferenceservice.rollout.test_promotion import a_promoted_version, answers
from unit.inferenceservice.test_requests import asks

from modelwright.common.primary import Primary
from modelwright.common.resources import CONFIG_MAPS, PODS, REVISION, SERVICES
from modelwright.engine.objects import Body, Key
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.manifests.names import retired_name
from modelwright_serving.traffic.rule import parse


def retired_service(service: InferenceService) -> Body | None:
    """The Service of the revision before."""
    return service.world.api.objects.get(Key(SERVICES, NAMESPACE, retired_name(Primary(service.body))))


def files(service: InferenceService) -> dict[str, Any]:
    """The rule in both of its forms."""
    key = Key(CONFIG_MAPS, NAMESPACE, f"{service.name}-{service.revision('stable')}")
    data = service.world.api.objects[key]["data"]
    return {name: json.loads(content) for name, content in data.items()}


def test_the_pods_of_a_revision_that_bakes_are_told_to_ask_the_one_before() -> None:
    service = a_promoted_version()
    found = files(service)
    rule = found["rule.json"]
    assert (rule["revision"], rule["weight"], rule["refusals"]) == (service.revision("retired"), 0, True)
    assert rule["host"] == f"{retired_name(Primary(service.body))}.{NAMESPACE}.svc"
    assert "headers" not in rule
    assert not defects("traffic", rule)
    assert "refusals" not in found["traffic.json"], "servers of an earlier release would refuse the rule"
    parsed = parse(json.dumps(rule).encode())
    assert parsed is not None
    assert (parsed.refusals, parsed.unknown) == (True, ())


def test_the_service_of_the_revision_before_selects_it() -> None:
    service = a_promoted_version()
    found = retired_service(service)
    assert found is not None
    assert found["spec"]["selector"][REVISION] == service.revision("retired")


def test_no_rule_names_a_service_that_is_somebody_elses() -> None:
    service = a_promoted_version()
    key = Key(SERVICES, NAMESPACE, retired_name(Primary(service.body)))
    service.world.drop(key)
    service.world.make(SERVICES, key.name, {"selector": {"app": "theirs"}})
    service.world.look(service.key)
    assert rule(service) is None


def test_without_a_bake_nobody_is_asked() -> None:
    service = a_promoted_version(bakeSeconds=0)
    assert rule(service) is None
    assert retired_service(service) is None


def test_after_the_bake_nobody_is_asked_and_the_revision_before_goes_a_little_later() -> None:
    service = a_promoted_version()
    pod = service.starts("retired")
    after(service, 305)
    assert (service.reason, rule(service)) == ("Serving", None)
    assert service.version("retired") == "churn-1", "pods may not have read the new rule yet"
    assert retired_service(service) is not None
    after(service, 30)
    assert service.part("retired") is None
    assert retired_service(service) is not None, "a pod is left that answers"
    service.world.drop(Key(PODS, NAMESPACE, pod.key.name))
    service.settles()
    assert retired_service(service) is None


def test_once_it_is_taken_back_nobody_is_asked() -> None:
    service = answers(a_promoted_version(), http200=100, http500=100)
    assert service.version("stable") == "churn-1"
    assert rule(service) is None
    assert rule(service, "retired")["weight"] == 100  # type: ignore[index]
    after(service, 10_000)
    assert retired_service(service) is None


def test_a_canary_that_comes_during_the_bake_has_the_rule_and_then_the_bake_again() -> None:
    service = a_promoted_version(bakeSeconds=3600)
    a_version(service.world, "churn-3", "c").is_verified("c")
    service.changes(model={"version": "churn-3"}).settles()
    service.has_ready(service.deployed[service.revision("canary")]).settles()
    found = rule(service)
    assert found is not None
    assert (found["revision"], "refusals" in found) == (service.revision("canary"), False)
    asks(service, "abort", revision=service.revision("canary"))
    found = rule(service)
    assert found is not None
    assert (found["revision"], found["refusals"]) == (service.revision("retired"), True)


def test_requests_that_the_revision_before_answers_take_the_new_one_back() -> None:
    service = a_promoted_version()
    stable = service.part("stable")
    assert stable is not None
    put(service, StepCounts(since=stable["since"], direct=True, answered={"200": 900}, rescued=100)).settles()
    assert service.version("stable") == "churn-1"
