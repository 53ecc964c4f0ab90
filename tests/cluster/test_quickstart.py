"""The quickstart gets a newcomer from an operator to an answer, and does nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.kubectl import KUBECONFIG, ROOT, Kubectl
from support.operator import values

pytestmark = pytest.mark.cluster

NAMESPACE = "modelwright-quickstart"
NAME = "breast-cancer"


@pytest.fixture
def newcomer(cluster: Kubectl, operator: Kubectl) -> Iterator[Kubectl]:
    """kubectl in the quickstart's namespace, which goes afterwards unless it was there before."""
    was_there = cluster.find("namespace", NAMESPACE) is not None
    yield Kubectl(NAMESPACE)
    if not was_there:
        cluster.delete("namespace", NAMESPACE, "--wait=false")


def quickstart() -> str:
    """Run it against the cluster that is there; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "cluster.quickstart", "--existing", f"--values={values()}"],
        cwd=ROOT,
        env={**os.environ, "KUBECONFIG": str(KUBECONFIG)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_ends_with_an_answer_of_the_model_that_was_measured(newcomer: Kubectl) -> None:
    said = quickstart()
    run = newcomer.get("trainingjob", NAME)["status"]["run"]
    assert said.count(run["digest"]) == 2  # of the ModelVersion, and of the server that answered
    assert "row 0: 0 (malignant), probability 0.99" in said
    assert "row 1: 1 (benign), probability" in said
    assert f"kubectl -n {NAMESPACE} get modelwright" in said

    pods = [pod["metadata"]["uid"] for pod in newcomer.all("pods")]
    again = quickstart()
    assert newcomer.get("trainingjob", NAME)["status"]["run"] == run
    assert [pod["metadata"]["uid"] for pod in newcomer.all("pods")] == pods
    assert "Fetching" not in again
