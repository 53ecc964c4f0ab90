"""The stable revision loses its pods in the middle of a canary: the canary answers, and takes over in the end."""

from __future__ import annotations

from support.kubectl import Kubectl, message
from support.load import calling
from support.models import valid_model
from support.rollouts import FOR_EVER, GOOD, MARKS, REQUEST, publish, serve, service, waits_for_weight

pytestmark = MARKS

HALF = [{"weight": 50, "holdSeconds": FOR_EVER}]
DEADLINE_SECONDS = 60


def loses_its_stable_pod(kubectl: Kubectl) -> str:
    """Half of the traffic is the canary's when the stable pod goes, and a quota lets no other come; gives the Service's
    address."""
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    address = serve(kubectl, replicas=1)
    kubectl.apply(service("two", steps=HALF, progressDeadlineSeconds=DEADLINE_SECONDS))
    stable = waits_for_weight(kubectl, 50)["status"]["stable"]["revision"]
    kubectl.run("create", "quota", "room", "--hard=pods=1")
    kubectl.run("delete", "pod", "-l", f"modelwright.dev/revision={stable}", "--wait=false")
    return address


def test_the_canary_answers_until_a_stable_pod_is_ready_again(kubectl: Kubectl) -> None:
    address = loses_its_stable_pod(kubectl)

    found = kubectl.condition("mwisvc", "doubles", "Available", "True", "CanaryAnswers", within=90)
    assert found["status"]["stable"]["version"] == "one"
    found = kubectl.condition("mwisvc", "doubles", "Ready", "False", "StableUnavailable")
    assert message(found).startswith(
        "no pod of ModelVersion one is ready: the canary two answers all requests until one is"
    )
    with calling(address, 80, 8081, "doubles", REQUEST) as callers:
        callers.answered_everywhere()
        kubectl.run("delete", "quota", "room")
        kubectl.condition("mwisvc", "doubles", "Available", "True", "PodsReady", within=90)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen


def test_the_canary_takes_over_for_good_when_no_stable_pod_comes_back(kubectl: Kubectl) -> None:
    address = loses_its_stable_pod(kubectl)
    found = kubectl.condition("mwisvc", "doubles", "Available", "True", "CanaryAnswers", within=90)
    found = kubectl.wait(
        "mwisvc",
        "doubles",
        lambda now: "QuotaExceeded" in message(now),
        within=30,
        what="waiting for the quota",
    )
    assert "exceeded quota: room" in message(found)

    with calling(address, 80, 8081, "doubles", REQUEST) as callers:
        callers.answered_everywhere()
        found = kubectl.condition("mwisvc", "doubles", "Ready", "True", "Serving", within=180)
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert found["status"]["stable"]["version"] == "two"
    assert found["status"]["lastDecision"]["reason"] == "StableUnavailable"
