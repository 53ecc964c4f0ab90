"""Pods of a served model are replaced under the load of every kind of client, and nobody notices."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cluster import kind
from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl, Object
from support.load import calling
from support.manifests import inference_service, training_job
from support.predict import rows

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(
        kind.engine_answers(),
        reason="the callers are on this host, where a Service of kind cannot be reached",
    ),
]

REQUEST = rows(*load_breast_cancer().data[:2].tolist())
LARGER = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}
SELECTOR = "modelwright.dev/inference-service=cancer"


def names(kubectl: Kubectl) -> set[str]:
    return {pod["metadata"]["name"] for pod in kubectl.all("pod", SELECTOR)}


def wait_for_new_pods(kubectl: Kubectl, old: set[str]) -> None:
    """Until both pods are other ones than before, ready, and the old ones are gone."""

    def replaced(found: Object) -> bool:
        pods = names(kubectl)
        return len(pods) == 2 and not pods & old and found["status"].get("replicas") == 2

    kubectl.wait("mwisvc", "cancer", replaced, within=180, what="served by other pods")
    kubectl.condition("mwisvc", "cancer", "Ready", "True", within=120)


def evict_one_after_another(kubectl: Kubectl) -> None:
    """What draining nodes does, where it is patient."""
    for name in sorted(names(kubectl)):
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": kubectl.namespace},
        }
        path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
        kubectl.run("create", "--raw", path, "-f", "-", given=json.dumps(eviction))
        kubectl.run("wait", "pod", name, "--for=delete", "--timeout=120s", timeout=130)
        kubectl.condition("mwisvc", "cancer", "Ready", "True", within=120)


def restart(kubectl: Kubectl) -> None:
    """What people do by hand."""
    (deployment,) = kubectl.all("deployment", SELECTOR)
    kubectl.run("rollout", "restart", f"deployment/{deployment['metadata']['name']}")


def give_more_resources(kubectl: Kubectl) -> None:
    """Another shape of pod is another revision."""
    kubectl.patch("mwisvc", "cancer", {"spec": {"resources": LARGER}})


@pytest.mark.parametrize(
    "replace_pods",
    [evict_one_after_another, restart, give_more_resources],
    ids=["eviction", "restart", "resources"],
)
def test_no_request_is_lost_while_pods_are_replaced(
    kubectl: Kubectl, replace_pods: Callable[[Kubectl], None]
) -> None:
    kubectl.apply(
        training_job("cancer"),
        inference_service("cancer", track="cancer", replicas=2, rollout={"scaleDownDelaySeconds": 3}),
    )
    kubectl.condition("mwisvc", "cancer", "Ready", "True", within=240)
    address = kubectl.get("service", "cancer")["spec"]["clusterIP"]

    with calling(address, 80, 8081, "cancer", REQUEST) as callers:
        before = names(kubectl)
        replace_pods(kubectl)
        wait_for_new_pods(kubectl, before)
        callers.answered_everywhere()
        seen = callers.stop()

    print(f"{replace_pods.__name__}: {seen}")
    assert seen["failed"] == {}, seen
