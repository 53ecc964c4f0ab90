"""What the objects of an InferenceService are called, their metadata, addresses and ports. Pure."""

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


def config_name(of: Primary, revision: str) -> str:
    """The ConfigMap that the pods of a revision read their rule from; it need not be there."""
    return f"{of.name}-{revision}"


def canary_name(of: Primary) -> str:
    """The Service of the canary. By its hash no other InferenceService has this name for its own Service."""
    digest = hashlib.sha256(uid(of.body).encode()).hexdigest()
    return f"{of.name}-canary-{digest[:HASH_LENGTH]}"


def child_metadata(of: Primary, child: str, **labels: str) -> dict[str, Any]:
    """The metadata of an object that is there for the InferenceService, and goes with it."""
    return {
        "name": child,
        "namespace": of.namespace,
        "labels": child_labels(of.body, **{INFERENCE_SERVICE: of.name, **labels}),
        "ownerReferences": [owner_reference(of.body)],
    }


def deployment_name(of: Primary, revision: str) -> str:
    """The Deployment of a revision."""
    return f"{of.name}-{revision}"


def url(of: Primary) -> str:
    """Where the stable revision answers inside the cluster."""
    return f"http://{dns_name(of, of.name)}"


def canary_url(of: Primary) -> str:
    """Where a canary answers inside the cluster, alone."""
    return f"http://{dns_name(of, canary_name(of))}"


def dns_name(of: Primary, service: str) -> str:
    """A Service's name inside the cluster, whatever the cluster's domain is."""
    return f"{service}.{of.namespace}.svc"
