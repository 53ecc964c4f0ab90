"""A service loses its status or its owner under the load of every kind of client, and nobody notices."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.kubectl import Kubectl, Object
from support.load import calling
from support.models import valid_model
from support.rollouts import FOR_EVER, GOOD, MARKS, NAME, REQUEST, publish, serve, service, waits_for_weight

pytestmark = MARKS

SELECTOR = f"modelwright.dev/inference-service={NAME}"
CHILDREN = "service,deployment"
HALF = [{"weight": 50, "holdSeconds": FOR_EVER}]


@pytest.fixture
def address(kubectl: Kubectl) -> Iterator[str]:
    """Where two pods answer."""
    publish(kubectl, one=valid_model(), two=GOOD["two"])
    yield serve(kubectl)
    kubectl.delete("mwisvc", NAME)


def pods(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["uid"] for pod in kubectl.all("pod", SELECTOR)}


def owners(kubectl: Kubectl) -> set[str | None]:
    """The uids of the owners that the Service and the Deployments have."""
    found = kubectl.all(CHILDREN, SELECTOR)
    return {next((o["uid"] for o in each["metadata"].get("ownerReferences") or ()), None) for each in found}


def remove_status(kubectl: Kubectl) -> None:
    removal = json.dumps([{"op": "remove", "path": "/status"}])
    kubectl.run("patch", "mwisvc", NAME, "--subresource=status", "--type=json", "-p", removal)


def serves(found: Object) -> bool:
    return "stable" in (found.get("status") or {})


def test_a_status_that_is_removed_is_made_again_from_what_runs(kubectl: Kubectl, address: str) -> None:
    before, running = kubectl.get("mwisvc", NAME)["status"]["stable"], pods(kubectl)

    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        remove_status(kubectl)
        kubectl.wait("mwisvc", NAME, serves, within=60, what="adopted")
        kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert kubectl.get("mwisvc", NAME)["status"]["stable"]["revision"] == before["revision"]
    assert pods(kubectl) == running
    assert ("Normal", "RevisionAdopted") in {event[:2] for event in kubectl.events("InferenceService", NAME)}


def test_children_without_an_owner_are_adopted_by_the_next_of_their_name(
    kubectl: Kubectl, address: str
) -> None:
    before, running = kubectl.get("mwisvc", NAME), pods(kubectl)

    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        kubectl.delete("mwisvc", NAME, "--cascade=orphan")
        assert owners(kubectl) == {None}
        kubectl.apply(service("one", replicas=2))
        again = kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=90)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert again["metadata"]["uid"] != before["metadata"]["uid"]
    assert again["status"]["stable"]["revision"] == before["status"]["stable"]["revision"]
    assert owners(kubectl) == {again["metadata"]["uid"]}
    assert pods(kubectl) == running


def test_a_status_that_is_removed_in_mid_canary_is_made_again_and_no_step_is_skipped(
    kubectl: Kubectl, address: str
) -> None:
    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        kubectl.apply(service("two", replicas=2, steps=HALF))
        before = waits_for_weight(kubectl, 50)["status"]
        running = pods(kubectl)
        remove_status(kubectl)
        after = waits_for_weight(kubectl, 50)["status"]
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert after["stable"]["revision"] == before["stable"]["revision"]
    assert after["canary"]["revision"] == before["canary"]["revision"]
    assert pods(kubectl) == running
