"""The Services of the stable revision and of the canary, as manifests. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.api.inferenceservice import Revision
from modelwright.common.resources import INFERENCE_SERVICE, REVISION, SERVICES
from modelwright.engine.objects import Body, Key
from modelwright.engine.plan import Apply
from modelwright.inferenceservice.manifests.names import GRPC, HTTP, canary_name, child_metadata
from modelwright.inferenceservice.observed import Observed


def service(observed: Observed, stable: Revision) -> Apply:
    """Sends the traffic to exactly one revision, the stable one."""
    return _service(observed, observed.name, stable)


def canary_service(observed: Observed, canary: Revision) -> Apply:
    """Leads the stable revision's pods, a Gateway, and who wants a preview, to the canary's pods that are ready."""
    return _service(observed, canary_name(observed), canary)


def selected(service: Body) -> str | None:
    """The revision that a Service selects."""
    found = (service["spec"].get("selector") or {}).get(REVISION)
    return None if found is None else str(found)


def _service(observed: Observed, service_name: str, revision: Revision) -> Apply:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(observed, service_name),
        "spec": {
            "type": "ClusterIP",
            "selector": {INFERENCE_SERVICE: observed.name, REVISION: revision.revision},
            # Without TLS, HTTP/2 has to be told to gateways: they would speak HTTP/1.1 to it.
            "ports": [_port("http", HTTP, "http"), _port("grpc", GRPC, "kubernetes.io/h2c")],
        },
    }
    return Apply(Key(SERVICES, observed.namespace, service_name), body)


def _port(target: str, number: int, protocol: str) -> dict[str, Any]:
    return {
        "name": target,
        "port": number,
        "targetPort": target,
        "protocol": "TCP",
        "appProtocol": protocol,
    }
