"""A rollout that waits for a Prometheus which is not there, and is rolled back by what it says once it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import kind
from cluster.settings import NODE_ADDRESS
from support import prometheus
from support.handmade import versions
from support.kubectl import Kubectl, condition, message
from support.load import calling
from support.manifests import inference_service
from support.models import valid_model
from support.operator import PROMETHEUS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        kind.engine_answers(),
        reason="Prometheus and the callers are on this host, and a node of kind is not",
    ),
]

REQUEST = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP32", "data": [[3.0, 4.0]]}]}
FILES = {"one": valid_model(), "two": valid_model() + b"\x1a\x03two"}
# As a user's own Prometheus has them: the server's metrics, with the pod's labels.
ANSWERS = (
    'sum(rate(modelwright_requests_total{namespace="$(namespace)",pod_revision="$(revision)"}[$(seconds)s]))'
)
HOLD, INTERVAL = 6, 5


def service(version: str) -> dict[str, Any]:
    queries = [{"name": "answers", "query": ANSWERS, "max": 0.001, "intervalSeconds": INTERVAL}]
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 10, "holdSeconds": HOLD}, {"weight": 50, "holdSeconds": HOLD}],
        "analysis": {"minSamples": 20, "queries": queries},
    }
    return inference_service("doubles", version=version, replicas=1, rollout=rollout)


@contextmanager
def asked_by_the_operator(operator: Kubectl, url: str) -> Iterator[None]:
    """Makes the name that the operator was told lead to a Prometheus on this host."""
    address, port = url.removeprefix("http://").split(":")
    made = {"name": PROMETHEUS, "labels": {"kubernetes.io/service-name": PROMETHEUS}}
    ports = [{"name": "web", "port": int(port), "protocol": "TCP"}]
    operator.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": made,
            "spec": {"ports": [{**ports[0], "port": 9090}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": made,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )
    try:
        yield
    finally:
        operator.delete("service", PROMETHEUS)
        operator.delete("endpointslice", PROMETHEUS)


def targets(kubectl: Kubectl, file: Path) -> None:
    """Tells Prometheus of the serving pods."""
    pods = kubectl.all("pods", "modelwright.dev/revision")
    found = [
        {
            "targets": [f"{pod['status']['podIP']}:9090"],
            "labels": {
                "namespace": kubectl.namespace,
                "pod_revision": pod["metadata"]["labels"]["modelwright.dev/revision"],
            },
        }
        for pod in pods
    ]
    file.write_text(json.dumps(found))


def test_a_rollout_waits_for_prometheus_and_is_rolled_back_by_what_it_says(
    kubectl: Kubectl, operator: Kubectl, tmp_path: Path
) -> None:
    versions(kubectl, "doubles", FILES)
    kubectl.apply(service("one"))
    kubectl.condition("mwisvc", "doubles", "Ready", "True", within=120)
    address = str(kubectl.get("service", "doubles")["spec"]["clusterIP"])

    with calling(address, 80, 8081, "doubles", REQUEST) as callers:
        kubectl.apply(service("two"))
        waiting = kubectl.wait(
            "mwisvc", "doubles", lambda found: "PrometheusUnreachable" in message(found), what="told"
        )
        assert "waits for answers: PrometheusUnreachable (" in message(waiting)
        for _ in range(4):  # far more than the step has to be held
            callers.answered_everywhere(more=200)
        waiting = kubectl.get("mwisvc", "doubles")
        assert (waiting["status"]["canary"]["step"], waiting["status"]["canary"]["weight"]) == (0, 10)
        assert condition(waiting, "Ready")["reason"] == "CanaryInProgress"  # type: ignore[index]

        file = tmp_path / "pods.json"
        targets(kubectl, file)
        scrape = {"job_name": "serving", "file_sd_configs": [{"files": [str(file)]}]}
        with prometheus.running(scrape, host=NODE_ADDRESS) as url, asked_by_the_operator(operator, url):
            refused = kubectl.condition("mwisvc", "doubles", "Stalled", "True", "RolledBack", within=120)
        callers.answered_everywhere()
        seen = callers.stop()

    assert seen["failed"] == {}, seen
    assert refused["status"]["stable"]["version"] == "one"
    assert "QueryAboveMax: answers is " in message(refused)
    decision = refused["status"]["lastDecision"]
    assert (decision["verdict"], decision["metric"], decision["reason"]) == (
        "Rollback",
        "answers",
        "QueryAboveMax",
    )
    assert decision["value"] > decision["threshold"] == 0.001
