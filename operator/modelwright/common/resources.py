"""The kinds that the operator reads and writes, the labels of its objects, and how to find the children of one."""

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
AUTOSCALERS = ResourceType("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
DISRUPTION_BUDGETS = ResourceType("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
CONFIG_MAPS = ResourceType("v1", "ConfigMap", "configmaps")
# Not every cluster has the Gateway API.
GATEWAYS = ResourceType("gateway.networking.k8s.io/v1", "Gateway", "gateways")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
# Of the Prometheus Operator, which not every cluster has either.
PROMETHEUS_RULES = ResourceType("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules")
CLAIMS = ResourceType("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

TRAINING_JOB = "modelwright.dev/training-job"
MODEL_VERSION = "modelwright.dev/model-version"
MODEL = "modelwright.dev/model"
INFERENCE_SERVICE = "modelwright.dev/inference-service"
REVISION = "modelwright.dev/revision"
# The container of a served model, in each of its pods.
SERVER = "server"


def child_labels(root: Body, **extra: str) -> dict[str, str]:
    """Returns the labels of a child of `root`."""
    return {MANAGED_BY: MANAGER, ROOT_UID: uid(root), **extra}


def controlled(view: View, resource: ResourceType, owner: Body) -> list[Body]:
    """Returns the objects of a kind that the owner controls, ordered by name. Labels alone are not enough."""
    return [child for child in view.owned(resource, uid(owner)) if owned_by(child, owner)]


def orphaned(view: View, resource: ResourceType, root: Body, label: str) -> list[Body]:
    """Returns the objects of a kind that were made for an object of this name and have no owner.

    Backup tools restore objects so. `label`: the label that holds the name.
    """
    return [
        orphan
        for orphan in view.orphans(resource, namespace(root), uid(root))
        if labels(orphan).get(MANAGED_BY) == MANAGER and labels(orphan).get(label) == name(root)
    ]


def pod_root_uid(deployment: Body | None, root: Body) -> str:
    """Returns the uid in the label of a Deployment's pods; that of the object if there is no Deployment.

    An adopted Deployment keeps its label, because a change of it would replace all pods.
    """
    template = {} if deployment is None else deployment["spec"]["template"].get("metadata") or {}
    return str((template.get("labels") or {}).get(ROOT_UID) or uid(root))


def pods_for(view: View, root: Body, deployments: Iterable[Body] = ()) -> list[Body]:
    """Returns the pods in the object's namespace with its label, or with that of its Deployments.

    Any user can create such pods. They must not be trusted before their controller is checked.
    """
    uids = sorted({uid(root), *(pod_root_uid(deployment, root) for deployment in deployments)})
    pods = (pod for root_uid in uids for pod in view.owned(PODS, root_uid))
    return [pod for pod in pods if namespace(pod) == namespace(root)]


def pods_of_job(view: View, root: Body, job: Body | None) -> list[Body]:
    """Returns the pods of one of the object's Jobs."""
    return [pod for pod in pods_for(view, root) if job is not None and owner_uid(pod) == uid(job)]


def pods_of_deployments(
    view: View, root: Body, deployments: Collection[Body], pods: Iterable[Body]
) -> list[Body]:
    """Returns those of the object's labelled pods that a ReplicaSet of one of these Deployments controls."""
    controllers = {uid(deployment) for deployment in deployments}
    labelled = {pod_root_uid(deployment, root) for deployment in deployments}
    candidates = (owned for root_uid in labelled for owned in view.owned(REPLICA_SETS, root_uid))
    replica_sets = {uid(owned) for owned in candidates if owner_uid(owned) in controllers}
    return [pod for pod in pods if owner_uid(pod) in replica_sets]
