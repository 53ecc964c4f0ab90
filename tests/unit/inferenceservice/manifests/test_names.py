"""Names of an InferenceService's objects: they fit, and no two InferenceServices share one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from unit.given.resources import InferenceService, a_served_version, a_service, a_version
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import GOOD, a_canary, after, measures, rollout, rule

from modelwright.api.inferenceservice import NAME_LENGTH
from modelwright.common.primary import Primary
from modelwright.common.resources import SERVICES
from modelwright.engine.errors import NameTaken
from modelwright.engine.objects import Key, metadata
from modelwright.inferenceservice.manifests.names import canary_name, config_name, deployment_name

LABEL = 63


def root(name: str, uid: str = "8c5a", namespace: str = NAMESPACE) -> Primary:
    return Primary({"metadata": {"name": name, "namespace": namespace, "uid": uid}})


def test_the_longest_name_leaves_room_for_what_is_added() -> None:
    longest = root("x" * NAME_LENGTH)
    revision = "0123456789"

    assert len(canary_name(longest)) <= LABEL
    assert len(config_name(longest, revision)) <= LABEL
    assert len(deployment_name(longest, revision)) <= LABEL


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(root("churn"), root("churn-canary", "77aa"), id="a name that ends like the canary's"),
        pytest.param(root("churn", "1"), root("churn", "2"), id="the next one of the same name"),
    ],
)
def test_the_canarys_service_has_a_name_of_its_own(one: Primary, other: Primary) -> None:
    assert canary_name(one) not in {other.name, canary_name(other)}
    assert canary_name(one) == canary_name(one)


def test_two_services_of_which_one_is_called_like_the_canary_of_the_other_both_work() -> None:
    service = a_canary()
    other = a_service(service.world, "churn-1", name="churn-canary").serves()

    service.settles()

    assert other.is_ready
    assert other.traffic == other.revision("stable")
    assert (service.reason, rule(service) is not None) == ("CanaryInProgress", True)
    assert service.status["canary"]["url"] == f"http://{service.canary_name}.team.svc"


def the_services(service: InferenceService) -> set[str]:
    return set(service.all(SERVICES))


def test_a_canarys_service_of_an_earlier_release_goes_when_no_pod_asks_it_any_more() -> None:
    service = a_canary()
    earlier = Key(SERVICES, NAMESPACE, "churn-canary")
    found = service.world.api.objects[Key(SERVICES, NAMESPACE, service.canary_name)]
    service.world.api.put(earlier, {**found, "metadata": {**metadata(found), "name": "churn-canary"}})
    service.world.watch()

    service.settles()
    assert the_services(service) == {"churn", "churn-canary", service.canary_name}

    after(measures(service, GOOD), 61)
    service.has_ready(2).settles()
    after(measures(service, GOOD), 121)
    service.has_ready(4).settles()
    assert "churn-canary" in the_services(service), "pods of the revision before may still ask it"
    after(service, 60)
    assert the_services(service) == {"churn"}


def test_a_name_that_somebody_else_has_taken_is_never_used() -> None:
    service = a_served_version(rollout=rollout())
    a_version(service.world, "churn-2", "b").is_verified("b")
    taken = Key(SERVICES, NAMESPACE, service.canary_name)
    service.world.api.put(taken, {"metadata": {}, "spec": {"selector": {"app": "something"}}})
    service.changes(model={"version": "churn-2"})

    for _ in range(4):
        with suppress(NameTaken):
            service.looks()
    service.has_ready(1)
    with suppress(NameTaken):
        service.looks()

    assert service.world.api.objects[taken]["spec"] == {"selector": {"app": "something"}}
    assert (service.part("canary") or {})["state"] == "Progressing", "nothing could reach it"
    assert "url" not in service.status["canary"]
    assert (service.traffic, rule(service)) == (service.revision("stable"), None)
