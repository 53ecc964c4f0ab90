"""What the objects of an InferenceService are called, their metadata, addresses and ports. Pure."""

from __future__ import annotations

from typing import Any

from modelwright.common.resources import INFERENCE_SERVICE, child_labels
from modelwright.engine.objects import owner_reference
from modelwright.inferenceservice.observed import Observed

# Of the server's containers.
HTTP_PORT = 8080
GRPC_PORT = 8081
ADMIN_PORT = 9090
# Of the Services.
HTTP, GRPC = 80, 8081


def config_name(observed: Observed, revision: str) -> str:
    """The ConfigMap that the pods of a revision read their rule from; it need not be there."""
    return f"{observed.name}-{revision}"


def canary_name(observed: Observed) -> str:
    """The Service of the canary."""
    return f"{observed.name}-canary"


def child_metadata(observed: Observed, child: str, **labels: str) -> dict[str, Any]:
    """The metadata of an object that is there for the InferenceService, and goes with it."""
    return {
        "name": child,
        "namespace": observed.namespace,
        "labels": child_labels(observed.body, **{INFERENCE_SERVICE: observed.name, **labels}),
        "ownerReferences": [owner_reference(observed.body)],
    }


def deployment_name(observed: Observed, revision: str) -> str:
    """The Deployment of a revision."""
    return f"{observed.name}-{revision}"


def url(observed: Observed) -> str:
    """Where the stable revision answers inside the cluster."""
    return f"http://{dns_name(observed, observed.name)}"


def canary_url(observed: Observed) -> str:
    """Where a canary answers inside the cluster, alone."""
    return f"http://{dns_name(observed, canary_name(observed))}"


def dns_name(observed: Observed, service: str) -> str:
    """A Service's name inside the cluster, whatever the cluster's domain is."""
    return f"{service}.{observed.namespace}.svc"
