"""The Services of the stable revision, of the canary, and of the retired revision. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.api.inferenceservice import Revision
from modelwright.common.resources import INFERENCE_SERVICE, REVISION, SERVICES
from modelwright.engine.objects import Body, Key
from modelwright.engine.plan import Apply
from modelwright.inferenceservice.manifests.names import GRPC, HTTP, canary_name, child_metadata, retired_name
from modelwright.inferenceservice.observed import Observed


def service(observed: Observed, stable: Revision) -> Apply:
    """The Service that has the traffic. It selects exactly one revision: the stable one, or a canary that stands in."""
    return _service(observed, observed.name, stable)


def canary_service(observed: Observed, canary: Revision) -> Apply:
    """The Service of the canary: for the stable revision's pods, a Gateway, and callers who want a preview."""
    return _service(observed, canary_name(observed), canary)


def retired_service(observed: Observed, retired: Revision) -> Apply:
    """The Service at which a revision that bakes asks the one before about requests that it refuses."""
    return _service(observed, retired_name(observed), retired)


def selected(service: Body) -> str | None:
    """The revision that a Service selects."""
    revision = (service["spec"].get("selector") or {}).get(REVISION)
    return None if revision is None else str(revision)


def _service(observed: Observed, service_name: str, revision: Revision) -> Apply:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": child_metadata(observed, service_name),
        "spec": {
            "type": "ClusterIP",
            "selector": {INFERENCE_SERVICE: observed.name, REVISION: revision.revision},
            # Gateways speak HTTP/1.1 to a port without TLS unless appProtocol names h2c.
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
