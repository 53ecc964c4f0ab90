"""The kinds that the operator reads and writes, and the labels that its objects carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from modelwright.api import API_VERSION
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.cache import View
from modelwright.engine.objects import (
    ROOT_UID,
    Body,
    ResourceType,
    labels,
    name,
    namespace,
    owned_by,
    owner_uid,
    uid,
)

TRAINING_JOBS = ResourceType(API_VERSION, "TrainingJob", "trainingjobs")
MODEL_VERSIONS = ResourceType(API_VERSION, "ModelVersion", "modelversions")
INFERENCE_SERVICES = ResourceType(API_VERSION, "InferenceService", "inferenceservices")
JOBS = ResourceType("batch/v1", "Job", "jobs")
PODS = ResourceType("v1", "Pod", "pods")
REPLICA_SETS = ResourceType("apps/v1", "ReplicaSet", "replicasets")
DEPLOYMENTS = ResourceType("apps/v1", "Deployment", "deployments")
SERVICES = ResourceType("v1", "Service", "services")
CONFIG_MAPS = ResourceType("v1", "ConfigMap", "configmaps")
# The Gateway API is there on some clusters only.
GATEWAYS = ResourceType("gateway.networking.k8s.io/v1", "Gateway", "gateways")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
CLAIMS = ResourceType("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

TRAINING_JOB = "modelwright.dev/training-job"
MODEL_VERSION = "modelwright.dev/model-version"
MODEL = "modelwright.dev/model"
INFERENCE_SERVICE = "modelwright.dev/inference-service"
REVISION = "modelwright.dev/revision"


def child_labels(root: Body, **extra: str) -> dict[str, str]:
    """Labels of an object that belongs to `root`."""
    return {MANAGED_BY: MANAGER, ROOT_UID: uid(root), **extra}


def controlled(view: View, resource: ResourceType, owner: Body) -> list[Body]:
    """The objects of a kind that the owner controls, ordered by name. Labels alone do not make them its own."""
    return [found for found in view.owned(resource, uid(owner)) if owned_by(found, owner)]


def orphaned(view: View, resource: ResourceType, root: Body, label: str) -> list[Body]:
    """The objects of a kind that were made for an object of this name and have lost their owner, as a backup tool
    restores them; `label` holds the name."""
    return [
        found
        for found in view.orphans(resource, namespace(root), uid(root))
        if labels(found).get(MANAGED_BY) == MANAGER and labels(found).get(label) == name(root)
    ]


def made_for(deployment: Body | None, root: Body) -> str:
    """The uid that the pods of a Deployment are labelled with; that of the object where there is no Deployment.

    One that was adopted keeps what its pods were made for: another label would replace them all.
    """
    template = {} if deployment is None else deployment["spec"]["template"].get("metadata") or {}
    return str((template.get("labels") or {}).get(ROOT_UID) or uid(root))


def pods_for(view: View, root: Body, deployments: Iterable[Body] = ()) -> list[Body]:
    """The pods that are labelled as an object's, or like those of its Deployments, in its namespace. Anybody may have
    made them: what they say must not be believed before it is known who controls them."""
    uids = sorted({uid(root), *(made_for(deployment, root) for deployment in deployments)})
    pods = (pod for root_uid in uids for pod in view.owned(PODS, root_uid))
    return [pod for pod in pods if namespace(pod) == namespace(root)]


def pods_of_job(view: View, root: Body, job: Body | None) -> list[Body]:
    """The pods of one of the object's Jobs."""
    return [pod for pod in pods_for(view, root) if job is not None and owner_uid(pod) == uid(job)]


def pods_of_deployments(view: View, root: Body, deployments: Collection[Body]) -> list[Body]:
    """The pods of some of the object's Deployments: each is controlled by a ReplicaSet that one of them controls."""
    controllers = {uid(deployment) for deployment in deployments}
    labelled = {made_for(deployment, root) for deployment in deployments}
    replica_sets = (found for root_uid in labelled for found in view.owned(REPLICA_SETS, root_uid))
    sets = {uid(found) for found in replica_sets if owner_uid(found) in controllers}
    return [pod for pod in pods_for(view, root, deployments) if owner_uid(pod) in sets]
