"""The kinds of the Prometheus Operator may come while services wait for them; its own CRD takes what is made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from cluster.prometheus import definitions
from support.kubectl import Kubectl, KubectlError, message
from support.manifests import inference_service

pytestmark = pytest.mark.cluster

KIND = "prometheusrules.monitoring.coreos.com"
SLO = {"availability": 0.999, "latencySeconds": 0.05}


@pytest.fixture
def unknown(cluster: Kubectl) -> Iterator[None]:
    """A cluster that does not know PrometheusRules; it forgets them afterwards as well."""
    cluster.delete("crd", KIND)
    yield
    cluster.delete("crd", KIND, "--wait=false")


def rule(kubectl: Kubectl) -> bool:
    try:
        return "churn-slo" in kubectl.run("get", KIND, "-o", "name")
    except KubectlError:
        return False


@pytest.mark.usefixtures("unknown")
def test_alerts_follow_once_the_cluster_knows_the_kind_and_go_with_the_objectives(
    kubectl: Kubectl, cluster: Kubectl
) -> None:
    kubectl.apply(inference_service("churn", version="later", monitoring={"slo": SLO}))
    said = kubectl.condition(
        "mwisvc", "churn", "AlertRulesInstalled", "False", "PrometheusOperatorNotInstalled"
    )
    assert "install the Prometheus Operator" in message(said, "AlertRulesInstalled")

    definition = definitions() / "monitoring.coreos.com_prometheusrules.yaml"
    cluster.apply(yaml.safe_load(definition.read_text()))
    kubectl.condition("mwisvc", "churn", "AlertRulesInstalled", "True", "Installed", within=120)
    assert rule(kubectl)

    kubectl.patch("mwisvc", "churn", {"spec": {"monitoring": {"slo": None, "drift": {}}}})
    kubectl.wait("mwisvc", "churn", lambda _: not rule(kubectl), what="without a rule")
