"""Blue-green under the load of real clients: looked at, approved, switched as a whole, and taken back."""

from __future__ import annotations

from typing import Any

from support.kubectl import Kubectl, Object, message
from support.load import calling
from support.models import valid_model
from support.rollouts import (
    GOOD,
    MARKS,
    NAME,
    REQUEST,
    asks,
    publish,
    serve,
    service,
)
from support.tracks import Asker

pytestmark = MARKS

ROLLOUT: dict[str, Any] = {
    "strategy": "BlueGreen",
    "steps": [{"weight": 0, "holdSeconds": 0, "approval": True}],
    "scaleDownDelaySeconds": 600,
}


def answering(address: str) -> set[str]:
    """The versions that answer there."""
    with Asker(address, NAME, REQUEST) as asker:
        return {asker.ask().version for _ in range(30)}


def answers_alone(address: str, version: str) -> None:
    """Waits until this version gives every answer: the nodes hear of a switch a moment after it."""
    for _ in range(100):
        if answering(address) == {version}:
            return
    raise AssertionError(f"other versions than {version} go on answering")


def pods(kubectl: Kubectl, revision: Object) -> set[str]:
    selector = f"modelwright.dev/revision={revision['revision']}"
    return {pod["metadata"]["uid"] for pod in kubectl.all("pod", selector)}


def test_a_version_is_looked_at_then_approved_then_switched_then_undone(kubectl: Kubectl) -> None:
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    address = serve(kubectl)
    first = kubectl.get("mwisvc", NAME)["status"]["stable"]
    blue = pods(kubectl, first)

    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service("two", replicas=2, **ROLLOUT))
        waiting = kubectl.condition("mwisvc", NAME, "Ready", "False", "AwaitingApproval", within=120)
        canary = waiting["status"]["canary"]
        assert canary["revision"] in message(waiting)
        assert canary["readyReplicas"] == 2
        ours = kubectl.all("service", f"modelwright.dev/inference-service={NAME}")
        (beside,) = (found for found in ours if found["metadata"]["name"] != NAME)
        assert canary["url"] == f"http://{beside['metadata']['name']}.{kubectl.namespace}.svc"
        green = pods(kubectl, canary)
        preview = beside["spec"]["clusterIP"]
        assert (answering(preview), answering(address)) == ({"two"}, {"one"})

        kubectl.apply(service("two", replicas=2, approvedRevision=canary["revision"], **ROLLOUT))
        kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
        answers_alone(address, "two")

        asks(kubectl, "undo", canary["revision"])
        undone = kubectl.condition("mwisvc", NAME, "Ready", "True", "Undone", within=60)
        answers_alone(address, "one")
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert "ModelVersion two was undone" in message(undone)
    assert undone["status"]["stable"]["revision"] == first["revision"]
    assert (pods(kubectl, first), pods(kubectl, canary)) == (blue, green), "nothing was restarted"
