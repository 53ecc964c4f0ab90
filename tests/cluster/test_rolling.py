"""Pods of a served model are replaced under the load of every kind of client, and nobody notices."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support.kubectl import Kubectl, Object, is_ready
from support.load import calling
from support.models import valid_model
from support.rollouts import MARKS, NAME, REQUEST, publish, serve

pytestmark = MARKS

LARGER = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
SELECTOR = f"modelwright.dev/inference-service={NAME}"


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """Where two pods answer."""
    publish(shared, one=valid_model())
    return serve(shared, strategy="Replace")


def names(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["name"] for pod in kubectl.all("pod", SELECTOR)}


def wait_for_new_pods(kubectl: Kubectl, old: set[str]) -> None:
    """Until both pods are other ones than before, ready, and the old ones are gone."""

    def replaced(found: Object) -> bool:
        pods = names(kubectl)
        return len(pods) == 2 and not pods & old and found["status"].get("readyReplicas") == 2

    kubectl.wait("mwisvc", NAME, replaced, within=180, what="served by other pods")
    kubectl.condition("mwisvc", NAME, "Ready", "True", within=120)


def ready_names(kubectl: Kubectl) -> set[str]:
    """The pods that are ready and stay."""
    return {
        pod["metadata"]["name"]
        for pod in kubectl.all("pod", SELECTOR)
        if "deletionTimestamp" not in pod["metadata"] and is_ready(pod)
    }


def evict_one_after_another(kubectl: Kubectl) -> None:
    """What draining nodes does, where it is patient: no pod is evicted before another has taken its place.

    The condition Ready alone does not tell: just after an eviction it may still be the one from before.
    """
    for name in sorted(names(kubectl)):
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": kubectl.namespace},
        }
        path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
        kubectl.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
        kubectl.run("wait", "pod", name, "--for=delete", "--timeout=120s", timeout=130)
        kubectl.wait(
            "mwisvc", NAME, lambda _: len(ready_names(kubectl)) == 2, within=120, what="served by two pods"
        )


def restart(kubectl: Kubectl) -> None:
    """What people do by hand."""
    (deployment,) = kubectl.all("deployment", SELECTOR)
    kubectl.run("rollout", "restart", f"deployment/{deployment['metadata']['name']}")


def give_more_resources(kubectl: Kubectl) -> None:
    """Another shape of pod is another revision."""
    kubectl.patch("mwisvc", NAME, {"spec": {"resources": LARGER}})


@pytest.mark.parametrize(
    "replace_pods",
    [evict_one_after_another, restart, give_more_resources],
    ids=["eviction", "restart", "resources"],
)
def test_no_request_is_lost_while_pods_are_replaced(
    shared: Kubectl, address: str, replace_pods: Callable[[Kubectl], None]
) -> None:
    with calling(address, 80, 8081, NAME, REQUEST) as callers:
        before = names(shared)
        replace_pods(shared)
        wait_for_new_pods(shared, before)
        callers.answered_everywhere()
        seen = callers.stop()

    print(f"{replace_pods.__name__}: {seen}")
    assert seen["failed"] == {}, seen
