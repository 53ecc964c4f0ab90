"""A metrics API (metrics.k8s.io) for tests, on this host: the test says how much processor time all pods use together.

The API server asks it as it asks metrics-server, and the controller of HorizontalPodAutoscalers is Kubernetes' own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.kubectl import Kubectl, KubectlError, Object, is_ready
from support.stores.certificates import certificates
from support.stores.listening import Handler, listening
from support.stores.node import HOST

API = "metrics.k8s.io"
VERSION = "v1beta1"
PATH = f"/apis/{API}/{VERSION}"
NAME = "pod-metrics"
RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{API}/{VERSION}",
    "resources": [
        {
            "name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"],
        }
    ],
}  # fmt: skip


class Usage:
    """How much processor time the pods of one namespace use, in millicores: their containers `server` all together."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl, self.millicores, self.asked = kubectl, 0, 0

    def of(self, selector: str) -> list[Object]:
        """The usage of the pods that a selector finds: those that are ready share all of it."""
        self.asked += 1
        pods = [pod for pod in self.kubectl.all("pod", selector) if pod["status"].get("phase") == "Running"]
        ready = sum(map(is_ready, pods)) or 1
        return [_metrics(pod, self.millicores * 1000 // ready if is_ready(pod) else 0) for pod in pods]


@contextmanager
def served(kubectl: Kubectl) -> Iterator[Usage]:
    """The API, for the pods of one namespace, until the test leaves."""
    usage = Usage(kubectl)

    class Answers(Handler):
        """Answers the API server."""

        def answer(self) -> None:
            asked = urlsplit(self.path)
            selector = parse_qs(asked.query).get("labelSelector", [""])[0]
            if asked.path == PATH:
                self.say(RESOURCES)
            elif asked.path == f"{PATH}/namespaces/{kubectl.namespace}/pods":
                self.say(
                    {
                        "kind": "PodMetricsList",
                        "apiVersion": f"{API}/{VERSION}",
                        "metadata": {},
                        "items": usage.of(selector),
                    }
                )
            else:
                self.send(404)

        def say(self, document: Any) -> None:
            """JSON."""
            self.send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    with tempfile.TemporaryDirectory() as folder:
        name = f"{NAME}.{kubectl.namespace}.svc"
        tls = certificates(Path(folder), name, HOST)
        with listening(Answers, HOST, tls) as url:
            port = int(url.rpartition(":")[2])
            kubectl.apply(*_service(port), _api(kubectl, port))
            try:
                kubectl.run(
                    "wait", "apiservice", f"{VERSION}.{API}", "--for=condition=Available", "--timeout=60s"
                )
                yield usage
            finally:
                # First: an API that does not answer keeps namespaces from being deleted.
                kubectl.run("delete", "apiservice", f"{VERSION}.{API}")


def is_installed(kubectl: Kubectl) -> bool:
    """Whether the cluster has a metrics API of its own."""
    try:
        kubectl.run("get", "apiservice", f"{VERSION}.{API}")
    except KubectlError:
        return False
    return True


def _service(port: int) -> tuple[Object, Object]:
    """The name by which the API server finds this host."""
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    meta = {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}}
    endpoints = [{"addresses": [HOST], "conditions": {"ready": True}}]
    return (
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": {"ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta,
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": endpoints,
        },
    )


def _api(kubectl: Kubectl, port: int) -> Object:
    service = {"name": NAME, "namespace": kubectl.namespace, "port": port}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{VERSION}.{API}"},
        "spec": {
            "group": API,
            "version": VERSION,
            "service": service,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }


def _metrics(pod: Object, microcores: int) -> Object:
    meta = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    containers = [{"name": "server", "usage": {"cpu": f"{microcores}u", "memory": "1Mi"}}]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": meta, "timestamp": now, "window": "1s", "containers": containers}
