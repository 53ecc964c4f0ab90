"""Where the platform gives each namespace its users, as OpenShift's restricted-v2 does: the operator, training and
serving run under a high user id with the group 0, and their pods name none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import kind
from sklearn.datasets import load_breast_cancer
from support.kubectl import ROOT, Kubectl, Object
from support.manifests import inference_service, training_job
from support.openshift import FIRST, restricted_v2
from support.operator import NAMESPACE, install, values
from support.predict import predict, rows

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.alone,
    pytest.mark.skipif(
        kind.engine_answers(), reason="the webhook is on this host, which kind does not reach"
    ),
]

VALUES = ROOT / "charts/openshift.yaml"


@pytest.fixture
def openshift(operator: Kubectl, kubectl: Kubectl, tmp_path: Path) -> Iterator[None]:
    """The constraints hold for the operator and for the test's namespace; the release has the values for OpenShift."""
    ours, theirs = (yaml.safe_load(path.read_text()) for path in (values(), VALUES))
    try:
        with restricted_v2(operator, tmp_path, kubectl.namespace, NAMESPACE):
            install(operator, given={**ours, **theirs})
            yield
    finally:
        install(operator)


def identity(kubectl: Kubectl, pod: Object) -> str:
    """User and group of the processes of a pod."""
    return kubectl.run("exec", pod["metadata"]["name"], "--", "sh", "-c", "echo $(id -u):$(id -g)").strip()


def test_pods_that_name_no_user_train_and_serve_under_the_one_that_admission_gives_them(
    kubectl: Kubectl, openshift: None
) -> None:
    kubectl.apply(training_job(), inference_service(track="cancer", replicas=1))
    kubectl.condition("trainingjob", "cancer", "Ready", "True", "RunSucceeded", within=240)
    kubectl.condition("mwisvc", "cancer", "Ready", "True", "Serving", within=120)
    answer, _ = predict(kubectl, "cancer", rows(*load_breast_cancer().data[:2].tolist()))

    assert answer["outputs"]
    (server,) = kubectl.all("pod", "modelwright.dev/inference-service=cancer")
    assert identity(kubectl, server) == f"{FIRST}:0"
    (operator, *_) = Kubectl(NAMESPACE).all("pod", "app.kubernetes.io/component=operator")
    assert identity(Kubectl(NAMESPACE), operator) == f"{FIRST}:0"
    for workload in (*kubectl.all("job"), *kubectl.all("deployment")):
        assert {"runAsUser", "runAsGroup", "fsGroup"}.isdisjoint(
            workload["spec"]["template"]["spec"]["securityContext"]
        )
