"""Which revision passes requests on, to which other one, and how many of them: case by case."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from unit.contracts.schemas import defects
from unit.given.resources import InferenceService
from unit.given.world import SETTINGS
from unit.inferenceservice.rollout.test_canary import a_canary

from modelwright.api.inferenceservice import RetiredRevision
from modelwright.common.resources import CONFIG_MAPS, SERVICES
from modelwright.engine.objects import Key
from modelwright.engine.plan import Apply
from modelwright.inferenceservice.manifests.names import canary_name
from modelwright.inferenceservice.manifests.traffic_rule import effects, rules
from modelwright.inferenceservice.observed import Observed, observe
from modelwright.inferenceservice.revision.revisions import Revisions, shape
from modelwright_serving.traffic.rule import parse


def observed(service: InferenceService) -> Observed:
    found = observe(service.world.cache, service.key)
    assert found is not None
    return found


def roles(now: Observed, **canary: Any) -> Revisions:
    """The roles of the status, with these fields of the canary changed."""
    assert now.status.canary is not None
    changed = now.status.canary.model_copy(update=canary)
    return Revisions(now.status.stable, changed, now.status.retired)


def rule_of_stable(now: Observed, revisions: Revisions) -> dict[str, Any] | None:
    assert now.status.stable is not None
    text = rules(now, revisions).get(now.status.stable.revision)
    return None if text is None else dict(json.loads(text))


@pytest.mark.parametrize(
    ("canary", "weight", "mirror"),
    [
        ({}, 10, 20),
        ({"weight": 50}, 50, 20),
        ({"weight": 0}, 0, 20),
        # All of its steps have passed: nothing is compared any more.
        ({"state": "Completing"}, 10, 0),
    ],
)
def test_the_stable_revision_passes_on_the_share_of_the_canary(
    canary: dict[str, Any], weight: int, mirror: int
) -> None:
    now = observed(a_canary(steps=[{"weight": 10, "mirror": 20}, {"weight": 50}]))
    rule = rule_of_stable(now, roles(now, **canary))
    assert rule is not None
    assert (rule["weight"], rule["mirror"]) == (weight, mirror)
    assert now.status.canary is not None
    assert rule["revision"] == now.status.canary.revision
    assert rule["host"] == f"{canary_name(now)}.{now.namespace}.svc"


@pytest.mark.parametrize("state", ["Progressing", "Failed"])
def test_a_canary_without_a_share_is_sent_nothing(state: str) -> None:
    now = observed(a_canary())
    assert rule_of_stable(now, roles(now, state=state)) is None


def test_a_canary_that_rests_is_sent_nothing() -> None:
    now = observed(a_canary(steps=[{"weight": 10, "mirror": 20}]))
    assert rule_of_stable(now, roles(now, weight=None)) is None


def test_nothing_is_sent_to_a_name_that_is_not_the_canarys_service() -> None:
    service = a_canary()
    service.world.drop(Key(SERVICES, service.key.namespace, canary_name(observed(service))))
    now = observed(service)
    assert rule_of_stable(now, roles(now)) is None


def test_a_retired_revision_passes_everything_on_to_the_stable_one() -> None:
    now = observed(a_canary())
    assert now.status.stable is not None
    assert now.status.canary is not None
    retired = {**shape(now.status.canary), "until": "2026-01-01T00:00:30Z"}
    revisions = Revisions(now.status.stable, None, RetiredRevision.model_validate(retired))
    rule = json.loads(rules(now, revisions)[now.status.canary.revision])
    assert (rule["weight"], rule["revision"]) == (100, now.status.stable.revision)
    assert rule["host"] == f"{now.name}.{now.namespace}.svc"


def config(service: InferenceService) -> dict[str, str]:
    """The files that the pods of the stable revision read."""
    name = f"{service.name}-{service.revision('stable')}"
    data: dict[str, str] = service.world.api.objects[Key(CONFIG_MAPS, service.key.namespace, name)]["data"]
    return data


def test_servers_of_an_earlier_release_read_a_rule_without_fields_that_they_refuse() -> None:
    chosen = {"headers": [{"name": "x", "value": "y"}], "sticky": "x", "timeoutSeconds": 2, "patience": 0.5}
    data = config(a_canary(traffic=chosen))
    earlier, present = json.loads(data["traffic.json"]), json.loads(data["rule.json"])
    assert present.keys() - earlier.keys() == {"secret", "passHeaders"}
    assert {name: present[name] for name in earlier} == earlier
    assert not defects("traffic", present)
    assert earlier.keys() <= EARLIER_FIELDS
    rule = parse(data["rule.json"].encode())
    assert rule is not None
    assert (rule.secret, rule.unknown) == (present["secret"], ())


# What servers take that refuse every other field.
EARLIER_FIELDS = {
    "revision",
    "host",
    "port",
    "weight",
    "mirror",
    "headers",
    "sticky",
    "timeoutSeconds",
    "patience",
}


def secrets(now: Observed) -> set[str]:
    """Those in the rules of a stable and a retired revision."""
    assert now.status.stable is not None
    assert now.status.canary is not None
    retired = RetiredRevision.model_validate({**shape(now.status.canary), "until": "2026-01-01T00:00:30Z"})
    planned = (roles(now), Revisions(now.status.stable, None, retired))
    applied = (effect for revisions in planned for effect in effects(now, revisions, SETTINGS))
    rules = [effect.body["data"]["rule.json"] for effect in applied if isinstance(effect, Apply)]
    return {json.loads(rule)["secret"] for rule in rules if rule}


def test_all_rules_of_a_service_have_one_secret_and_those_of_another_have_another() -> None:
    now = observed(a_canary())
    body = dict(now.body, metadata={**now.body["metadata"], "uid": "another"})
    (one,), (other,) = secrets(now), secrets(replace(now, body=body))
    assert one != other


def test_the_administrators_headers_are_in_the_rule() -> None:
    service = a_canary()
    service.world.is_upgraded(passed_headers=("baggage",))
    service.settles()
    data = config(service)
    assert json.loads(data["rule.json"])["passHeaders"] == ["baggage"]
    assert "baggage" not in data["traffic.json"]


def test_without_a_rule_both_files_are_empty() -> None:
    service = a_canary()
    service.changes(model={"version": "churn-1"}).settles()
    assert config(service) == {"rule.json": "", "traffic.json": ""}
