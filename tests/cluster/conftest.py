"""Gives each test a namespace of its own on the real cluster, as strict as the strictest user's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kubectl import KUBECONFIG, ROOT, Kubectl


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """The running cluster."""
    if not KUBECONFIG.exists():
        pytest.fail("no cluster: run `make cluster` first, or `make test`, which does")
    return Kubectl("default")


@pytest.fixture(scope="session")
def crds(cluster: Kubectl) -> None:
    """Our CRDs on the cluster, as in this checkout."""
    cluster.run("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    cluster.run("wait", "--for=condition=Established", "-f", str(ROOT / "crds"))


@pytest.fixture
def kubectl(cluster: Kubectl, crds: None, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a new namespace that enforces the restricted Pod Security Standard."""
    test = re.sub(r"[^a-z0-9]+", "-", Path(request.node.nodeid).name.split("::")[-1].lower())[:40].strip("-")
    namespace = f"t-{uuid.uuid4().hex[:6]}-{test}".strip("-")
    cluster.run("create", "namespace", namespace)
    cluster.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    yield Kubectl(namespace)
    cluster.run("delete", "namespace", namespace, "--wait=false")
