"""The indexes of the cache: how objects are found without a scan of their namespace. `wiring` declares them.

A function here may meet an object that another release wrote: one that it fails on is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelwright.common.approvals import approved_digests, may_be_unrecorded
from modelwright.common.conditions import true_condition
from modelwright.common.resources import INFERENCE_SERVICES, JOBS, MODEL_VERSIONS, TRAINING_JOB, TRAINING_JOBS
from modelwright.engine.indexes import Index
from modelwright.engine.objects import Body, deleting, generation, labels, namespace, status_of

# The value of objects that are in an index at all.
YES = "yes"
# A rollout that waits for a person may do so for weeks: it does not count as one that is under way.
BY_HAND = frozenset(("CanaryPaused", "AwaitingApproval"))
# The statuses of conditions that ask for a look. Unknown because samples are still collected asks for none.
NOTEWORTHY_STATUSES = {
    "Available": ("False",),
    "Stalled": ("True",),
    "Reconciling": ("True",),
    "DriftDetected": ("True", "Unknown"),
    "ScoreBelowTarget": ("True", "Unknown"),
    "TriggersActive": ("False",),
    "AlertRulesInstalled": ("False",),
    "AutoscalingActive": ("False",),
    "DisruptionsLimited": ("False",),
}
# The revisions in the status of an InferenceService.
_ROLES = ("stable", "canary", "retired")
# What a version is to an InferenceService, which is an alias of it. LEADING: as CHAMPION, of a service that does not
# follow the Champion itself.
CHAMPION, CHALLENGER, PREVIOUS, LEADING = "Champion", "Challenger", "Previous", "Leading"


def served_versions(service: Body) -> Iterator[str]:
    """Yields the names of the ModelVersions that an InferenceService has pods of. A failed canary has none."""
    status = status_of(service)
    for role in _ROLES:
        revision = status.get(role) or {}
        if "version" in revision and revision.get("state") != "Failed":
            yield str(revision["version"])


def in_role(role: str, version: str) -> str:
    """Returns the value under which `SERVICES_IN_ROLE` finds the services at which a version has a role."""
    return f"{role}/{version}"


def roles(service: Body) -> Iterator[str]:
    """Yields what versions are to an InferenceService, as `in_role`.

    A canary that has failed is none, and neither is one of the stable version in another shape of pod.
    """
    if stable := stable_version(service):
        yield in_role(CHAMPION, stable)
        if not follows_champion(service):
            yield in_role(LEADING, stable)
    canary = _revision(service, "canary")
    if canary.get("state") != "Failed" and canary.get("version") not in {None, stable}:
        yield in_role(CHALLENGER, canary["version"])
    if before := previous_version(service):
        yield in_role(PREVIOUS, before)


def stable_version(service: Body) -> str | None:
    """Returns the name of the version that has the traffic of an InferenceService; None if none has."""
    version = _revision(service, "stable").get("version")
    return None if version is None else str(version)


def previous_version(service: Body) -> str | None:
    """Returns the name of the version that had the traffic before the stable one; None if there is none.

    The status of an earlier release has only the retired revision, until its pods are deleted.
    """
    stable, retired = _revision(service, "stable"), _revision(service, "retired")
    before = stable.get("previous") or (None if retired.get("undone") else retired.get("version"))
    return None if before is None or before == stable.get("version") else str(before)


def follows_champion(service: Body) -> bool:
    """True if an InferenceService serves what the others of its family serve."""
    return bool(service["spec"]["model"].get("track") == "Champion")


def rejected_digests(service: Body) -> Iterator[str]:
    """Yields the digests of the model files that an InferenceService has rolled back."""
    for rejection in status_of(service).get("rejected") or ():
        if "digest" in rejection:
            yield str(rejection["digest"])


def needed_versions(service: Body) -> Iterator[str]:
    """Yields the names of the ModelVersions that an InferenceService names anywhere: in its spec, as one of its
    revisions (a failed canary may be tried again), and as rejected."""
    yield from (version for version in (service["spec"]["model"].get("version"),) if version)
    status = status_of(service)
    revisions = (status[role] for role in _ROLES if status.get(role))
    for named in (*revisions, *(status.get("rejected") or ())):
        yield str(named["version"])


def needed_digests(service: Body) -> Iterator[str]:
    """Yields the digests of the model files that an InferenceService has revisions of, or has rejected."""
    status = status_of(service)
    for role in _ROLES:
        if status.get(role):
            yield str(status[role]["artifact"]["digest"])
    yield from rejected_digests(service)


def is_unclear(service: Body) -> bool:
    """True if it is not known what an InferenceService needs.

    Its spec is newer than its status, a backup has restored it without its status, or another release wrote it.
    """
    try:
        list(needed_versions(service))
        list(needed_digests(service))
    except (AttributeError, KeyError, TypeError, ValueError):
        return True
    return bool(status_of(service).get("observedGeneration") != generation(service))


def watched_services(training_job: Body) -> list[str]:
    """Returns the names of the InferenceServices that the triggers of a TrainingJob name."""
    triggers = training_job["spec"].get("triggers") or {}
    named = ((triggers.get(part) or {}).get("serviceRef") for part in ("onDrift", "onScore"))
    return sorted({str(reference["name"]) for reference in named if reference})


def retiring_versions(training_job: Body) -> frozenset[str]:
    """Returns the names of the ModelVersions that are deleted because of the TrainingJob's versionsHistoryLimit."""
    return frozenset(str(entry["name"]) for entry in status_of(training_job).get("retiring") or ())


def gateway_of(service: Body) -> tuple[str, str] | None:
    """The namespace and name of the Gateway that an InferenceService names; None if it names none."""
    named = service["spec"].get("gateway")
    return None if named is None else (named.get("namespace") or namespace(service), named["name"])


def ready_status(body: Body) -> str | None:
    """The status of the condition Ready of an object of any of our kinds; None before it has one."""
    found = (c.get("status") for c in status_of(body).get("conditions") or () if c.get("type") == "Ready")
    return next((str(status) for status in found), None)


def noteworthy_conditions(body: Body) -> Iterator[tuple[str, str, str]]:
    """Yields type, status and reason of each condition that somebody may want to know of."""
    for condition in status_of(body).get("conditions") or ():
        kind, status, reason = (str(condition.get(field)) for field in ("type", "status", "reason"))
        if status in NOTEWORTHY_STATUSES.get(kind, ()) and not (
            status == "Unknown" and reason.startswith("Collecting")
        ):
            yield kind, status, reason


def with_status(kind: str, status: str) -> str:
    """Returns the value under which `NOTEWORTHY` finds objects with a condition of this type and status."""
    return f"{kind}={status}"


def has_objectives(service: Body) -> bool:
    """True if alerts follow from the spec of an InferenceService."""
    return bool((service["spec"].get("monitoring") or {}).get("slo"))


def is_autoscaled(service: Body) -> bool:
    """True if the spec of an InferenceService asks for a HorizontalPodAutoscaler."""
    return bool(service["spec"].get("autoscaling"))


def is_measured(service: Body) -> bool:
    """True if an InferenceService has a canary with a share of the traffic, or a stable revision that is baked."""
    status = status_of(service)
    state = (status.get("canary") or {}).get("state")
    return state in {"Shifting", "Completing"} or "bakeUntil" in (status.get("stable") or {})


def is_monitored(service: Body) -> bool:
    """True if drift or feedback of an InferenceService is watched, and a revision has the traffic."""
    monitoring = service["spec"].get("monitoring") or {}
    watched = monitoring.get("drift") is not None or monitoring.get("feedback") is not None
    return watched and bool(_revision(service, "stable").get("revision"))


def is_rolled_out(service: Body) -> bool:
    """True if an InferenceService has a canary that moves on without a person."""
    status = status_of(service)
    state = (status.get("canary") or {}).get("state")
    ready = [c.get("reason") for c in status.get("conditions") or () if c.get("type") == "Ready"]
    return state not in {None, "Failed"} and BY_HAND.isdisjoint(ready)


def _gateways(service: Body) -> Iterator[str]:
    gateway = gateway_of(service)
    if gateway is not None:
        yield YES
        yield "/".join(gateway)


def _works(job: Body) -> bool:
    """True if a Job may still get pods."""
    ended = true_condition(job, "Complete") or true_condition(job, "Failed")
    return not ended and not deleting(job)


def _revision(service: Body, role: str) -> Mapping[str, Any]:
    """A revision in the status of an InferenceService; empty if there is none, or another release wrote it."""
    found = status_of(service).get(role)
    return found if isinstance(found, Mapping) else {}


def _if(holds: bool) -> tuple[str, ...]:
    return (YES,) if holds else ()


# ModelVersions: by model, by the digest of the file, by the name of the TrainingJob in the label.
VERSIONS_OF_MODEL = Index("model", MODEL_VERSIONS, lambda version: (version["spec"]["model"],))
VERSIONS_OF_DIGEST = Index("digest", MODEL_VERSIONS, lambda version: (version["spec"]["artifact"]["digest"],))
VERSIONS_OF_JOB = Index("training-job", MODEL_VERSIONS, lambda version: (labels(version).get(TRAINING_JOB),))
# ModelVersions with approvals that their status may not show yet.
VERSIONS_UNRECORDED = Index("unrecorded", MODEL_VERSIONS, lambda version: _if(may_be_unrecorded(version)))
# ModelVersions that have an alias, by model; the status of the version says which.
VERSIONS_WITH_ALIAS = Index(
    "alias",
    MODEL_VERSIONS,
    lambda version: (version["spec"]["model"],) if status_of(version).get("aliases") else (),
)
# Jobs: by the name of the TrainingJob in the label; those that may still get pods.
JOBS_OF_JOB = Index("training-job", JOBS, lambda job: (labels(job).get(TRAINING_JOB),))
JOBS_AT_WORK = Index("at-work", JOBS, lambda job: _if(_works(job)))
# InferenceServices: by the version, or the model, in the spec.
SERVICES_OF_VERSION = Index(
    "version", INFERENCE_SERVICES, lambda service: (service["spec"]["model"].get("version"),)
)
SERVICES_OF_MODEL = Index(
    "model", INFERENCE_SERVICES, lambda service: (service["spec"]["model"].get("name"),)
)
# InferenceServices: by a version that they have pods of, and by the digest of a file that they have rolled back.
SERVICES_SERVING = Index("serving", INFERENCE_SERVICES, served_versions)
SERVICES_REJECTING = Index("rejecting", INFERENCE_SERVICES, rejected_digests)
# InferenceServices: by what a version is to them; and those that follow the Champion of a model, by the model.
SERVICES_IN_ROLE = Index("role", INFERENCE_SERVICES, roles)
SERVICES_FOLLOWING = Index(
    "following",
    INFERENCE_SERVICES,
    lambda service: (service["spec"]["model"].get("name"),) if follows_champion(service) else (),
)
# InferenceServices: by a version that they name anywhere, and by the digest of a file that they need; and those of
# which this is not known.
SERVICES_NEEDING_VERSION = Index("needing-version", INFERENCE_SERVICES, needed_versions)
SERVICES_NEEDING_DIGEST = Index("needing-digest", INFERENCE_SERVICES, needed_digests)
SERVICES_UNCLEAR = Index("unclear", INFERENCE_SERVICES, lambda service: _if(is_unclear(service)))
# TrainingJobs of which ModelVersions are being deleted.
JOBS_RETIRING = Index("retiring", TRAINING_JOBS, lambda job: _if(bool(retiring_versions(job))))
# TrainingJobs: by an InferenceService that their triggers name.
JOBS_WATCHING = Index("watching", TRAINING_JOBS, watched_services)
# InferenceServices: by the Gateway in the spec, as NAMESPACE/NAME; YES finds all that name one.
SERVICES_OF_GATEWAY = Index("gateway", INFERENCE_SERVICES, _gateways)
# InferenceServices with objectives.
SERVICES_WITH_OBJECTIVES = Index(
    "objectives", INFERENCE_SERVICES, lambda service: _if(has_objectives(service))
)
# InferenceServices with spec.autoscaling.
SERVICES_AUTOSCALED = Index("autoscaled", INFERENCE_SERVICES, lambda service: _if(is_autoscaled(service)))
# InferenceServices: by the digest of a model file that they approve.
SERVICES_APPROVING = Index("approving", INFERENCE_SERVICES, approved_digests)
# InferenceServices whose pods are measured, and those with a canary that moves on without a person.
SERVICES_MEASURED = Index("measured", INFERENCE_SERVICES, lambda service: _if(is_measured(service)))
# InferenceServices whose pods are asked for what they have counted.
SERVICES_MONITORED = Index("monitored", INFERENCE_SERVICES, lambda service: _if(is_monitored(service)))
SERVICES_ROLLED_OUT = Index("rolled-out", INFERENCE_SERVICES, lambda service: _if(is_rolled_out(service)))
# TrainingJobs whose status has what became of their triggers.
JOBS_TRIGGERED = Index("triggered", TRAINING_JOBS, lambda job: _if(bool(status_of(job).get("triggers"))))
# Objects of each kind by the status of Ready; TrainingJobs and InferenceServices by the conditions that ask for a look.
BY_READY = tuple(
    Index("ready", resource, lambda body: (ready_status(body),))
    for resource in (TRAINING_JOBS, MODEL_VERSIONS, INFERENCE_SERVICES)
)
NOTEWORTHY = tuple(
    Index(
        "noteworthy",
        resource,
        lambda body: {with_status(kind, status) for kind, status, _ in noteworthy_conditions(body)},
    )
    for resource in (INFERENCE_SERVICES, TRAINING_JOBS)
)

INDEXES = (
    *BY_READY,
    *NOTEWORTHY,
    JOBS_TRIGGERED,
    VERSIONS_OF_MODEL,
    VERSIONS_OF_DIGEST,
    VERSIONS_OF_JOB,
    VERSIONS_UNRECORDED,
    VERSIONS_WITH_ALIAS,
    JOBS_OF_JOB,
    JOBS_AT_WORK,
    SERVICES_OF_VERSION,
    SERVICES_OF_MODEL,
    SERVICES_SERVING,
    SERVICES_REJECTING,
    SERVICES_IN_ROLE,
    SERVICES_FOLLOWING,
    SERVICES_NEEDING_VERSION,
    SERVICES_NEEDING_DIGEST,
    SERVICES_UNCLEAR,
    JOBS_RETIRING,
    JOBS_WATCHING,
    SERVICES_OF_GATEWAY,
    SERVICES_WITH_OBJECTIVES,
    SERVICES_AUTOSCALED,
    SERVICES_APPROVING,
    SERVICES_MEASURED,
    SERVICES_MONITORED,
    SERVICES_ROLLED_OUT,
)
