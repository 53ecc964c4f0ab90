"""While no pod of the stable revision is ready, a canary that is ready answers all requests."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import InferenceService, a_served_version, a_version
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, after, measures, rollout

from modelwright.engine.objects import metadata

DEADLINE = 600


def a_canary_whose_stable_revision_is_lost(replicas: int = 2, **more: Any) -> InferenceService:
    """churn-2 has half of the traffic, and no pod of churn-1 is ready any more."""
    service = a_starting_canary(replicas, {"weight": 50, "holdSeconds": 60}, **more)
    service.has_ready(service.deployed[service.revision("canary")]).settles()
    return service.has_ready(0, "stable").settles()


def a_starting_canary(replicas: int, *steps: dict[str, Any], **more: Any) -> InferenceService:
    """churn-1 serves, and the first pods of churn-2 start."""
    service = a_served_version(replicas=replicas, rollout=rollout(*steps, **more))
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def answers(service: InferenceService, part: str) -> bool:
    """Whether the Service selects that revision."""
    return service.traffic == service.revision(part)


def test_the_service_selects_the_canary_with_all_pods_and_the_stable_revision_stays_what_it_is() -> None:
    service = a_canary_whose_stable_revision_is_lost()

    assert answers(service, "canary")
    assert service.version("stable") == "churn-1"
    assert service.deployed == {service.revision("stable"): 2, service.revision("canary"): 2}
    assert (service.reason, service.kstatus) == ("StableUnavailable", "InProgress")
    assert service.message == (
        "no pod of ModelVersion churn-1 is ready: the canary churn-2 answers all requests until one is"
    )
    available = service.condition("Available")
    assert (available["status"], available["reason"]) == ("True", "CanaryAnswers")


def test_what_keeps_the_stable_revision_from_being_ready_is_in_the_message() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    service.starts("stable").unschedulable("0/1 nodes are available: 1 Insufficient memory.")

    assert service.settles().message.endswith(
        "until one is; churn-1: Unschedulable: no node takes the pod: Insufficient memory"
    )


def test_the_switch_back_is_at_once_and_the_step_begins_anew() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    after(service, 100)

    service.has_ready(1, "stable").settles()

    assert answers(service, "stable")
    assert service.reason == "CanaryInProgress"
    assert service.deployed[service.revision("canary")] == 1, "its share again"
    service.has_ready(1).settles()
    measures(service, GOOD)
    after(service, 30)
    assert service.reason == "CanaryInProgress", "the step lasts its holdSeconds from now on"
    assert after(service, 31).reason == "CanaryCompleting"


def test_one_stable_pod_that_is_ready_is_enough() -> None:
    service = a_canary_whose_stable_revision_is_lost().has_ready(1, "stable").settles()

    service.has_ready(0).settles()

    assert answers(service, "stable")


@pytest.mark.parametrize("delegated", [GOOD, BAD, {}])
@pytest.mark.parametrize("policy", ["Promote", "Rollback", "Pause"])
def test_nothing_that_is_measured_ends_the_step_meanwhile(delegated: dict[str, int], policy: str) -> None:
    service = a_canary_whose_stable_revision_is_lost(analysis={"onNoData": policy, "noDataSeconds": 10})

    after(measures(service, delegated), 200)

    assert answers(service, "canary")
    assert (service.reason, service.status["canary"]["state"]) == ("StableUnavailable", "Shifting")


def test_it_is_not_given_up_for_the_time_that_its_pods_take() -> None:
    service = a_canary_whose_stable_revision_is_lost(paused=True)

    after(service, 100_000)

    assert answers(service, "canary"), "one of two pods is ready: better than none"


def test_it_takes_over_for_good_when_the_stable_revision_does_not_come_back() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    second = service.revision("canary")
    after(service, DEADLINE - 10)
    assert service.version("stable") == "churn-1"

    after(service, 20)

    assert (service.version("stable"), service.traffic, service.part("canary")) == ("churn-2", second, None)
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["reason"]) == ("Promote", "StableUnavailable")
    assert service.has_ready(2, "stable").settles().is_ready


@pytest.mark.parametrize("step", [{"weight": 50}, {"weight": 50, "approval": True}])
def test_where_somebody_has_to_agree_it_stands_in_for_as_long_as_it_takes(step: dict[str, Any]) -> None:
    service = a_starting_canary(1, step, paused="approval" not in step)
    service.has_ready(1).settles().has_ready(0, "stable").settles()

    after(service, 100 * DEADLINE)

    assert answers(service, "canary")
    assert service.version("stable") == "churn-1"


def test_the_time_until_it_takes_over_begins_anew_each_time() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    after(service, DEADLINE - 10)
    service.has_ready(1, "stable").settles().has_ready(0, "stable").settles()
    assert answers(service, "canary")

    assert after(service, 20).version("stable") == "churn-1"


def test_with_no_pod_of_either_the_service_stays_where_it_is() -> None:
    service = a_canary_whose_stable_revision_is_lost().has_ready(0).settles()

    assert answers(service, "canary")
    assert service.message == "no pod of ModelVersion churn-1 is ready, nor of the canary churn-2"
    assert service.condition("Available")["status"] == "False"
    after(service, 10 * DEADLINE)
    assert service.version("stable") == "churn-1", "nobody takes over who does not answer"

    service.has_ready(1, "stable").settles()

    assert answers(service, "stable")


@pytest.mark.parametrize("strategy", ["Canary", "BlueGreen", "Replace"])
def test_the_fix_of_a_broken_revision_answers_as_soon_as_its_first_pod_is_ready(strategy: str) -> None:
    how = rollout({"weight": 10}) if strategy == "Canary" else {"strategy": strategy}
    service = a_served_version(replicas=2, rollout=how)
    service.has_ready(0, "stable").settles()
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    assert answers(service, "stable")

    service.has_ready(1).settles()

    assert answers(service, "canary")
    assert service.deployed[service.revision("canary")] == 2
    assert service.condition("Available")["status"] == "True"
    after(service.has_ready(1), DEADLINE + 10)
    assert service.version("stable") == "churn-2"


def test_going_back_to_a_revision_that_does_not_answer_waits_until_it_does() -> None:
    service = a_canary_whose_stable_revision_is_lost()

    service.changes(model={"version": "churn-1"}).settles()
    assert answers(service, "canary")
    service.has_ready(1, "stable").settles()

    assert (answers(service, "stable"), service.part("canary")) == (True, None)


def test_a_third_version_starts_beside_the_one_that_answers() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    second = service.revision("canary")
    a_version(service.world, "churn-3", "c").is_verified("c")

    service.changes(model={"version": "churn-3"}).settles()

    assert (service.version("stable"), service.version("canary")) == ("churn-2", "churn-3")
    assert service.traffic == second


def test_an_abort_is_carried_out_and_the_pods_go_when_the_service_has_left_them() -> None:
    service = a_canary_whose_stable_revision_is_lost()
    second = service.revision("canary")
    service.world.edit(
        service.key,
        metadata={**metadata(service.body), "annotations": {"modelwright.dev/rollout": f"abort@{second}#1"}},
    )

    service.looks()
    assert answers(service, "stable")
    assert second in service.deployed

    assert second not in service.settles().deployed
    assert service.reason == "RolledBack"
