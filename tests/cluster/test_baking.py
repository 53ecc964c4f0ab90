"""A version that turns out bad after it has taken over: the one before takes the traffic back in one switch."""

from __future__ import annotations

from typing import Any

from support.kubectl import Kubectl, condition, message
from support.load import Callers, calling
from support.manifests import inference_service
from support.models import failing_on_large_data, valid_model
from support.rollouts import FOR_EVER, LARGE, MARKS, NAME, REQUEST, asks, publish, serve, service

pytestmark = MARKS

STEPS = [{"weight": 50, "holdSeconds": 1}]


def test_what_fails_after_its_promotion_is_taken_back_and_not_followed_by_others(kubectl: Kubectl) -> None:
    publish(kubectl, one=valid_model(), fragile=failing_on_large_data())
    address = serve(kubectl)
    first = kubectl.get("mwisvc", NAME)["status"]["stable"]["revision"]
    pods = names(kubectl, first)

    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service("fragile", replicas=2, steps=STEPS, bakeSeconds=FOR_EVER))
        kubectl.condition("mwisvc", NAME, "Ready", "False", "Baking", within=120)
        assert callers.answered_everywhere()["failed"] == {}
        callers.send(LARGE)
        back = kubectl.condition("mwisvc", NAME, "Stalled", "True", "RolledBack", within=60)
        seen = until_all_is_well(callers)

    assert sum(seen["failed"].values()) >= 3, seen
    assert (back["status"]["stable"]["version"], back["status"]["stable"]["revision"]) == ("one", first)
    assert names(kubectl, first) == pods, "nothing was started for it"
    assert "ErrorRateTooHigh" in message(back)
    assert back["status"]["lastDecision"]["verdict"] == "Rollback"

    kubectl.condition("modelversion", "fragile", "Quarantined", "True", "ErrorRateTooHigh", within=30)
    kubectl.apply(inference_service("follower", track=NAME))
    followed = kubectl.condition("mwisvc", "follower", "Ready", "True", within=120)
    assert followed["status"]["stable"]["version"] == "one"

    kubectl.delete("mwisvc", "follower")
    asks(kubectl, "retry", back["status"]["canary"]["revision"])
    kubectl.wait("mwisvc", NAME, lambda found: "rejected" not in found["status"], what="forgiving")
    kubectl.wait(
        "modelversion", "fragile", lambda found: condition(found, "Quarantined") is None, what="forgiven"
    )


def until_all_is_well(callers: Callers) -> Any:
    """Waits until hundreds of requests in a row have been answered; gives what the callers saw."""
    before = callers.seen()
    for _ in range(10):
        seen = callers.answered_everywhere(more=100)
        if seen["failed"] == before["failed"]:
            return seen
        before = seen
    raise AssertionError(f"requests fail on and on: {before}")


def names(kubectl: Kubectl, revision: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kubectl.all("pod", f"modelwright.dev/revision={revision}")}
