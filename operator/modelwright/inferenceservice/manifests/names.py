"""Names, metadata, addresses and ports of the objects of an InferenceService. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

from modelwright.common.primary import Primary
from modelwright.common.resources import INFERENCE_SERVICE, child_labels
from modelwright.engine.objects import owner_reference, uid

# Of the server's containers.
HTTP_PORT = 8080
GRPC_PORT = 8081
ADMIN_PORT = 9090
# Of the Services.
HTTP, GRPC = 80, 8081
HASH_LENGTH = 10
# The file in the ConfigMap of `counts_name`.
COUNTS_FILE = "counts.json"
# The file in the ConfigMap of `monitor_name`.
MONITOR_FILE = "windows.json"


def config_name(of: Primary, revision: str) -> str:
    """The name of the ConfigMap with the traffic rule of a revision's pods; the ConfigMap is optional."""
    return f"{of.name}-{revision}"


def canary_name(of: Primary) -> str:
    """The name of the canary's Service."""
    return f"{of.name}-canary-{_hash(of)}"


def retired_name(of: Primary) -> str:
    """The name of the retired revision's Service, which exists while its successor bakes."""
    return f"{of.name}-retired-{_hash(of)}"


def counts_name(of: Primary) -> str:
    """The name of the ConfigMap that keeps what pods have counted in a step."""
    return f"{of.name}-counts-{_hash(of)}"


def monitor_name(of: Primary) -> str:
    """The name of the ConfigMap that keeps the windows of requests."""
    return f"{of.name}-monitor-{_hash(of)}"


def alert_rules_name(of: Primary) -> str:
    """The name of the PrometheusRule of the objectives."""
    return f"{of.name}-slo"


def _hash(of: Primary) -> str:
    """Keeps a child's name apart from those of the children of any other InferenceService."""
    return hashlib.sha256(uid(of.body).encode()).hexdigest()[:HASH_LENGTH]


def child_metadata(of: Primary, child: str, **labels: str) -> dict[str, Any]:
    """The metadata of a child of the InferenceService; the owner reference has it deleted with its owner."""
    return {
        "name": child,
        "namespace": of.namespace,
        "labels": child_labels(of.body, **{INFERENCE_SERVICE: of.name, **labels}),
        "ownerReferences": [owner_reference(of.body)],
    }


def deployment_name(of: Primary, revision: str) -> str:
    """The name of the Deployment of a revision."""
    return f"{of.name}-{revision}"


def url(of: Primary) -> str:
    """The URL of the stable revision inside the cluster."""
    return f"http://{dns_name(of, of.name)}"


def canary_url(of: Primary) -> str:
    """The URL inside the cluster at which only the canary answers."""
    return f"http://{dns_name(of, canary_name(of))}"


def dns_name(of: Primary, service: str) -> str:
    """A Service's DNS name inside the cluster, without the cluster's domain."""
    return f"{service}.{of.namespace}.svc"
