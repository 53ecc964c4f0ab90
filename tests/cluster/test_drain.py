"""What drains a node evicts one pod of a service at a time, and no request fails."""

from __future__ import annotations

import json
import time

import pytest
from support.handmade import versions
from support.kubectl import Kubectl, KubectlError
from support.load import calling
from support.models import valid_model
from support.rollouts import MARKS, NAME, REQUEST, serve

pytestmark = MARKS

SELECTOR = f"modelwright.dev/inference-service={NAME}"
REFUSED = "violate the pod's disruption budget"


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Where two pods answer, with a model on a claim of many nodes."""
    versions(shared, NAME, {"one": valid_model()}, many_nodes=True)
    return serve(shared, strategy="Replace")


def names(kubectl: Kubectl) -> list[str]:
    """The pods that stay."""
    pods = kubectl.all("pod", SELECTOR)
    return sorted(pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"])


def evict(kubectl: Kubectl, name: str) -> bool:
    """Asks for an eviction, as a drain does; False if the disruption budget refuses it."""
    meta = {"name": name, "namespace": kubectl.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
    try:
        kubectl.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
    except KubectlError as error:
        if REFUSED not in str(error):
            raise
        return False
    return True


def waits_until_one_may_go(kubectl: Kubectl) -> None:
    """Until the budget lets one pod be evicted, and no more."""
    kubectl.wait(
        "pdb",
        NAME,
        lambda found: (found.get("status") or {}).get("disruptionsAllowed") == 1,
        within=60,
        what="ready to let one go",
    )


def test_a_drain_waits_for_the_place_of_each_pod_and_no_request_fails(shared: Kubectl, address: str) -> None:
    refused = 0
    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        waits_until_one_may_go(shared)
        first, second = names(shared)
        assert evict(shared, first)
        deadline = time.monotonic() + 120
        while not evict(shared, second):
            assert time.monotonic() < deadline, "the second pod is never let go"
            refused += 1
            time.sleep(0.5)
        waits_until_one_may_go(shared)
        callers.answered_everywhere()
        seen = callers.stop()

    print(f"drained: {seen}; the second eviction was refused {refused} times")
    assert refused > 0, "both pods went at once"
    assert not {first, second} & set(names(shared))
    assert seen["failed"] == {}, seen


def test_one_pod_alone_blocks_no_drain(shared: Kubectl, address: str) -> None:
    assert address
    shared.run("scale", f"mwisvc/{NAME}", "--replicas=1")
    shared.wait(
        "mwisvc", NAME, lambda _: shared.find("pdb", NAME) is None, within=30, what="without a budget"
    )
    shared.wait("mwisvc", NAME, lambda _: len(names(shared)) == 1, within=60, what="served by one pod")

    assert evict(shared, names(shared)[0])
