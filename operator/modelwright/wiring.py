"""All kinds of the operator: the planner of each, and the objects to reconcile when one of it changes.

Only this file knows all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelwright.common.reading import read_each
from modelwright.common.resources import (
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICE,
    INFERENCE_SERVICES,
    JOBS,
    MODEL_VERSIONS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.kinds import Kind, child, identity
from modelwright.engine.objects import Body, Key, labels, name, namespace
from modelwright.inferenceservice.planner import InferenceServicePlanner
from modelwright.modelversion.aspects import is_quarantined, served_versions
from modelwright.modelversion.planner import ModelVersionPlanner
from modelwright.trainingjob.planner import TrainingJobPlanner


def kinds(settings: Settings) -> list[Kind]:
    """Returns the kinds to watch."""
    return [
        Kind(TRAINING_JOBS, TrainingJobPlanner(settings), wakes=_versions_of),
        Kind(MODEL_VERSIONS, ModelVersionPlanner(settings), wakes=_users_of),
        Kind(INFERENCE_SERVICES, InferenceServicePlanner(settings), wakes=_versions_around),
        # Read only to find the Deployment of a pod.
        replace(child(REPLICA_SETS, _labelled), keep=identity),
        *(child(resource, _labelled) for resource in (JOBS, PODS, DEPLOYMENTS, SERVICES, CONFIG_MAPS)),
        child(CLAIMS),
        Kind(GATEWAYS, wakes=_callers_of, optional=True, needed=_names_a_gateway),
        replace(child(HTTP_ROUTES, _labelled), optional=True, needed=_names_a_gateway),
    ]


def _versions_of(view: View, training_job: Body) -> Iterator[Key]:
    """The ModelVersion of the newest run, which reads the report of the publisher there."""
    job = ((training_job.get("status") or {}).get("run") or {}).get("job")
    if job:
        yield Key(MODEL_VERSIONS, namespace(training_job), job)


def _labelled(_: View, body: Body) -> Iterator[Key]:
    """The object that a child's labels name: a child that a backup tool has restored has no owner."""
    for label, resource in ((TRAINING_JOB, TRAINING_JOBS), (INFERENCE_SERVICE, INFERENCE_SERVICES)):
        if root_name := labels(body).get(label):
            yield Key(resource, namespace(body), root_name)


def _users_of(view: View, version: Body) -> Iterator[Key]:
    """The TrainingJob that made the version, and the services that name it or track its model."""
    job = labels(version).get(TRAINING_JOB)
    if job:
        yield Key(TRAINING_JOBS, namespace(version), job)

    def uses(service: Body) -> bool:
        model = service["spec"]["model"]
        return bool(model.get("version") == name(version) or model.get("name") == version["spec"]["model"])

    for service, is_user in read_each(view.all(INFERENCE_SERVICES, namespace(version)), uses):
        if is_user:
            yield Key(INFERENCE_SERVICES, namespace(service), name(service))


def _versions_around(view: View, service: Body) -> Iterator[Key]:
    """The versions that a service serves or has rolled back, and all quarantined ones, whose quarantine may end."""
    serves = set(served_versions(service))
    rejected = {rejection.get("digest") for rejection in (service.get("status") or {}).get("rejected") or ()}

    def is_concerned(version: Body) -> bool:
        is_bad = version["spec"]["artifact"]["digest"] in rejected or is_quarantined(version)
        return is_bad or name(version) in serves

    for version, concerned in read_each(view.all(MODEL_VERSIONS, namespace(service)), is_concerned):
        if concerned:
            yield Key(MODEL_VERSIONS, namespace(version), name(version))


def _callers_of(view: View, gateway: Body) -> Iterator[Key]:
    """The services of all namespaces that name this Gateway."""
    for key, reference in _gateways_of(view):
        if reference == (namespace(gateway), name(gateway)):
            yield key


def _names_a_gateway(view: View) -> bool:
    """True if any service names a Gateway."""
    return any(True for _ in _gateways_of(view))


def _gateways_of(view: View) -> Iterator[tuple[Key, tuple[str, str]]]:
    """Yields each service that names a Gateway, with the namespace and name of that."""

    def reference(service: Body) -> tuple[str, str] | None:
        gateway = service["spec"].get("gateway")
        return None if gateway is None else (gateway.get("namespace") or namespace(service), gateway["name"])

    services = (view.get(key) or {} for key in view.keys(INFERENCE_SERVICES))
    for service, gateway in read_each(services, reference):
        if gateway is not None:
            yield Key(INFERENCE_SERVICES, namespace(service), name(service)), gateway
