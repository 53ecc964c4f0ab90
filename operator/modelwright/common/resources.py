"""The kinds that the operator reads and writes, and the labels that its objects carry."""

from __future__ import annotations

from modelwright.api import API_VERSION
from modelwright.engine.objects import Body, ResourceType, metadata, uid

TRAINING_JOBS = ResourceType(API_VERSION, "TrainingJob", "trainingjobs")
MODEL_VERSIONS = ResourceType(API_VERSION, "ModelVersion", "modelversions")
INFERENCE_SERVICES = ResourceType(API_VERSION, "InferenceService", "inferenceservices")
JOBS = ResourceType("batch/v1", "Job", "jobs")
PODS = ResourceType("v1", "Pod", "pods")
DEPLOYMENTS = ResourceType("apps/v1", "Deployment", "deployments")
SERVICES = ResourceType("v1", "Service", "services")
CLAIMS = ResourceType("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "modelwright"
# Pods of a Deployment are owned by a ReplicaSet: this label leads to the object they belong to.
ROOT_UID = "modelwright.dev/root-uid"
TRAINING_JOB = "modelwright.dev/training-job"
MODEL_VERSION = "modelwright.dev/model-version"
MODEL = "modelwright.dev/model"
INFERENCE_SERVICE = "modelwright.dev/inference-service"
REVISION = "modelwright.dev/revision"


def child_labels(root: Body, **extra: str) -> dict[str, str]:
    """Labels of an object that belongs to `root`."""
    return {MANAGED_BY: MANAGER, ROOT_UID: uid(root), **extra}


def namespace(body: Body) -> str:
    """The object's namespace."""
    return str(metadata(body)["namespace"])


def name(body: Body) -> str:
    """The object's name."""
    return str(metadata(body)["name"])


def generation(body: Body) -> int:
    """The generation of the object's spec."""
    return int(metadata(body).get("generation", 0))
