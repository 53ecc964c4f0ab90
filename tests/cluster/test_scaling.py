"""The number of pods follows kubectl scale and Kubernetes' own autoscaler, also in the middle of a canary."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import podmetrics
from support.kubectl import Kubectl, Object, message
from support.load import calling
from support.models import valid_model
from support.podmetrics import Usage
from support.rollouts import FOR_EVER, GOOD, MARKS, NAME, REQUEST, asks, publish, service, waits_for_weight

pytestmark = MARKS

HALF: dict[str, Any] = {"steps": [{"weight": 50, "holdSeconds": FOR_EVER}]}
AUTOSCALING: Object = {"maxReplicas": 4, "scaleDownStabilizationSeconds": 0}
# Of 10m that each pod asks for, 65 % are to be used: 6.5m.
FOR_ONE_POD, FOR_FOUR_PODS = 3, 25
GITOPS = ("argocd-controller", "kustomize-controller")


def in_git(version: str, autoscaling: Object | None = None, **more: Any) -> Object:
    """A service as it is in Git where its pods are scaled: without replicas."""
    manifest = service(version, **more)
    del manifest["spec"]["replicas"]
    return {**manifest, "spec": {**manifest["spec"], **({"autoscaling": autoscaling} if autoscaling else {})}}


@pytest.fixture(scope="module")
def address(shared: Kubectl) -> str:
    """One pod serves version `one`; gives the Service's address."""
    publish(shared, one=valid_model(), two=GOOD["two"])
    shared.apply(in_git("one", **HALF))
    shared.condition("mwisvc", NAME, "Ready", "True", "Serving", within=180)
    return str(shared.get("service", NAME)["spec"]["clusterIP"])


def has(kubectl: Kubectl, pods: int, canary: int | None = None) -> Object:
    """Waits until the stable revision has so many pods, ready and no others, and the canary its part."""

    def counted(found: Object) -> bool:
        status = found["status"]
        stable = (found["spec"]["replicas"], status.get("replicas"), status.get("readyReplicas"))
        beside = (status.get("canary") or {}).get("readyReplicas")
        return stable == (pods, pods, pods) and beside == canary

    return kubectl.wait("mwisvc", NAME, counted, within=90, what=f"served by {pods} pods beside {canary}")


def test_kubectl_scale_sets_the_number_of_pods_and_what_is_in_git_keeps_it(
    shared: Kubectl, address: str
) -> None:
    assert address
    text = json.dumps(in_git("one", **HALF))
    # What kubectl knows of the API may be from before the CRDs of this release.
    shared.run("api-resources", "--cached=false", "--api-group=modelwright.dev")
    shared.run("scale", f"mwisvc/{NAME}", "--replicas=2")
    found = has(shared, 2)
    stable = found["status"]["stable"]["revision"]
    assert found["status"]["selector"].endswith(f",modelwright.dev/revision in ({stable})")
    assert len(shared.all("pod", found["status"]["selector"])) == 2
    assert shared.find("pdb", NAME) is None

    for manager in GITOPS:
        flags = ("--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-")
        shared.run("diff", *flags, given=text)
        shared.run("apply", *flags, given=text)
    shared.run("scale", f"mwisvc/{NAME}", "--current-replicas=2", "--replicas=1")

    has(shared, 1)


def scales(kubectl: Kubectl, usage: Usage, millicores: int, pods: int, canary: int | None = None) -> Object:
    """The load changes, and the autoscaler follows."""
    usage.millicores = millicores
    return has(kubectl, pods, canary)


def test_the_autoscaler_follows_the_load_and_no_request_and_no_step_of_a_canary_is_lost(
    shared: Kubectl, address: str
) -> None:
    if podmetrics.is_installed(shared):
        pytest.skip("the cluster has metrics of its own")
    shared.apply(in_git("one", AUTOSCALING, **HALF))
    lacking = shared.condition(
        "mwisvc", NAME, "AutoscalingActive", "False", "MetricsApiUnavailable", within=60
    )
    assert "install metrics-server" in message(lacking, "AutoscalingActive")

    with podmetrics.served(shared) as usage, calling(address, 80, 8081, NAME, REQUEST) as callers:
        scales(shared, usage, FOR_FOUR_PODS, 4)
        shared.condition("mwisvc", NAME, "AutoscalingActive", "True", "Active", within=30)
        scales(shared, usage, FOR_ONE_POD, 1)

        shared.apply(in_git("two", AUTOSCALING, **HALF))
        begun = waits_for_weight(shared, 50)["status"]["canary"]
        scaled = scales(shared, usage, FOR_FOUR_PODS, 4, canary=2)
        assert len(shared.all("pod", scaled["status"]["selector"])) == 4 + 2, "a canary with a share counts"
        canary = scales(shared, usage, FOR_ONE_POD, 1, canary=1)["status"]["canary"]
        for kept in ("revision", "state", "step", "stepSince", "measurement", "weight"):
            assert canary[kept] == begun[kept], f"{kept} of the canary"
        asks(shared, "promote-full", canary["revision"])
        done = shared.condition("mwisvc", NAME, "Ready", "True", "Serving", within=60)
        callers.answered_everywhere()
        seen = callers.stop()

    print(f"scaled: {seen}")
    assert seen["failed"] == {}, seen
    assert done["status"]["stable"]["version"] == "two"
    counted = shared.all("pod", done["status"]["selector"])
    revisions = {pod["metadata"]["labels"]["modelwright.dev/revision"] for pod in counted}
    assert revisions == {done["status"]["stable"]["revision"]}, "the retired revision does not count"
    shared.apply(in_git("two", **HALF))
    shared.wait(
        "mwisvc", NAME, lambda _: shared.find("hpa", NAME) is None, within=30, what="no longer scaled"
    )
