"""The manifest of the Job that verifies a model file which no run has verified, and scores it if there is data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.api.rundocument import SOURCES, gates_of_version, source_variables
from modelwright.api.storedocument import source_uses
from modelwright.common.resources import MODEL_VERSION, child_labels
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body, annotations_of, owner_reference
from modelwright.engine.plan import Create
from modelwright.modelversion.observed import Observed
from modelwright.workload.champion import (
    artifact_document,
    champion_document,
    champion_parts,
    champion_uses,
)
from modelwright.workload.podspec import (
    container,
    empty_dir,
    failure_policy,
    mount,
    pod_spec,
)
from modelwright.workload.podstatus import Problem
from modelwright.workload.podtemplate import pod_annotations, pod_labels, training_template
from modelwright.workload.signatures import KEY, key_volume, named
from modelwright.workload.sources import sources
from modelwright.workload.store import artifacts
from modelwright.workload.stores import access, version_use

FETCH, STEP = "fetch", "verify"
HOLDOUT = mount("holdout", "/data/holdout")
HOLDOUT_READ = mount("holdout", "/data/holdout", read_only=True)
DEADLINE_SECONDS = 3600
# Annotation: why the previous Job failed, as `Reason: message`.
PREVIOUS_FAILURE = "modelwright.dev/previous-failure"
# Annotation: how the spec said that the store of the file is reached, as JSON.
STORE = "modelwright.dev/store"


def verify_job(observed: Observed, settings: Settings, after: Problem | None = None) -> Create:
    """The Job that checks the digest and the content of the file. `after`: why the previous Job failed."""
    template = training_template(settings)
    labels = {**pod_labels(template), **_own_labels(observed)}
    given = pod_annotations(template)
    notes = {
        **({PREVIOUS_FAILURE: f"{after.reason}: {after.message}"} if after else {}),
        **({STORE: store} if (store := _store(observed)) else {}),
    }
    annotations = {"annotations": notes} if notes else {}
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
            "podFailurePolicy": failure_policy(*steps_of(observed)),
            "template": {
                "metadata": {"labels": labels, **({"annotations": given} if given else {})},
                "spec": _pod(observed, settings),
            },
        },
    }
    return Create(observed.job_key, body)


def _own_labels(observed: Observed) -> dict[str, str]:
    return child_labels(observed.body, **{MODEL_VERSION: observed.name})


def steps_of(observed: Observed) -> tuple[str, ...]:
    """The containers of the Job, in the order in which they run."""
    return (FETCH, STEP) if observed.spec.get("evaluate") else (STEP,)


def previous_failure(job: Body) -> Problem | None:
    """Why the Job before this one failed; None if this is the first."""
    reason, separator, message = annotations_of(job).get(PREVIOUS_FAILURE, "").partition(": ")
    return Problem(reason, message) if separator else None


def has_another_store(observed: Observed, job: Body) -> bool:
    """True if the spec says by now that the store of the file is reached in another way than this Job was given."""
    return annotations_of(job).get(STORE, "") != _store(observed)


def _store(observed: Observed) -> str:
    store = observed.artifact.get("store")
    return "" if store is None else json.dumps(store, sort_keys=True)


def verify_document(observed: Observed) -> dict[str, Any]:
    """The input of the steps: docs/contracts/verify.schema.json."""
    spec, evaluate = observed.spec, observed.spec.get("evaluate")
    document = {
        "modelVersion": observed.name,
        "model": spec["model"],
        "artifact": artifact_document(observed.body),
    }
    if observed.key is not None:
        document["verification"] = named(observed.key)
    if evaluate is None:
        return document
    document["evaluate"] = {key: value for key, value in evaluate.items() if key not in SOURCES}
    document["gates"] = gates_of_version(spec)
    if observed.champion is not None:
        document["champion"] = champion_document(observed.champion)
    return document


def _pod(observed: Observed, settings: Settings) -> dict[str, Any]:
    """The pod: verify alone, or after fetch if there is data to score the model on. Only fetch knows where that is."""
    uri, evaluate = str(observed.artifact["uri"]), observed.spec.get("evaluate")
    template, counted = training_template(settings), _own_labels(observed)
    kept, store = artifacts(uri, read_only=True), version_use(observed.body, "artifacts", "artifact.store")
    storing = access(settings, store, *champion_uses(observed.champion if evaluate else None))
    document = {"MODELWRIGHT_VERIFY": json.dumps(verify_document(observed), sort_keys=True)}
    mounts, volumes = [*kept.mounts, *storing.mounts], [*kept.volumes, *storing.volumes]
    if observed.key is not None:
        mounts, volumes = [*mounts, KEY], [*volumes, key_volume(observed.key, optional=True)]
    given = {**document, **storing.env}
    if evaluate is None:
        verify = _container(STEP, settings, mounts, given)
        return pod_spec(template, counted, volumes, restartPolicy="Never", containers=[verify])
    read, reading = sources(evaluate), access(settings, *source_uses(evaluate, "evaluate.store"), store)
    fetch = _container(
        FETCH, settings, (*kept.mounts, HOLDOUT, *read.mounts, *reading.mounts),
        {**document, **source_variables(evaluate), **reading.env},
    )  # fmt: skip
    rival = champion_parts(observed.champion, uri, observed.champion_claim)
    verify = _container(STEP, settings, (*mounts, HOLDOUT_READ, *rival.mounts), given)
    return pod_spec(
        template,
        counted,
        (*volumes, *rival.volumes, empty_dir("holdout"), *read.volumes, *reading.volumes),
        restartPolicy="Never",
        initContainers=[fetch],
        containers=[verify],
    )


def _container(
    step: str, settings: Settings, mounts: Sequence[Mapping[str, Any]], env: Mapping[str, str]
) -> dict[str, Any]:
    made = container(
        step, settings.training_image, settings,
        resources=settings.training_resources, mounts=mounts, env=env, scratch=step,
    )  # fmt: skip
    return {**made, "command": ["modelwright-training", step]}
