"""The image of a trainer in a registry that asks for a password: podTemplate names the Secret, and what else the
cluster wants to know of the pod."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import kind
from cluster.pause import BUSYBOX
from support.kubectl import Kubectl, Object, message
from support.manifests import training_job
from support.stores.registries import Front, front, registry, run_crane

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.usefixtures("operator"),
    pytest.mark.skipif(
        kind.engine_answers(), reason="the registry is on this host, which kind does not reach"
    ),
]

USER, PASSWORD = "puller", "of this test only"
PRIORITY = 7
SAYS_SO = ["/busybox", "sh", "-c", "echo it was pulled >&2; exit 3"]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Front]:
    """A registry with the image `trainer`, which it gives to one user only."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add(BUSYBOX, "busybox")
    with registry(tmp_path) as upstream, front(upstream) as made:
        upstream.append("trainer:1", layer)
        trainer = f"{upstream.host}/trainer:1"
        run_crane("mutate", "--set-platform", "linux/amd64", "-t", trainer, trainer)
        made.auth, made.users = "basic", {USER: PASSWORD}
        yield made


@pytest.fixture
def priority(cluster: Kubectl, kubectl: Kubectl) -> Iterator[str]:
    """A PriorityClass."""
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    cluster.apply({**kind, "metadata": {"name": kubectl.namespace}, "value": PRIORITY})
    yield kubectl.namespace
    cluster.delete("priorityclass", kubectl.namespace)


def pull_secret(host: str) -> Object:
    """The Secret that kubelets pull with."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = json.dumps({"auths": {host: {"auth": auth}}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "registry"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    }


def test_the_secret_of_a_pod_template_pulls_an_image_that_is_refused_without_it(
    kubectl: Kubectl, private: Front, priority: str
) -> None:
    trainer = {"image": f"{private.host}/trainer:1", "command": SAYS_SO}
    template = {
        "metadata": {"labels": {"example.com/team": "fraud"}},
        "spec": {"imagePullSecrets": [{"name": "registry"}], "priorityClassName": priority},
    }
    kubectl.apply(
        pull_secret(private.host),
        training_job("without", trainer=trainer, backoffLimit=0),
        training_job("with", trainer=trainer, backoffLimit=0, podTemplate=template),
    )

    refused = kubectl.condition("trainingjob", "without", "Ready", "False", "ImagePullFailed", within=90)
    assert "check its name and its pull secret" in message(refused)
    pulled = kubectl.condition("trainingjob", "with", "Ready", "False", "TrainFailed", within=90)
    assert message(pulled).endswith("train ended with exit code 3: it was pulled")
    (pod,) = kubectl.all("pod", "modelwright.dev/training-job=with,example.com/team=fraud")
    assert pod["spec"]["priority"] == PRIORITY
