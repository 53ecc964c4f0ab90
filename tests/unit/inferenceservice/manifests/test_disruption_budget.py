"""The revision that answers callers has a PodDisruptionBudget while it has several pods."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import resources, words
from unit.given.resources import InferenceService, ModelVersion, a_version
from unit.given.world import NAMESPACE, SETTINGS, World
from unit.inferenceservice.rollout.test_canary import rollout
from unit.inferenceservice.test_refused_children import refuses

from modelwright.common.resources import CLAIMS, DISRUPTION_BUDGETS, MODEL
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.objects import Key
from modelwright.options import parse
from modelwright.wiring import kinds

KEY = Key(DISRUPTION_BUDGETS, NAMESPACE, "churn")
CLAIM = Key(CLAIMS, NAMESPACE, "modelwright-artifacts")
OURS = {MANAGED_BY: MANAGER}


def a_world(*modes: str) -> World:
    """The claim of the models has these access modes."""
    world = resources.a_world()
    world.make(CLAIMS, CLAIM.name, {"accessModes": list(modes)}, labels=OURS)
    return world


def a_served_version(world: World | None = None, **spec: Any) -> InferenceService:
    """churn-1 has the traffic, and its pods may be on several nodes."""
    return resources.a_served_version(world or a_world("ReadWriteMany"), **spec)


def a_canary(replicas: int) -> InferenceService:
    """churn-1 serves, and churn-2 has its first share of the traffic."""
    service = a_served_version(replicas=replicas, rollout=rollout())
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    return service.has_ready(service.deployed[service.revision("canary")]).settles()


def protected(service: InferenceService) -> str | None:
    """The revision whose pods are evicted one at a time."""
    found = service.world.api.objects.get(KEY)
    return (
        None if found is None else str(found["spec"]["selector"]["matchLabels"]["modelwright.dev/revision"])
    )


def limited(service: InferenceService) -> dict[str, Any] | None:
    """The condition about it; None if there is nothing to say."""
    found = [c for c in service.status["conditions"] if c["type"] == "DisruptionsLimited"]
    return dict(found[0]) if found else None


def test_several_pods_are_evicted_one_at_a_time_and_one_alone_blocks_no_drain() -> None:
    service = a_served_version(replicas=2)

    assert service.world.api.objects[KEY]["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {
            "matchLabels": {
                "modelwright.dev/inference-service": "churn",
                "modelwright.dev/revision": service.revision("stable"),
            }
        },
    }
    assert limited(service) is None
    for replicas in (1, 2, 0):
        service.changes(replicas=replicas).settles()
        assert (KEY in service.world.api.objects) == (replicas > 1)


def test_it_follows_the_traffic_from_revision_to_revision() -> None:
    service = a_canary(replicas=2)
    assert protected(service) == service.revision("stable")

    service.has_ready(0, "stable").settles()
    assert protected(service) == service.traffic == service.revision("canary"), "the canary stands in"

    service.has_ready(2, "stable").settles()
    assert protected(service) == service.revision("stable")


def test_it_is_the_new_revisions_once_that_has_taken_over() -> None:
    service = a_served_version(replicas=2)
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    before = service.revision("stable")
    assert protected(service) == before

    service.has_ready(2).settles()

    assert protected(service) == service.revision("stable") != before


def test_where_the_administrator_wants_none_those_that_exist_go() -> None:
    service = a_served_version(replicas=2)
    service.world.is_upgraded(disruption_budgets=False)

    service.settles()

    assert KEY not in service.world.api.objects
    assert limited(service) is None


@pytest.mark.parametrize("modes", [("ReadWriteOnce",), ("ReadWriteOncePod",), ()])
def test_pods_on_a_claim_of_one_node_have_none_as_it_would_block_the_drain_of_that_node(
    modes: tuple[str, ...],
) -> None:
    service = a_served_version(a_world(*modes), replicas=2)

    assert KEY not in service.world.api.objects
    assert limited(service) is None, "it follows from where models are kept"
    assert service.is_ready


@pytest.mark.parametrize("modes", [("ReadWriteMany",), ("ReadOnlyMany",), ("ReadWriteOnce", "ReadOnlyMany")])
def test_pods_on_a_claim_of_many_nodes_have_one(modes: tuple[str, ...]) -> None:
    service = a_served_version(a_world(*modes), replicas=2)

    assert protected(service) == service.revision("stable")
    assert limited(service) is None


def test_pods_whose_model_is_outside_the_cluster_have_one_whatever_claims_there_are() -> None:
    world = a_world("ReadWriteOnce")
    artifact = {**words.artifact(), "uri": "s3://models/churn/model.onnx"}
    ModelVersion(
        world, "churn-1", {"model": "churn", "artifact": artifact}, labels={MODEL: "churn"}
    ).is_verified()
    service = resources.a_service(world, replicas=2).serves(2)

    assert protected(service) == service.revision("stable")
    assert limited(service) is None


def test_a_claim_that_the_operator_does_not_see_counts_as_one_of_one_node_until_it_is_labelled() -> None:
    service = a_served_version(resources.a_world(), replicas=2)

    assert KEY not in service.world.api.objects
    assert limited(service) is None

    service.world.make(CLAIMS, CLAIM.name, {"accessModes": ["ReadWriteMany"]}, labels=OURS)
    service.settles()

    assert protected(service) == service.revision("stable")
    assert limited(service) is None


def test_the_access_modes_of_claims_with_the_label_are_kept_in_the_cache() -> None:
    (claims,) = (kind for kind in kinds(SETTINGS) if kind.resource == CLAIMS)
    body = {"metadata": {"name": "one"}, "spec": {"accessModes": ["ReadWriteMany"], "volumeName": "v"}}

    assert claims.keep(body)["spec"] == {"accessModes": ["ReadWriteMany"]}
    assert claims.selector == f"{MANAGED_BY}={MANAGER}"


def test_a_budget_that_an_earlier_operator_made_on_a_claim_of_one_node_goes() -> None:
    service = a_served_version(replicas=2)
    assert KEY in service.world.api.objects
    service.world.edit(CLAIM, spec={"accessModes": ["ReadWriteOnce"]})

    service.settles()

    assert KEY not in service.world.api.objects
    assert service.is_ready


def test_a_budget_of_somebody_else_stays() -> None:
    world = a_world("ReadWriteMany")
    world.api.put(KEY, {"metadata": {}, "spec": {"minAvailable": 1}})
    world.watch()

    service = a_served_version(world, replicas=2)

    assert world.api.objects[KEY]["spec"] == {"minAvailable": 1}
    found = limited(service)
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "NameTaken")
    assert service.is_ready


def test_a_refused_budget_is_in_a_condition_and_no_reason_not_to_be_ready() -> None:
    service = a_served_version()
    refuses(service, DISRUPTION_BUDGETS)
    service.changes(replicas=2).settles()
    service.has_ready(2, "stable").settles()

    found = limited(service)
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "PolicyDenied")
    assert service.is_ready


def test_without_the_right_to_read_budgets_the_condition_asks_for_it() -> None:
    service = a_served_version()
    service.world.cache.blind(DISRUPTION_BUDGETS, "Forbidden")
    service.changes(replicas=2).settles()

    found = limited(service)
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "RightMissing")


def test_the_option_switches_them_off() -> None:
    needed = ("--lease-namespace=l", "--serving-image=s", "--training-image=t")
    assert SETTINGS.disruption_budgets
    assert parse(needed).settings.disruption_budgets
    assert not parse((*needed, "--no-disruption-budgets")).settings.disruption_budgets
