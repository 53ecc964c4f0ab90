"""Tables: whether the pods of a revision are there, what keeps them from it, and when a canary is given up for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelwright.api.inferenceservice import CanaryRevision, InferenceServiceSpec, InferenceServiceStatus
from modelwright.api.stores import Artifact
from modelwright.common.resources import REVISION
from modelwright.engine.objects import Body
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import KEPT
from modelwright.inferenceservice.rollout.readiness import hindrance, hopeless, is_complete, overdue

START = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE = timedelta(seconds=600)
LATE = "(not ready within progressDeadlineSeconds: 600)"
QUOTA = (
    'pods "churn-x-1" is forbidden: exceeded quota: room, requested: pods=1, used: pods=1, limited: pods=1'
)


def a_deployment(*, conditions: tuple[Mapping[str, Any], ...] = (), **status: int) -> Body:
    """Asked for two pods in its second generation."""
    counts = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    return {
        "metadata": {"name": "churn-x", "uid": "d", "generation": 2, "labels": {REVISION: "x"}},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, **counts, **status, "conditions": list(conditions)},
    }


REFUSED = a_deployment(
    readyReplicas=0,
    conditions=({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": QUOTA},),
)


def a_pod(container: str, state: Mapping[str, Any]) -> Body:
    """A pod of the revision with one container."""
    status = {"containerStatuses": [{"name": container, "image": "server:1", "state": state}]}
    return {"metadata": {"name": "churn-x-1", "uid": "p", "labels": {REVISION: "x"}}, "status": status}


def ended(code: int, reason: str = "StorageFailed") -> Body:
    """Its pull ended so."""
    words = json.dumps({"error": {"reason": reason, "message": "why"}})
    return a_pod("pull", {"terminated": {"exitCode": code, "message": words}})


def observed(*pods: Body, deployment: Body | None = None) -> Observed:
    """The InferenceService with the pods of its canary."""
    body = {"metadata": {"name": "churn", "namespace": "team", "uid": "s", "generation": 1}}
    found = Observed(
        body,
        versions=(),
        deployments=(deployment or a_deployment(),),
        pods=pods,
        service=None,
        status=InferenceServiceStatus(),
    )
    found.__dict__["spec"] = InferenceServiceSpec.model_validate({"model": {"version": "churn-2"}})
    return found


CANARY = CanaryRevision(
    revision="x",
    version="churn-2",
    artifact=Artifact(uri="pvc://models/a.onnx", digest="sha256:" + "a" * 64),
    image="server:1",
    state="Progressing",
    since="2026-01-01T00:00:00Z",
    generation=1,
)
UNPULLABLE = a_pod("server", {"waiting": {"reason": "ImagePullBackOff"}})
RUNS = a_pod("server", {"running": {}})


@pytest.mark.parametrize(
    ("deployment", "replicas", "complete"),
    [
        (a_deployment(), 2, True),
        (None, 0, False),
        (a_deployment(observedGeneration=1), 2, False),
        (a_deployment(updatedReplicas=1), 2, False),
        (a_deployment(readyReplicas=1), 2, False),
        (a_deployment(availableReplicas=1), 2, False),
        (a_deployment(replicas=3), 2, False),
        (a_deployment(), 1, True),
        (a_deployment(), 3, False),
        ({**a_deployment(replicas=3, updatedReplicas=3, readyReplicas=3, availableReplicas=3)}, 3, False),
    ],
    ids=[
        "all",
        "none",
        "not seen",
        "old ones",
        "not ready",
        "too young",
        "old ones go",
        "more than asked for",
        "fewer than asked for",
        "some will go",
    ],
)
def test_a_revision_is_complete_when_enough_of_its_pods_and_none_of_an_earlier_template_are_there(
    deployment: Body | None, replicas: int, complete: bool
) -> None:
    assert is_complete(deployment, replicas) is complete


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (ended(65, "DigestMismatch"), "DigestMismatch"),
        (a_pod("server", {"waiting": {"reason": "InvalidImageName"}}), "InvalidImageName"),
        (ended(65, "ArtifactNotFound"), None),
        (ended(75), None),
        (UNPULLABLE, None),
        (RUNS, None),
    ],
    ids=["other bytes", "no image name", "no file yet", "storage", "unpullable", "runs"],
)
def test_what_cannot_work_is_told_from_what_may_pass(pod: Body, reason: str | None) -> None:
    found = hopeless(observed(pod), "x")
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("pods", "deployment", "reason"),
    [
        ((UNPULLABLE,), None, "ImagePullFailed"),
        ((), REFUSED, "QuotaExceeded"),
        ((RUNS,), REFUSED, "QuotaExceeded"),
        ((ended(75),), None, "StorageFailed"),
        ((RUNS,), None, None),
    ],
    ids=["image", "no pods", "too few pods", "ended", "nothing"],
)
def test_what_keeps_pods_from_being_ready(
    pods: tuple[Body, ...], deployment: Body | None, reason: str | None
) -> None:
    found = hindrance(observed(*pods, deployment=deployment), "x")
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("pods", "deployment", "lacking", "message"),
    [
        ((UNPULLABLE,), None, None, "server: image server:1 cannot be pulled"),
        ((ended(75),), None, None, "pull: why"),
        ((), REFUSED, None, "pods are forbidden: exceeded quota: room"),
        ((RUNS,), None, "ConfigMap c does not give it its share yet", "ConfigMap c does not give it"),
        ((RUNS,), None, None, "not ready within"),
    ],
    ids=["image", "ended", "quota", "no share", "no cause"],
)
def test_the_deadline_names_its_cause(
    pods: tuple[Body, ...], deployment: Body | None, lacking: str | None, message: str
) -> None:
    found = observed(*pods, deployment=deployment)
    assert overdue(found, CANARY, lacking, START + DEADLINE - timedelta(seconds=1)) is None

    problem = overdue(found, CANARY, lacking, START + DEADLINE)

    assert problem is not None
    assert problem.message.startswith(message)
    assert problem.message.strip("()").endswith(LATE.strip("()"))


def test_the_deadline_begins_anew_with_what_is_waited_for() -> None:
    waiting = CANARY.model_copy(update={"waiting_since": "2026-01-01T01:00:00Z"})
    assert overdue(observed(), waiting, None, START + DEADLINE * 2) is None


def test_what_an_earlier_try_has_left_says_nothing_about_this_one() -> None:
    left = a_deployment()
    left = {**left, "metadata": {**left["metadata"], "annotations": {KEPT: "true"}}}
    found = replace(observed(ended(65, "DigestMismatch"), deployment=left))
    assert hopeless(found, "x") is None
