"""Gives each test a namespace of its own on the real cluster, as strict as the strictest user's."""

from __future__ import annotations

import fcntl
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kubectl import KUBECONFIG, Kubectl
from support.operator import install


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """The running cluster."""
    if not KUBECONFIG.exists():
        pytest.fail("no cluster: run `make cluster` first, or `make test`, which does")
    return Kubectl("default")


@pytest.fixture(scope="session")
def operator(cluster: Kubectl) -> Kubectl:
    """The operator, installed from the chart with the images of this checkout; kubectl in its namespace."""
    return install(cluster)


@pytest.fixture(scope="session")
def crds(operator: Kubectl) -> None:
    """Our CRDs on the cluster, as in this checkout: the chart brings them."""


@pytest.fixture(autouse=True)
def turn(cluster: Kubectl, request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that end the operator have the cluster for themselves; all others share it."""
    alone = request.node.get_closest_marker("alone") is not None
    with (KUBECONFIG.parent / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture
def kubectl(cluster: Kubectl, crds: None, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a new namespace of the test's own."""
    yield from namespace(cluster, request.node.name)


@pytest.fixture(scope="module")
def shared(cluster: Kubectl, crds: None, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a new namespace that the tests of a module share."""
    yield from namespace(cluster, Path(request.node.name).stem)


def namespace(cluster: Kubectl, purpose: str) -> Iterator[Kubectl]:
    """A namespace that enforces the restricted Pod Security Standard, and is gone afterwards."""
    told = re.sub(r"[^a-z0-9]+", "-", purpose.lower())[:40].strip("-")
    name = f"t-{uuid.uuid4().hex[:6]}-{told}".strip("-")
    cluster.run("create", "namespace", name)
    cluster.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield Kubectl(name)
    cluster.run("delete", "namespace", name, "--wait=false")
