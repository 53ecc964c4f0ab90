"""Devices as a device plugin advertises them: the scheduler counts them for pods that train and that serve, and Ready
says which one is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import SMALL, inference_service, training_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

DEVICE = "modelwright.example.com/gpu"
NONE = "modelwright.example.com/tpu"
ALL = 2
SERVING = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi", DEVICE: 1}}


@pytest.fixture
def devices(cluster: Kubectl) -> Iterator[None]:
    """The node has two devices of a name that nothing else asks for."""
    node = cluster.run("get", "nodes", "--output=name").split()[0]
    pointer = "/status/{}/" + DEVICE.replace("/", "~1")
    counts = [pointer.format("capacity"), pointer.format("allocatable")]

    def patch(*operations: Object) -> None:
        words = ("patch", node, "--subresource=status", "--type=json")
        cluster.run(*words, "-p", json.dumps(operations))

    patch(*({"op": "add", "path": path, "value": str(ALL)} for path in counts))
    yield
    patch(*({"op": "remove", "path": path} for path in counts))


def trains(name: str, **limits: int) -> Object:
    """A TrainingJob whose trainer asks for devices."""
    return training_job(name, resources={**SMALL, "limits": {**SMALL["limits"], **limits}})


def devices_of(pod: Object) -> dict[str, str]:
    """What each container of a pod has of the devices."""
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    limits = {each["name"]: each["resources"].get("limits", {}) for each in containers}
    return {name: given[DEVICE] for name, given in limits.items() if DEVICE in given}


def waits_for_a_device(kubectl: Kubectl, kind: str, name: str, device: str = DEVICE) -> None:
    """Until Ready says that no node has enough of it."""
    found = kubectl.condition(kind, name, "Ready", "False", "Unschedulable", within=30)
    assert message(found).endswith(f"no node takes the pod: Insufficient {device}")


def is_placed(found: Object) -> bool:
    """Whether a run has a node."""
    ready = condition(found, "Ready")
    return ready is not None and ready["status"] != "False"


def test_pods_get_the_devices_that_they_ask_for_and_wait_for_those_that_are_taken(
    kubectl: Kubectl, devices: None
) -> None:
    kubectl.apply(trains("cancer", **{DEVICE: ALL}))
    kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=180)
    (trained,) = kubectl.all("pod", "modelwright.dev/training-job=cancer")
    assert devices_of(trained) == {"train": str(ALL)}

    kubectl.apply(inference_service(version="cancer-1", resources=SERVING, replicas=ALL + 1))
    waits_for_a_device(kubectl, "mwisvc", "cancer")
    kubectl.patch("mwisvc", "cancer", {"spec": {"replicas": ALL}})
    kubectl.condition("mwisvc", "cancer", "Ready", "True", "Serving", within=120)
    serving = kubectl.all("pod", "modelwright.dev/inference-service=cancer")
    assert [devices_of(pod)["server"] for pod in serving] == ["1", "1"]

    kubectl.apply(trains("next", **{DEVICE: 1}), trains("none", **{NONE: 1}))
    waits_for_a_device(kubectl, "trainingjob", "next")
    waits_for_a_device(kubectl, "trainingjob", "none", NONE)
    kubectl.patch("mwisvc", "cancer", {"spec": {"replicas": 1}})
    kubectl.wait("trainingjob", "next", is_placed, what="placed")
