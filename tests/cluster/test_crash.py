"""The operator is ended with SIGKILL at random moments: nothing is lost, doubled or stuck, nothing written in vain."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl
from support.load import start
from support.manifests import inference_service, training_job
from support.operator import NAMESPACE
from support.predict import rows
from support.processes import kill_operators

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.alone,
    pytest.mark.usefixtures("operator"),
    pytest.mark.timeout(900),
]

REQUEST = rows(*load_breast_cancer().data[:1].tolist())


@contextmanager
def power_cuts(seed: int, most: int = 6) -> Iterator[None]:
    """Ends the operator again and again, at moments that the seed chooses.

    New pods afterwards: the kubelet would have the old ones wait for minutes before their next start.
    """
    moments, over = random.Random(seed), threading.Event()

    def cut() -> None:
        for _ in range(most):
            if over.wait(moments.uniform(0.2, 6)):
                return
            kill_operators(NAMESPACE)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        Kubectl(NAMESPACE).run(
            "delete", "pods", "--selector=app.kubernetes.io/component=operator", "--wait=false"
        )


def new_operators() -> None:
    """Fresh pods for the operator, ready."""
    system = Kubectl(NAMESPACE)
    system.run("delete", "pods", "--selector=app.kubernetes.io/component=operator")
    system.run("rollout", "status", "deployment/modelwright-operator", "--timeout=170s", timeout=180)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_and_a_change_of_revision_survive_power_cuts(kubectl: Kubectl, seed: int) -> None:
    with power_cuts(seed):
        kubectl.apply(training_job("cancer"))
        kubectl.apply(inference_service("cancer", track="cancer", rollout={"scaleDownDelaySeconds": 5}))
        done = kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=400)
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=300)
    assert done["status"]["run"]["number"] == 1
    assert [version["metadata"]["name"] for version in kubectl.all("mv")] == ["cancer-1"]
    runs = kubectl.all("job", "modelwright.dev/training-job=cancer")
    assert [(job["metadata"]["name"], job["metadata"]["uid"]) for job in runs] == [
        ("cancer-1", done["status"]["run"]["jobUid"])
    ]
    assert len(kubectl.all("pod", "modelwright.dev/training-job=cancer")) == 1

    load = start(kubectl, "cancer", REQUEST)
    with power_cuts(seed + 100):
        kubectl.patch("trainingjob", "cancer", {"spec": {"seed": 5}})
        kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=400)
        kubectl.wait(
            "mwisvc", "cancer", lambda found: found["status"]["stable"]["version"] == "cancer-2", within=400
        )
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=300)
    kubectl.wait("mwisvc", "cancer", lambda _: len(kubectl.all("deployment")) == 1, within=200)
    seen = load.stop()

    assert seen["failed"] == 0, seen
    assert {version["metadata"]["name"] for version in kubectl.all("mv")} == {"cancer-1", "cancer-2"}


def test_a_restart_over_a_settled_cluster_writes_nothing(kubectl: Kubectl) -> None:
    kubectl.apply(training_job("cancer"), inference_service("cancer", track="cancer"))
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=300)
    versions = "-o=jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.resourceVersion} {end}"
    kinds = "tj,mv,mwisvc,job,deployment,service,pvc"
    before = kubectl.run("get", kinds, versions).split()

    leader_is_replaced()
    new_operators()
    kubectl.patch("mwisvc", "cancer", {"spec": {"rollout": {"scaleDownDelaySeconds": 7}}})
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=60)

    after = kubectl.run("get", kinds, versions).split()
    assert len(before) == 6 + 1
    assert {part for part in after if not part.startswith("InferenceService/")} == {
        part for part in before if not part.startswith("InferenceService/")
    }


def leader_is_replaced() -> None:
    """Ends the operators and waits until another one is in charge: it has seen everything then."""
    system = Kubectl(NAMESPACE)
    holder = system.get("lease", "modelwright-operator")["spec"]["holderIdentity"]
    kill_operators(NAMESPACE)
    system.wait(
        "lease",
        "modelwright-operator",
        lambda found: found["spec"].get("holderIdentity") not in {holder, "", None},
        within=120,
    )
