"""The manifest of the Job that verifies a model file which no run has verified."""

from __future__ import annotations

import json
from typing import Any

from modelwright.common.resources import MODEL_VERSION, child_labels
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body, annotations_of, owner_reference
from modelwright.engine.plan import Create
from modelwright.modelversion.observed import Observed
from modelwright.workload.podspec import claim_volume, container, failure_policy, mount, pod_spec
from modelwright.workload.podstatus import Problem
from modelwright.workload.store import claim_of

STEP = "verify"
DEADLINE_SECONDS = 3600
# Annotation: why the previous Job failed, as `Reason: message`.
PREVIOUS_FAILURE = "modelwright.dev/previous-failure"


def verify_job(observed: Observed, settings: Settings, after: Problem | None = None) -> Create:
    """The Job that checks the digest and the content of the file. `after`: why the previous Job failed."""
    labels = child_labels(observed.body, **{MODEL_VERSION: observed.name})
    annotations = {"annotations": {PREVIOUS_FAILURE: f"{after.reason}: {after.message}"}} if after else {}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": observed.job_name,
            "namespace": observed.namespace,
            "labels": labels,
            **annotations,
            "ownerReferences": [owner_reference(observed.body)],
        },
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": failure_policy(STEP),
            "template": {"metadata": {"labels": labels}, "spec": _pod(observed, settings)},
        },
    }
    return Create(observed.job_key, body)


def previous_failure(job: Body) -> Problem | None:
    """Why the Job before this one failed; None if this is the first."""
    reason, separator, message = annotations_of(job).get(PREVIOUS_FAILURE, "").partition(": ")
    return Problem(reason, message) if separator else None


def verify_document(observed: Observed) -> dict[str, Any]:
    """The input of the step: docs/contracts/verify.schema.json."""
    return {
        "modelVersion": observed.name,
        "model": observed.spec["model"],
        "artifact": {
            key: observed.artifact[key] for key in ("uri", "digest", "size") if key in observed.artifact
        },
    }


def _pod(observed: Observed, settings: Settings) -> dict[str, Any]:
    verify = container(
        STEP,
        settings.training_image,
        settings,
        resources=settings.training_resources,
        mounts=(mount("artifacts", "/artifacts", read_only=True),),
        env={"MODELWRIGHT_VERIFY": json.dumps(verify_document(observed), sort_keys=True)},
    )
    verify["command"] = ["modelwright-training", "verify"]
    store = claim_volume("artifacts", claim_of(str(observed.artifact["uri"])), read_only=True)
    return pod_spec(settings, (store,), restartPolicy="Never", containers=[verify])
