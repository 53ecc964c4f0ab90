"""All kinds of the operator: who plans for each, and whom a change of each concerns. Only this file knows all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelwright.common.reading import each
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
from modelwright.modelversion.aspects import is_quarantined, served
from modelwright.modelversion.planner import ModelVersionPlanner
from modelwright.trainingjob.planner import TrainingJobPlanner


def kinds(settings: Settings) -> list[Kind]:
    """What is watched."""
    return [
        Kind(TRAINING_JOBS, TrainingJobPlanner(settings), wakes=_versions_of),
        Kind(MODEL_VERSIONS, ModelVersionPlanner(settings), wakes=_users_of),
        Kind(INFERENCE_SERVICES, InferenceServicePlanner(settings), wakes=_versions_around),
        # They only tell whose a pod is.
        replace(child(REPLICA_SETS, _labelled), keep=identity),
        *(child(resource, _labelled) for resource in (JOBS, PODS, DEPLOYMENTS, SERVICES, CONFIG_MAPS)),
        child(CLAIMS),
        Kind(GATEWAYS, wakes=_callers_of, optional=True, needed=_names_a_gateway),
        replace(child(HTTP_ROUTES, _labelled), optional=True, needed=_names_a_gateway),
    ]


def _versions_of(view: View, training_job: Body) -> Iterator[Key]:
    """The version of the newest run: it reads there what the publisher measured."""
    job = ((training_job.get("status") or {}).get("run") or {}).get("job")
    if job:
        yield Key(MODEL_VERSIONS, namespace(training_job), job)


def _labelled(_: View, body: Body) -> Iterator[Key]:
    """The object that a child is labelled with: one that a backup tool has restored has no owner."""
    for label, resource in ((TRAINING_JOB, TRAINING_JOBS), (INFERENCE_SERVICE, INFERENCE_SERVICES)):
        if named := labels(body).get(label):
            yield Key(resource, namespace(body), named)


def _users_of(view: View, version: Body) -> Iterator[Key]:
    """The run that waits for its version, and the services that name it or track its family."""
    job = labels(version).get(TRAINING_JOB)
    if job:
        yield Key(TRAINING_JOBS, namespace(version), job)

    def uses(service: Body) -> bool:
        model = service["spec"]["model"]
        return bool(model.get("version") == name(version) or model.get("name") == version["spec"]["model"])

    for service, is_user in each(view.all(INFERENCE_SERVICES, namespace(version)), uses):
        if is_user:
            yield Key(INFERENCE_SERVICES, namespace(service), name(service))


def _versions_around(view: View, service: Body) -> Iterator[Key]:
    """The versions that a service serves, those that it has rolled back, and those that are quarantined: they may no
    longer be."""
    serves = set(served(service))
    rejected = {found.get("digest") for found in (service.get("status") or {}).get("rejected") or ()}

    def is_concerned(version: Body) -> bool:
        bad = version["spec"]["artifact"]["digest"] in rejected or is_quarantined(version)
        return bad or name(version) in serves

    for version, concerned in each(view.all(MODEL_VERSIONS, namespace(service)), is_concerned):
        if concerned:
            yield Key(MODEL_VERSIONS, namespace(version), name(version))


def _callers_of(view: View, gateway: Body) -> Iterator[Key]:
    """The services that are reached by a Gateway, from whatever namespace."""
    for key, named in _gateways_of(view):
        if named == (namespace(gateway), name(gateway)):
            yield key


def _names_a_gateway(view: View) -> bool:
    return any(True for _ in _gateways_of(view))


def _gateways_of(view: View) -> Iterator[tuple[Key, tuple[str, str]]]:
    """The services that name a Gateway, and its namespace and name."""

    def named(service: Body) -> tuple[str, str] | None:
        gateway = service["spec"].get("gateway")
        return None if gateway is None else (gateway.get("namespace") or namespace(service), gateway["name"])

    services = (view.get(key) or {} for key in view.keys(INFERENCE_SERVICES))
    for service, gateway in each(services, named):
        if gateway is not None:
            yield Key(INFERENCE_SERVICES, namespace(service), name(service)), gateway
