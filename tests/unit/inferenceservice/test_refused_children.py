"""What a quota, a policy or a taken name refuses is said in Ready, and nothing is promoted whose share never was."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import InferenceService, a_served_version, a_service, a_version, a_world
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, after, measures, rollout, rule

from modelwright.common.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES
from modelwright.common.times import to_timestamp
from modelwright.engine.errors import Denied, Invalid
from modelwright.engine.objects import Body, Key, ResourceType, annotations_of

QUOTA = 'pods "churn-5d-x7k2p" is forbidden: exceeded quota: room, requested: pods=1, used: pods=1, limited: pods=1'
WORDS = (
    "pods are forbidden: exceeded quota: room, requested: pods=1, limited: pods=1; free some of the quota, raise it, "
    "or change spec.resources"
)
DEADLINE = 600
RETRIED_AT = "modelwright.dev/pods-retried-at"
STEP = {"weight": 50, "holdSeconds": 10}


def refuses(service: InferenceService, resource: ResourceType, message: str = "no such label") -> None:
    """A policy refuses all changes of a kind from now on."""

    def judge(key: Key, body: Body) -> None:
        if key.resource == resource:
            raise Denied(f'admission webhook "labels" denied the request: {message}')

    service.world.api.rules.append(judge)


def refuses_nothing(service: InferenceService) -> None:
    """The policy is gone."""
    service.world.api.rules.clear()
    service.world.after(70)


def refuses_pods(service: InferenceService, part: str, message: str = QUOTA, *, there: int = 0) -> None:
    """The ReplicaSet of a Deployment cannot make its pods, and the Deployment says so."""
    failed = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
        "lastTransitionTime": to_timestamp(service.world.now),
    }
    service.has_ready(there, part)
    key = service.deployment(service.revision(part))
    service.world.edit(key, status={"conditions": [failed]})


def a_rollout(replicas: int = 1, **more: Any) -> InferenceService:
    """churn-1 serves, and churn-2 is asked for."""
    service = a_served_version(replicas=replicas, rollout=rollout(STEP, **more))
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"})


def looks(service: InferenceService, seconds: float = 0) -> InferenceService:
    """The operator looks until nothing changes; what is refused is tried again in its time."""
    service.world.after(seconds)
    for _ in range(6):
        service.looks()
    return service


def note(service: InferenceService, part: str) -> str | None:
    """When the pods of a revision were tried again."""
    body = service.world.api.objects[service.deployment(service.revision(part))]
    return annotations_of(body).get(RETRIED_AT)


def test_pods_that_a_quota_refuses_are_in_ready_at_once_and_in_the_message_of_the_deadline() -> None:
    service = a_rollout().settles()

    refuses_pods(service, "canary")

    service.settles()
    assert (service.reason, service.kstatus) == ("QuotaExceeded", "InProgress")
    assert service.message == f"ModelVersion churn-2: {WORDS}"
    looks(service, DEADLINE + 10)
    assert service.message == (
        f"ModelVersion churn-2: {WORDS} (not ready within progressDeadlineSeconds: 600); churn-1 keeps the traffic; "
        "it is tried again"
    )


def test_a_limit_range_keeps_a_first_revision_waiting_and_it_says_which() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world).settles()
    words = 'pods "churn-x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 512Mi'
    refuses_pods(service, "canary", f"Error creating: {words}")

    looks(service, 100 * DEADLINE)

    assert (service.reason, service.kstatus) == ("LimitRangeViolated", "InProgress")
    assert "maximum memory usage per Container is 64Mi" in service.message


def test_scaling_beyond_a_quota_says_so() -> None:
    service = a_served_version().changes(replicas=4).settles()

    refuses_pods(service, "stable", there=2)

    assert service.settles().message == f"ModelVersion churn-1: {WORDS}"
    assert service.condition("Available")["status"] == "True"


def test_refused_pods_are_tried_again_every_45_seconds_and_only_while_they_are_refused() -> None:
    service = a_rollout().settles()
    refuses_pods(service, "canary")
    assert note(service.settles(), "canary") is None, "the ReplicaSet controller has just tried"

    looks(service, 46)
    first = note(service, "canary")
    assert first == to_timestamp(service.world.now)
    looks(service, 40)
    assert note(service, "canary") == first
    looks(service, 10)
    second = note(service, "canary")
    assert second == to_timestamp(service.world.now)

    key = service.deployment(service.revision("canary"))
    service.world.edit(key, status={"conditions": []})
    looks(service, 50)
    assert note(service, "canary") == second


def test_a_refused_child_is_in_ready_and_what_only_the_spec_can_mend_is_stalled() -> None:
    world = a_world()
    a_version(world).is_verified()
    service = a_service(world)

    def judge(key: Key, body: Body) -> None:
        if key.resource == DEPLOYMENTS:
            raise Invalid("Deployment.apps is invalid: requests: must be less than or equal to memory limit")

    world.api.rules.append(judge)

    looks(service)

    assert (service.reason, service.kstatus) == ("Refused", "Failed")
    assert "must be less than or equal to memory limit; change the spec" in service.message
    world.api.rules.clear()
    looks(looks(service, 70)).has_ready(1)
    assert looks(service).is_ready


@pytest.mark.parametrize("policy", ["Promote", "Wait"])
@pytest.mark.parametrize("kind", [CONFIG_MAPS, SERVICES], ids=["rule", "service"])
def test_a_canary_whose_share_is_refused_is_not_promoted(kind: ResourceType, policy: str) -> None:
    service = a_rollout(analysis={"onNoData": policy, "noDataSeconds": 10})
    refuses(service, kind)
    looks(service).has_ready(1)
    looks(service)
    if service.status["canary"].get("stepSince"):
        measures(service, GOOD)

    looks(service, DEADLINE - 10)

    assert service.version("stable") == "churn-1"
    assert (service.reason, service.kstatus) == ("PolicyDenied", "InProgress")
    looks(service, 20)
    canary = service.part("canary")
    assert canary is not None
    assert (canary["state"], canary["reason"]) == ("Failed", "PolicyDenied")
    assert "progressDeadlineSeconds: 600" in canary["message"]


def test_the_step_goes_on_once_its_share_holds() -> None:
    service = a_rollout()
    refuses(service, CONFIG_MAPS)
    looks(looks(service).has_ready(1))
    looks(service, 100)
    assert (service.status["canary"]["weight"], rule(service)) == (50, None)

    refuses_nothing(service)
    looks(service)

    assert rule(service) is not None
    assert "waitingSince" not in service.status["canary"]
    assert service.reason == "CanaryInProgress"
    assert after(measures(service, GOOD), 11).version("stable") == "churn-2"


def test_a_canary_whose_share_grows_no_more_is_still_rolled_back_by_what_is_measured() -> None:
    service = a_rollout().settles().has_ready(1).settles()
    refuses(service, SERVICES)

    measures(service, BAD)
    looks(service)

    assert service.part("canary") is not None
    assert service.status["canary"]["state"] == "Failed"
    assert service.revision("canary") not in service.deployed
    assert rule(service) is None


def test_the_share_and_the_pods_of_a_rolled_back_canary_go_even_when_something_else_is_refused() -> None:
    service = a_rollout().settles().has_ready(1).settles()
    second = service.revision("canary")
    refuses(service, DEPLOYMENTS)
    service.changes(replicas=3)
    looks(service)

    measures(service, BAD)
    looks(service)

    assert (rule(service), second in service.deployed) == (None, False)


def test_a_rule_that_is_gone_holds_the_step() -> None:
    service = a_rollout().settles().has_ready(1).settles()
    refuses(service, CONFIG_MAPS)
    service.world.drop(Key(CONFIG_MAPS, NAMESPACE, f"churn-{service.revision('stable')}"))
    measures(service, GOOD)

    looks(service, 20)

    assert service.status["canary"]["state"] == "Shifting"
