"""What one release of the operator makes of objects: run as a program with the packages of that release on its path.

It reads objects from its input, a JSON list, and prints what it found as JSON; with the word `deployments`, which
Deployments their services are to have. It uses what every release has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from modelwright.api.inferenceservice import InferenceServiceSpec, InferenceServiceStatus
from modelwright.api.modelversion import ModelVersionSpec, ModelVersionStatus
from modelwright.api.trainingjob import TrainingJobSpec, TrainingJobStatus
from modelwright.common.indexes import INDEXES
from modelwright.common.reading import read_with_faults
from modelwright.common.resources import (
    DEPLOYMENTS,
    INFERENCE_SERVICES,
    JOBS,
    MODEL_VERSIONS,
    TRAINING_JOBS,
)
from modelwright.common.settings import Settings
from modelwright.engine.cache import Cache
from modelwright.engine.objects import Key
from modelwright.engine.plan import Apply
from modelwright.inferenceservice.planner import InferenceServicePlanner
from modelwright.inferenceservice.revision.target import revision
from modelwright.trainingjob.memory import GENERATION, RECIPE_HASH, read_memory, recipe_hash

SPECS: Any = {
    "InferenceService": InferenceServiceSpec,
    "ModelVersion": ModelVersionSpec,
    "TrainingJob": TrainingJobSpec,
}
STATUSES: Any = {
    "InferenceService": InferenceServiceStatus,
    "ModelVersion": ModelVersionStatus,
    "TrainingJob": TrainingJobStatus,
}
KINDS = {
    "Deployment": DEPLOYMENTS,
    "InferenceService": INFERENCE_SERVICES,
    "ModelVersion": MODEL_VERSIONS,
    "TrainingJob": TRAINING_JOBS,
}
SETTINGS = Settings(serving_image="serving:1", training_image="training:1")
VERSION = {
    "metadata": {"name": "churn-1", "namespace": "team"},
    "spec": {"artifact": {"uri": "pvc://models/churn-1/model.onnx", "digest": f"sha256:{'0' * 64}"}},
}


def found(body: dict[str, Any]) -> dict[str, Any]:
    """What it makes of one object."""
    kind = body["kind"]
    spec = SPECS[kind].model_validate(body["spec"])
    status, faults = read_with_faults(STATUSES[kind], body.get("status") or {})
    known: dict[str, Any] = {
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "status": status.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "faults": faults,
    }
    if kind == "TrainingJob":
        known |= {"recipe": recipe_hash(body), "run": _run(body)}
    if kind == "InferenceService":
        known |= {"revision": revision(VERSION, spec, SETTINGS).revision}
    return known


def _run(body: dict[str, Any]) -> list[Any] | None:
    """The number of the run that it goes on with, and its Job, whose Job is there."""
    run = (body.get("status") or {}).get("run")
    if run is None:
        return None
    cache = Cache(indexes=INDEXES)
    metadata = body["metadata"]
    owner = {"kind": "TrainingJob", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    labels = {"modelwright.dev/root-uid": metadata["uid"], "modelwright.dev/training-job": metadata["name"]}
    job = {
        "name": run["job"],
        "namespace": metadata["namespace"],
        "uid": "job",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/managed-by": "modelwright", **labels},
        "annotations": {RECIPE_HASH: recipe_hash(body), GENERATION: str(metadata["generation"])},
        "ownerReferences": [owner],
    }
    cache.put(JOBS, {"metadata": job, "spec": {}})
    known = read_memory(cache, body).run
    return None if known is None else [known.number, known.job]


def deployments(
    bodies: Sequence[dict[str, Any]], now: str, settings: Settings = SETTINGS
) -> dict[str, dict[str, Any]]:
    """The Deployments that the services among these objects are to have, by name, as they are applied."""
    cache, moment = Cache(indexes=INDEXES), datetime.fromisoformat(now).astimezone(UTC)
    for number, body in enumerate(bodies):
        metadata = {**body["metadata"], "resourceVersion": str(number + 1)}
        cache.put(KINDS[body["kind"]], {**body, "metadata": metadata})
    planner, applied = InferenceServicePlanner(settings), {}
    for body in bodies:
        if body["kind"] == "InferenceService":
            metadata = body["metadata"]
            plan = planner(cache, Key(INFERENCE_SERVICES, metadata["namespace"], metadata["name"]), moment)
            for effect in plan.effects:
                if isinstance(effect, Apply) and effect.key.resource == DEPLOYMENTS:
                    applied[effect.key.name] = dict(effect.body)
    return applied


def main(words: Sequence[str], bodies: list[dict[str, Any]]) -> object:
    """What is printed."""
    match words:
        case ["deployments", now]:
            return deployments(bodies, now)
        case _:
            return [found(body) for body in bodies]


if __name__ == "__main__":
    json.dump(main(sys.argv[1:], json.load(sys.stdin)), sys.stdout)
