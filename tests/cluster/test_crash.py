"""The operator is ended with SIGKILL at random moments: nothing is lost, doubled or stuck, nothing is written twice."""

from __future__ import annotations

import pytest
from sklearn.datasets import load_breast_cancer
from support.kubectl import Kubectl
from support.load import start
from support.manifests import inference_service, training_job
from support.operator import NAMESPACE, give_up_the_lease, leader, power_cuts, replaced
from support.predict import rows
from support.processes import kill_operators

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.alone,
    pytest.mark.usefixtures("operator"),
    pytest.mark.timeout(900),
]

REQUEST = rows(*load_breast_cancer().data[:1].tolist())


def test_a_run_and_a_change_of_revision_survive_power_cuts(kubectl: Kubectl) -> None:
    with power_cuts(seed=1):
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
    with power_cuts(seed=2):
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

    another_one_leads()
    replaced()
    kubectl.patch("mwisvc", "cancer", {"spec": {"rollout": {"scaleDownDelaySeconds": 7}}})
    kubectl.condition("inferenceservice", "cancer", "Ready", "True", "Serving", within=60)

    after = kubectl.run("get", kinds, versions).split()
    assert len(before) == 6 + 1
    assert {part for part in after if not part.startswith("InferenceService/")} == {
        part for part in before if not part.startswith("InferenceService/")
    }


def another_one_leads() -> None:
    """Ends the operators and waits until another one leads: it has seen everything then."""
    before = leader()
    kill_operators(NAMESPACE)
    Kubectl(NAMESPACE).run("delete", "pod", before, "--force", "--grace-period=0")
    give_up_the_lease()
    assert leader() != before
