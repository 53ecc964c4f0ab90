"""The NetworkPolicies of users' pods open what those pods need, and nothing else.

Whether a connection is let through is computed here from the policies as Kubernetes defines them, and for the labels
that the operator really gives its pods. tests/cluster/test_network_policies.py has them enforced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from unit.chart.rendering import ROOT, Chart, Manifest, Rendered
from unit.docs.pages import blocks
from unit.given.resources import a_served_version, a_training_job, a_world

from modelwright.common.resources import DEPLOYMENTS, JOBS, MODEL_VERSION, TRAINING_JOB
from modelwright.inferenceservice.manifests.names import ADMIN_PORT, GRPC_PORT, HTTP_PORT

ON: dict[str, Any] = {"enabled": True, "namespaces": ["team", "other"]}
STORAGE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}
STORE = {"to": [STORAGE], "ports": [{"protocol": "TCP", "port": 9000}]}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
INTERNET, INSIDE, METADATA = "8.8.8.8", "10.1.2.3", "169.254.169.254"


@dataclass(frozen=True)
class Pod:
    """A pod, as a policy sees it."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


@cache
def served() -> Pod:
    """A pod that the operator made for an InferenceService."""
    (deployment,) = a_served_version().all(DEPLOYMENTS).values()
    return Pod("team", deployment["spec"]["template"]["metadata"]["labels"])


@cache
def trained() -> Pod:
    """A pod that the operator made for a run."""
    (job,) = a_training_job(a_world()).settles().all(JOBS).values()
    return Pod("team", job["spec"]["template"]["metadata"]["labels"])


def verified() -> Pod:
    """A pod that the operator makes to verify a model file: it differs from one that trains in a label."""
    labels = {key: value for key, value in trained().labels.items() if key != TRAINING_JOB}
    return Pod("team", {**labels, MODEL_VERSION: "churn-1"})


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    for required in selector.get("matchExpressions", ()):
        assert required["operator"] in {"Exists", "DoesNotExist"}
        if (required["key"] in labels) != (required["operator"] == "Exists"):
            return False
    return bool(dict(selector.get("matchLabels", {})).items() <= dict(labels).items())


def selects(policy: Manifest, pod: Pod | str, direction: str) -> bool:
    """Whether a policy restricts the pod in this direction."""
    return (
        isinstance(pod, Pod)
        and policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], pod.labels)
    )


def is_peer(peer: Mapping[str, Any], other: Pod | str, policy: Manifest) -> bool:
    """Whether a rule's `from` or `to` names this pod or address."""
    if isinstance(other, str):
        block = peer.get("ipBlock")
        return (
            block is not None
            and _contains(block["cidr"], other)
            and not any(_contains(network, other) for network in block.get("except", ()))
        )
    if "ipBlock" in peer:
        return False
    namespaces = peer.get("namespaceSelector")
    if namespaces is None and other.namespace != policy["metadata"]["namespace"]:
        return False
    if namespaces is not None and not matches(namespaces, {"kubernetes.io/metadata.name": other.namespace}):
        return False
    return matches(peer.get("podSelector", {}), other.labels)


def _contains(network: str, address: str) -> bool:
    return ip_address(address) in ip_network(network)


def allows(
    rule: Mapping[str, Any], side: str, other: Pod | str, port: int, protocol: str, policy: Manifest
) -> bool:
    """Whether a rule opens a port for the other side."""
    ports = [(known["protocol"], known["port"]) for known in rule.get("ports", ())]
    return (not ports or (protocol, port) in ports) and (
        not rule.get(side) or any(is_peer(peer, other, policy) for peer in rule[side])
    )


def passes(
    policies: Sequence[Manifest], source: Pod | str, target: Pod | str, port: int, protocol: str = "TCP"
) -> bool:
    """Whether the policies let a connection through, at both of its ends."""
    for direction, side, own, other in (
        ("Egress", "to", source, target),
        ("Ingress", "from", target, source),
    ):
        restricting = [policy for policy in policies if selects(policy, own, direction)]
        if restricting and not any(
            allows(rule, side, other, port, protocol, policy)
            for policy in restricting
            for rule in policy["spec"].get(direction.lower()) or ()
        ):
            return False
    return True


@cache
def rendered(chart: Chart, values: str) -> Rendered:
    """What is installed with these values, as JSON."""
    return chart.render(json.loads(values))


def policies(chart: Chart, **workloads: Any) -> list[Manifest]:
    """The policies, with these values."""
    values = {"networkPolicy": {"workloads": {**ON, **workloads}}}
    return rendered(chart, json.dumps(values)).of("NetworkPolicy")


def operator(chart: Chart) -> Pod:
    """A pod of the operator."""
    return Pod("modelwright-system", rendered(chart, "{}").pod()["metadata"]["labels"])


def test_there_are_none_unasked(chart: Chart) -> None:
    assert chart.render({"scope": {"namespace": "team"}}).of("NetworkPolicy") == []
    assert len(chart.render({"networkPolicy": {"enabled": True}}).of("NetworkPolicy")) == 1


def test_each_namespace_that_is_listed_gets_both(chart: Chart) -> None:
    places = [(made["metadata"]["namespace"], made["metadata"]["name"]) for made in policies(chart)]
    assert places == [
        (namespace, f"modelwright-{name}")
        for namespace in ("team", "other")
        for name in ("training", "serving")
    ]


@pytest.mark.parametrize("scope", [{"namespace": "team"}, {"namespaces": ["team", "other"]}], ids=str)
def test_the_namespaces_of_the_scope_get_them_where_none_is_listed(
    chart: Chart, scope: dict[str, Any]
) -> None:
    made = chart.render({"scope": scope, "networkPolicy": {"workloads": {"enabled": True}}})
    places = {policy["metadata"]["namespace"] for policy in made.of("NetworkPolicy")}
    assert places == set(scope.get("namespaces", ["team"]))


def test_without_any_namespace_it_says_which_value_is_missing(chart: Chart) -> None:
    refusal = chart.refusal({"networkPolicy": {"workloads": {"enabled": True}}})
    assert "networkPolicy.workloads.namespaces" in refusal
    assert "list those of your users" in refusal


@pytest.mark.parametrize("source", [Pod("team", {"app": "web"}), Pod("elsewhere"), INTERNET], ids=str)
def test_everybody_may_ask_a_model_and_nobody_its_admin_port(chart: Chart, source: Pod | str) -> None:
    made = policies(chart)
    assert passes(made, source, served(), HTTP_PORT)
    assert passes(made, source, served(), GRPC_PORT)
    assert not passes(made, source, served(), ADMIN_PORT)
    assert not passes(made, source, served(), 22)


def test_callers_that_are_listed_are_the_only_ones_besides_the_service_itself(chart: Chart) -> None:
    made = policies(chart, servingFrom=[{"podSelector": {"matchLabels": {"app": "web"}}}])
    assert passes(made, Pod("team", {"app": "web"}), served(), GRPC_PORT)
    assert passes(made, served(), served(), HTTP_PORT), "the stable revision passes requests on to the canary"
    assert not passes(made, Pod("team", {"app": "other"}), served(), HTTP_PORT)
    assert not passes(made, Pod("elsewhere", {"app": "web"}), served(), HTTP_PORT)
    assert not passes(made, Pod("other", served().labels), served(), HTTP_PORT), "of another namespace"


def test_the_operator_and_prometheus_read_the_admin_port(chart: Chart) -> None:
    made, scraper = policies(chart, metricsFrom=[MONITORING]), Pod("monitoring", {"app": "prometheus"})
    assert passes(made, operator(chart), served(), ADMIN_PORT)
    assert passes(made, scraper, served(), ADMIN_PORT)
    assert not passes(policies(chart), scraper, served(), ADMIN_PORT)
    assert not passes(made, Pod("team", operator(chart).labels), served(), ADMIN_PORT), (
        "labels alone are not it"
    )
    assert not passes(made, served(), served(), ADMIN_PORT)


def test_a_model_server_reaches_its_peers_and_the_name_server(chart: Chart) -> None:
    made = policies(chart)
    assert passes(made, served(), served(), HTTP_PORT)
    assert passes(made, served(), Pod("kube-system", {"k8s-app": "kube-dns"}), 53, "UDP")
    assert passes(made, served(), INSIDE, 53)
    for closed in (INTERNET, INSIDE, METADATA, Pod("team", {"app": "web"}), trained(), Pod("storage")):
        for port in (443, 6443, 9000, HTTP_PORT, ADMIN_PORT):
            assert not passes(made, served(), closed, port), (closed, port)


def test_a_model_server_pulls_from_a_store_that_is_listed(chart: Chart) -> None:
    made = policies(chart, servingTo=[STORE])
    assert passes(made, served(), Pod("storage"), 9000)
    assert not passes(made, served(), Pod("storage"), 443)
    assert not passes(made, trained(), Pod("storage"), 9000), "stores of models are not those of data"


def of_docs(value: str) -> list[dict[str, Any]]:
    """The last rules for a value in docs/network.md."""
    page = (ROOT / "docs" / "network.md").read_text()
    found: list[dict[str, Any]] = [
        block["networkPolicy"]["workloads"][value] for block in blocks(page, "yaml")
    ][-1]
    return found


@pytest.mark.parametrize("pod", [trained, verified])
def test_the_rule_for_stores_of_clouds_opens_nothing_inside(chart: Chart, pod: Any) -> None:
    made = policies(chart, trainingTo=of_docs("trainingTo"))
    assert passes(made, pod(), INTERNET, 443)
    assert passes(made, pod(), "2606:4700::1", 443)
    assert passes(made, pod(), INSIDE, 53, "UDP")
    assert not passes(made, pod(), INTERNET, 80)
    for inside in (
        INSIDE,
        METADATA,
        "168.63.129.16",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd00:ec2::254",
        "fe80::1",
    ):
        for port in (80, 443, 6443):
            assert not passes(made, pod(), inside, port), (inside, port)
    for closed in (served(), trained(), Pod("elsewhere")):
        assert not passes(made, pod(), closed, HTTP_PORT)


@pytest.mark.parametrize("pod", [trained, verified])
def test_training_reaches_the_stores_that_are_listed_and_nothing_else(chart: Chart, pod: Any) -> None:
    made = policies(chart, trainingTo=[STORE])
    assert passes(made, pod(), Pod("storage"), 9000)
    for closed in (INTERNET, INSIDE, METADATA, served(), trained(), Pod("elsewhere")):
        for port in (443, 6443, HTTP_PORT, ADMIN_PORT):
            assert not passes(made, pod(), closed, port), (closed, port)
            assert not passes(policies(chart), pod(), closed, port), (closed, port)


@pytest.mark.parametrize("pod", [trained, verified])
def test_nobody_connects_to_pods_that_train(chart: Chart, pod: Any) -> None:
    for source in (operator(chart), served(), trained(), INSIDE):
        for port in (80, HTTP_PORT, ADMIN_PORT):
            assert not passes(policies(chart), source, pod(), port)


def test_other_pods_of_the_namespace_are_left_alone(chart: Chart) -> None:
    made, web = policies(chart), Pod("team", {"app": "web"})
    assert passes(made, web, INSIDE, 6443)
    assert passes(made, INSIDE, web, 80)
    assert passes(made, Pod("unlisted", trained().labels), INSIDE, 6443)


def test_the_port_of_dns_is_the_clusters_for_the_operator_too(chart: Chart) -> None:
    given = {"networkPolicy": {"enabled": True, "dnsPorts": [5353], "workloads": ON}}
    made = chart.render(given).of("NetworkPolicy")
    for pod in (served(), trained(), operator(chart)):
        assert passes(made, pod, Pod("openshift-dns"), 5353, "UDP")
        assert not passes(made, pod, Pod("openshift-dns"), 53, "UDP")


def test_the_operators_own_policy_and_these_fit_together(chart: Chart) -> None:
    made = chart.render({"networkPolicy": {"enabled": True, "workloads": ON}}).of("NetworkPolicy")
    assert passes(made, operator(chart), served(), ADMIN_PORT)
    assert passes(made, operator(chart), INSIDE, 6443)
    assert not passes(made, operator(chart), served(), HTTP_PORT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"servingFrom": [{"cidr": "10.0.0.0/8"}]},
        {"metricsFrom": ["monitoring"]},
        {"trainingTo": [{"from": []}]},
        {"servingTo": [{"ports": [{"number": 443}]}]},
        {"namespaces": ["Team_A"]},
    ],
    ids=str,
)
def test_a_rule_that_kubernetes_would_not_take_is_refused(chart: Chart, wrong: dict[str, Any]) -> None:
    (value,) = wrong
    assert value in chart.refusal({"networkPolicy": {"workloads": {**ON, **wrong}}})
