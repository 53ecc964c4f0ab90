"""The Job that verifies a model file that no run of ours vouches for."""

from __future__ import annotations

import json
from typing import Any

from modelwright.common.resources import JOBS, MODEL_VERSION, child_labels
from modelwright.common.settings import Settings
from modelwright.engine.objects import Key, owner_reference
from modelwright.engine.plan import Create
from modelwright.modelversion.observed import Observed, job_name
from modelwright.workload.podspec import claim_volume, container, failure_policy, mount, pod_spec
from modelwright.workload.store import claim_of

DEADLINE_SECONDS = 3600


def verify_job(observed: Observed, settings: Settings) -> Create:
    """Reads the file where it lies, checks its digest and what it is."""
    labels = child_labels(observed.body, **{MODEL_VERSION: observed.name})
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(observed.name),
            "namespace": observed.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(observed.body)],
        },
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podFailurePolicy": failure_policy("verify"),
            "template": {"metadata": {"labels": labels}, "spec": _pod(observed, settings)},
        },
    }
    return Create(Key(JOBS, observed.namespace, job_name(observed.name)), body)


def verify_document(observed: Observed) -> dict[str, Any]:
    """What the step is told: docs/contracts/verify.schema.json."""
    return {
        "modelVersion": observed.name,
        "model": observed.spec["model"],
        "artifact": {
            key: observed.artifact[key] for key in ("uri", "digest", "size") if key in observed.artifact
        },
    }


def _pod(observed: Observed, settings: Settings) -> dict[str, Any]:
    verify = container(
        "verify",
        settings.training_image,
        settings,
        resources=settings.training_resources,
        mounts=(mount("artifacts", "/artifacts", read_only=True),),
        env={"MODELWRIGHT_VERIFY": json.dumps(verify_document(observed), sort_keys=True)},
    )
    verify["command"] = ["modelwright-training", "verify"]
    store = claim_volume("artifacts", claim_of(str(observed.artifact["uri"])), read_only=True)
    return pod_spec(settings, (store,), restartPolicy="Never", containers=[verify])
