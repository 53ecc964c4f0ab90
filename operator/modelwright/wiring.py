"""All kinds of the operator: the planner of each, and the objects to reconcile when one of it changes.

Only this file knows all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelwright.common.approvals import approved_digests
from modelwright.common.families import LATEST, family
from modelwright.common.indexes import (
    INDEXES,
    JOBS_WATCHING,
    SERVICES_AUTOSCALED,
    SERVICES_FOLLOWING,
    SERVICES_OF_GATEWAY,
    SERVICES_OF_MODEL,
    SERVICES_OF_VERSION,
    SERVICES_WITH_OBJECTIVES,
    VERSIONS_OF_DIGEST,
    VERSIONS_WITH_ALIAS,
    YES,
    follows_champion,
    needed_versions,
    previous_version,
    rejected_digests,
    served_versions,
    stable_version,
)
from modelwright.common.reading import read_each
from modelwright.common.resources import (
    AUTOSCALERS,
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICE,
    INFERENCE_SERVICES,
    JOBS,
    MODEL_VERSIONS,
    PODS,
    PROMETHEUS_RULES,
    REPLICA_SETS,
    SERVICES,
    TRAINING_JOB,
    TRAINING_JOBS,
)
from modelwright.common.settings import Settings
from modelwright.engine.cache import View
from modelwright.engine.kinds import Kind, child, identity, only
from modelwright.engine.objects import Body, Key, generation, labels, name, namespace
from modelwright.inferenceservice.monitoring.last_words import last_words
from modelwright.inferenceservice.planner import InferenceServicePlanner
from modelwright.modelversion.planner import ModelVersionPlanner
from modelwright.trainingjob.planner import TrainingJobPlanner

# What planners read of the status of a pod; they read nothing of its spec.
POD_STATUS = (
    "phase",
    "reason",
    "message",
    "podIP",
    "conditions",
    "initContainerStatuses",
    "containerStatuses",
)


def kinds(settings: Settings) -> list[Kind]:
    """Returns the kinds to watch."""
    watched = [
        Kind(TRAINING_JOBS, TrainingJobPlanner(settings), wakes=_versions_of),
        Kind(MODEL_VERSIONS, ModelVersionPlanner(settings), wakes=_users_of),
        Kind(INFERENCE_SERVICES, InferenceServicePlanner(settings), wakes=_concerns),
        # Read only to find the Deployment of a pod.
        replace(child(REPLICA_SETS, _labelled), keep=identity),
        replace(child(PODS, _labelled), keep=only(status=POD_STATUS), notes=last_words),
        *(child(resource, _labelled) for resource in (JOBS, DEPLOYMENTS, SERVICES, CONFIG_MAPS)),
        replace(child(CLAIMS), keep=only(spec=("accessModes",), status=("phase",))),
        Kind(
            GATEWAYS,
            wakes=_callers_of,
            optional=True,
            needed=_names_a_gateway,
            # The status of a listener counts its routes, which changes with each service.
            keep=only(spec=("listeners",), status=("addresses",)),
        ),
        replace(child(HTTP_ROUTES, _labelled), optional=True, needed=_names_a_gateway),
        *_alert_rules(settings),
        *_scaling(),
    ]
    return [
        replace(kind, indexes=tuple(index for index in INDEXES if index.resource == kind.resource))
        for kind in watched
    ]


def _alert_rules(settings: Settings) -> Iterator[Kind]:
    """PrometheusRules, unless the administrator wants none: then there is no right to read them either."""
    if settings.alert_rules is not None:
        yield replace(child(PROMETHEUS_RULES, _labelled), optional=True, needed=_has_objectives)


def _scaling() -> Iterator[Kind]:
    """What scales services, and what limits the eviction of their pods. Of their statuses only the conditions of the
    first count: the rest changes with each measurement.

    The API server has both kinds. They are optional because a role of an earlier release may not allow to read them.
    """
    spec = ("scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior")
    yield replace(
        child(AUTOSCALERS, _labelled),
        optional=True,
        needed=_is_autoscaled,
        keep=only(spec=spec, status=("conditions",)),
    )
    budget = ("maxUnavailable", "selector", "unhealthyPodEvictionPolicy")
    yield replace(
        child(DISRUPTION_BUDGETS, _labelled), optional=True, needed=_has_services, keep=only(spec=budget)
    )


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
    """The TrainingJob that made the version, the services that name it or track its model, the versions of the family
    whose aliases may change with it, and those of the same file, for which its gates and rejections count."""
    job = labels(version).get(TRAINING_JOB)
    if job:
        yield Key(TRAINING_JOBS, namespace(version), job)

    spec = version.get("spec") or {}
    model, digest = str(spec.get("model")), str((spec.get("artifact") or {}).get("digest"))
    yield from view.indexed_keys(VERSIONS_OF_DIGEST, digest, namespace(version))
    yield from view.indexed_keys(SERVICES_OF_VERSION, name(version), namespace(version))
    yield from view.indexed_keys(SERVICES_OF_MODEL, model, namespace(version))
    yield from view.indexed_keys(VERSIONS_WITH_ALIAS, model, namespace(version))
    # Only the version that loses this alias can pass it on to one that has none yet.
    if LATEST in ((version.get("status") or {}).get("aliases") or ()):
        newest = family(view, namespace(version), model).newest_ready
        if newest is not None:
            yield Key(MODEL_VERSIONS, namespace(version), name(newest))


def _versions_around(view: View, service: Body) -> Iterator[Key]:
    """The versions that a service serves or served before, and those of the files that it has rolled back or
    approves."""
    for version in (*served_versions(service), previous_version(service)):
        if version is not None:
            yield Key(MODEL_VERSIONS, namespace(service), version)
    for digest in (*rejected_digests(service), *approved_digests(service)):
        for judged in view.indexed(VERSIONS_OF_DIGEST, namespace(service), digest):
            yield Key(MODEL_VERSIONS, namespace(judged), name(judged))


def _models(view: View, service: Body) -> set[str]:
    """The models of the versions that a service serves."""
    keys = (Key(MODEL_VERSIONS, namespace(service), version) for version in served_versions(service))
    return {str(version["spec"]["model"]) for key in keys if (version := view.get(key)) is not None}


def _followers(view: View, service: Body, model: str) -> Iterator[Key]:
    """The services with track Champion that do not serve what this one does.

    If it is gone, or its spec has changed, all of them: they may follow another service from now on.
    """
    where, stable = namespace(service), stable_version(service)
    seen = (service.get("status") or {}).get("observedGeneration") == generation(service)
    changed = not seen or view.get(Key(INFERENCE_SERVICES, where, name(service))) is None
    if stable is None or (follows_champion(service) and not changed):
        return
    for follower in view.indexed(SERVICES_FOLLOWING, where, model):
        if changed or stable_version(follower) != stable:
            yield Key(INFERENCE_SERVICES, where, name(follower))


def _concerns(view: View, service: Body) -> Iterator[Key]:
    """The versions around a service and those of the family whose aliases may change with it, the services that follow
    it, the TrainingJobs of the versions that it needs, which may delete them afterwards, and those whose triggers name
    it."""
    yield from view.indexed_keys(JOBS_WATCHING, name(service), namespace(service))
    yield from _versions_around(view, service)
    for model in _models(view, service):
        yield from view.indexed_keys(VERSIONS_WITH_ALIAS, model, namespace(service))
        yield from _followers(view, service, model)
    readable = read_each((service,), lambda service: list(needed_versions(service)))
    for needed in (version for _, versions in readable for version in versions):
        version = view.get(Key(MODEL_VERSIONS, namespace(service), needed))
        job = None if version is None else labels(version).get(TRAINING_JOB)
        if job:
            yield Key(TRAINING_JOBS, namespace(service), job)


def _callers_of(view: View, gateway: Body) -> Iterator[Key]:
    """The services of all namespaces that name this Gateway."""
    yield from view.indexed_keys(SERVICES_OF_GATEWAY, f"{namespace(gateway)}/{name(gateway)}")


def _names_a_gateway(view: View) -> bool:
    """True if any service names a Gateway."""
    return any(True for _ in view.indexed_keys(SERVICES_OF_GATEWAY, YES))


def _is_autoscaled(view: View) -> bool:
    """True if any service has an autoscaler."""
    return any(True for _ in view.indexed_keys(SERVICES_AUTOSCALED, YES))


def _has_services(view: View) -> bool:
    """True if there is any service."""
    return any(True for _ in view.keys(INFERENCE_SERVICES))


def _has_objectives(view: View) -> bool:
    """True if alerts follow from the spec of any service."""
    return any(True for _ in view.indexed_keys(SERVICES_WITH_OBJECTIVES, YES))
