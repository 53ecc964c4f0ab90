"""Every state of the three kinds that GitOps tools treat in a way of their own, brought about by the real planners.

A name begins with what Argo CD makes of the state. `FLUX` has what Flux makes of it where that does not follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from unit.given.approvals import approves
from unit.given.resources import (
    RECIPE,
    Resource,
    TrainingJob,
    a_served_version,
    a_service,
    a_training_job,
    a_version,
    a_world,
)
from unit.inferenceservice.rollout.test_canary import BAD, a_canary, after, measures, rollout
from unit.inferenceservice.rollout.test_failures import a_rollout
from unit.inferenceservice.rollout.test_promotion import a_promoted_version, blue_green
from unit.inferenceservice.rollout.test_standin import a_canary_whose_stable_revision_is_lost
from unit.inferenceservice.test_requests import asks
from unit.modelversion.test_approvals import awaiting
from unit.modelversion.test_gates import BASELINE, LIMIT, SHUFFLED, evidence, made_by_a_run
from unit.modelversion.test_quarantine import a_rejected_version
from unit.trainingjob.test_waiting import without_data
from unit.trainingjob.triggers.test_schedules import HOURLY, a_trained_job, at

# By Argo CD's word for a state.
KSTATUS = {
    "progressing": "InProgress",
    "suspended": "InProgress",
    "healthy": "Current",
    "degraded": "Failed",
    "deleting": "Terminating",
}


def _newer(resource: Resource) -> Resource:
    """The spec has changed, and no operator has seen that."""
    resource.world.api.edit(resource.key, lambda body: body["metadata"].update(generation=99))
    return resource


def _deleting(resource: Resource) -> Resource:
    """It is being deleted, and what it owns goes first."""
    at = "2026-01-01T00:10:00Z"
    resource.body["metadata"]["deletionTimestamp"] = at
    return resource


def _held(**more: Any) -> Resource:
    service = a_canary()
    steps = more.pop("steps", None)
    return service.changes(rollout=rollout(*(steps or ()), **more)).settles()


def _completing() -> Resource:
    service = after(measures(a_canary(steps=[{"weight": 50, "holdSeconds": 10}]), {"Answered": 1000}), 10)
    assert service.status["canary"]["state"] == "Completing"
    return service


def _unplaced() -> Resource:
    service = a_rollout(rollout={"progressDeadlineSeconds": 600})
    service.starts().unschedulable("0/3 nodes are available")
    service.settles().world.after(1000)
    return service.settles()


def _undone() -> Resource:
    service = a_promoted_version(bakeSeconds=0)
    return asks(service, "undo", service.revision("stable"))


def _retired() -> Resource:
    return a_promoted_version(bakeSeconds=0)


def _back_by_hand() -> Resource:
    """churn-2 was rolled back, and the spec names churn-1 again: a retry would try churn-2."""
    service = asks(a_canary(), "abort")
    return service.changes(model={"version": "churn-1"}).settles()


def _hopeless() -> Resource:
    world = a_world()
    a_version(world, "churn-1").is_rejected()
    return a_service(world).settles()


def _failed_run() -> Resource:
    job = a_training_job(a_world()).settles()
    job.fails()
    return job


def _queued() -> Resource:
    job = TrainingJob(a_world(), "churn", RECIPE, labels={"kueue.x-k8s.io/queue-name": "team"})
    assert job.settles().reason == "Queued"
    return job


def _skipped() -> Resource:
    return at(a_trained_job(triggers=HOURLY), "01:00").finds_no_other_data()


def _scheduled(**more: Any) -> Resource:
    return a_training_job(a_world(), triggers={"schedule": "0 3 * * *"}, **more).succeeds()


def _trained(gates: list[Mapping[str, Any]], value: float) -> Resource:
    return made_by_a_run(gates, [evidence(value=value)])


def _first_starts() -> Resource:
    world = a_world()
    a_version(world).is_verified()
    return a_service(world, rollout=rollout()).settles()


def _canary_starts() -> Resource:
    service = a_served_version(replicas=4, rollout=rollout())
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


Made = Callable[[], Resource]
SERVICES: dict[str, Made] = {
    "progressing_not-seen": lambda: a_service(a_world()),
    "progressing_newer-spec": lambda: _newer(a_served_version()),
    "progressing_model-not-found": lambda: after(a_service(a_world()).settles(), 10),
    "progressing_first-version-starts": _first_starts,
    "progressing_starting": a_rollout,
    "progressing_canary-starts": _canary_starts,
    "progressing_canary": a_canary,
    "progressing_blue-green": lambda: blue_green(holdSeconds=60).has_ready(4).settles(),
    "progressing_completing": _completing,
    "progressing_baking": a_promoted_version,
    "progressing_stable-lost": a_canary_whose_stable_revision_is_lost,
    "progressing_tried-again-later": _unplaced,
    "suspended_paused-by-spec": lambda: _held(paused=True),
    "suspended_paused-by-request": lambda: asks(a_canary(), "pause"),
    "suspended_awaiting-approval": lambda: _held(steps=[{"weight": 10, "approval": True}]),
    "degraded_rolled-back": lambda: after(measures(a_canary(), BAD), 5),
    "degraded_aborted": lambda: asks(a_canary(), "abort"),
    "degraded_version-is-not-its-file": _hopeless,
    "healthy_serving": a_served_version,
    "healthy_version-before-still-runs": _retired,
    "healthy_undone": _undone,
    "healthy_back-after-abort": _back_by_hand,
    "healthy_scaled-to-zero": lambda: a_served_version(replicas=0),
    "deleting_canary": lambda: _deleting(a_canary()),
}
JOBS: dict[str, Made] = {
    "progressing_not-seen": lambda: a_training_job(a_world()),
    "progressing_newer-spec": lambda: _newer(a_training_job(a_world()).succeeds()),
    "progressing_running": lambda: a_training_job(a_world()).settles(),
    "progressing_running-can-be-replaced": lambda: a_training_job(
        a_world(), brakes={"concurrencyPolicy": "Replace"}
    ).settles(),
    "progressing_no-data": without_data,
    "progressing_queued": _queued,
    "suspended_awaiting-approval": lambda: a_training_job(a_world(), approval={"required": 1}).succeeds(),
    "degraded_failed": _failed_run,
    "healthy_succeeded": lambda: a_training_job(a_world()).succeeds(),
    "healthy_skipped": _skipped,
    "healthy_scheduled": _scheduled,
    "healthy_suspended": lambda: _scheduled(suspend=True),
    "deleting_running": lambda: _deleting(a_training_job(a_world()).settles()),
}
VERSIONS: dict[str, Made] = {
    "progressing_not-seen": lambda: a_version(a_world()),
    "progressing_newer-spec": lambda: _newer(a_version(a_world()).is_verified()),
    "progressing_verifying": lambda: a_version(a_world()).settles(),
    "suspended_awaiting-approval": awaiting,
    "suspended_gate-inconclusive": lambda: made_by_a_run([BASELINE], [SHUFFLED]),
    "degraded_gate-failed": lambda: _trained([LIMIT], 0.5),
    "degraded_not-its-file": lambda: a_version(a_world()).is_rejected(),
    "healthy_verified": lambda: a_version(a_world()).is_verified(),
    "healthy_gates-passed": lambda: _trained([LIMIT], 0.95),
    "healthy_approved": lambda: approves(awaiting()),
    "healthy_quarantined": lambda: a_rejected_version()[1],
    "deleting_verified": lambda: _deleting(a_version(a_world()).is_verified()),
}
STATES: dict[str, dict[str, Made]] = {
    "TrainingJob": JOBS, "ModelVersion": VERSIONS, "InferenceService": SERVICES,
}  # fmt: skip


ALL = [(kind, name) for kind, states in STATES.items() for name in states]
# The fields of a status that scripts read, and a few that show to a reader what the state is.
SHOWN = {
    "TrainingJob": ("number", "state"),
    "InferenceService": ("revision", "version", "state", "step", "weight", "paused", "undone", "reason"),
}
SPEC = {
    "TrainingJob": ("triggers", "brakes", "suspend"),
    "InferenceService": ("model", "rollout"),
    "ModelVersion": ("model",),
}
PARTS = ("run", "canary", "stable", "retired", "lastDecision")


def excerpt(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what test data shows of an object: what scripts read, with times and identities that never change."""
    status, shown = body.get("status") or {}, SHOWN.get(kind, ())
    meta = {
        key: body["metadata"][key] for key in ("annotations", "deletionTimestamp") if key in body["metadata"]
    }
    kept: dict[str, Any] = {}
    for part in PARTS if shown else ():
        if part in status:
            kept[part] = {key: status[part][key] for key in shown if key in status[part]}
    if status.get("rejected"):
        kept["rejected"] = [{key: each[key] for key in shown if key in each} for each in status["rejected"]]
    said = [{**each, "lastTransitionTime": "2026-01-01T00:00:00Z"} for each in status.get("conditions") or ()]
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": {
            "name": body["metadata"]["name"],
            "namespace": body["metadata"]["namespace"],
            "uid": "6e0f0b3a-6f0c-4f3e-9d3c-1f1f5a0c7d11",
            "resourceVersion": "4711",
            "generation": body["metadata"]["generation"],
            **meta,
        },
        "spec": {key: body["spec"][key] for key in SPEC[kind] if key in body["spec"]},
        "status": {
            "observedGeneration": status.get("observedGeneration"),
            **({"conditions": said} if said else {}),
            **kept,
        },
    }
