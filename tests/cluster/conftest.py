"""Gives each test a namespace of its own on the real cluster, as strict as the strictest user's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kubectl import KUBECONFIG, Kubectl
from support.operator import install
from support.turn import turn


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that are marked `alone` have the cluster for themselves, with all their fixtures; all others share it."""
    if item.get_closest_marker("cluster") and KUBECONFIG.exists():
        turn.take(alone=_is_alone(item))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The next test that wants to be alone follows at once: in between, all others would have their turn."""
    if nextitem is None or not (_is_alone(item) and _is_alone(nextitem)):
        turn.leave()


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


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
    readable = re.sub(r"[^a-z0-9]+", "-", purpose.lower())[:40].strip("-")
    name = f"t-{uuid.uuid4().hex[:6]}-{readable}".strip("-")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield Kubectl(name)
    cluster.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")
