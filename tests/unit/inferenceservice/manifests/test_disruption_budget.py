"""The revision that answers callers has a PodDisruptionBudget while it has several pods."""

from __future__ import annotations

from typing import Any

from unit.given.resources import InferenceService, a_served_version, a_version, a_world
from unit.given.world import NAMESPACE, SETTINGS
from unit.inferenceservice.rollout.test_canary import a_canary
from unit.inferenceservice.test_refused_children import refuses

from modelwright.common.resources import DISRUPTION_BUDGETS
from modelwright.engine.objects import Key
from modelwright.options import parse

KEY = Key(DISRUPTION_BUDGETS, NAMESPACE, "churn")


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


def test_a_budget_of_somebody_else_stays() -> None:
    world = a_world()
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
