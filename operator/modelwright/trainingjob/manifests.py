"""The manifests of a run: its Job and its ModelVersion. docs/contracts specifies the documents in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from modelwright.api import API_VERSION
from modelwright.api.base import Model
from modelwright.api.gates import ApprovalPolicy, ChampionRef, OnInconclusive, User
from modelwright.api.podtemplate import PodTemplate
from modelwright.api.rundocument import run_document, source_variables
from modelwright.api.storedocument import Use, source_uses
from modelwright.api.trainingjob import Run
from modelwright.api.triggers import Cause
from modelwright.common.conditions import true_condition
from modelwright.common.resources import MODEL, TRAINING_JOB, child_labels
from modelwright.common.settings import DEFAULT_CLAIM, Settings
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.objects import Body, annotations_of, name, owner_reference, uid
from modelwright.trainingjob.memory import CAUSE, GENERATION, RECIPE_HASH, cause_in, recipe_hash
from modelwright.trainingjob.observed import Observed, probe_job_name
from modelwright.trainingjob.recipe import STORES_ANNOTATION, public_code, recipe_of, stores_in
from modelwright.trainingjob.runs import (
    RUN_ANNOTATION,
    SOURCE_STEP,
    STEPS,
    Published,
    champion_in,
    champion_named,
)
from modelwright.trainingjob.trainer import own_mounts, own_volumes, trainer_environment, without_devices
from modelwright.workload.champion import champion_document, champion_parts, champion_uses
from modelwright.workload.podspec import (
    annotation_volume,
    container,
    empty_dir,
    failure_policy,
    mount,
    pod_spec,
    whole_secret_volume,
)
from modelwright.workload.podstatus import container_statuses
from modelwright.workload.podtemplate import (
    QUEUE,
    pod_annotations,
    pod_labels,
    pods_hash,
    queue_labels,
    training_template,
)
from modelwright.workload.signatures import KEY, key_volume, named
from modelwright.workload.sources import VOLUME, sources
from modelwright.workload.store import artifacts, claim_of, store_uri
from modelwright.workload.stores import access

DELETE_STEP = "delete"
DELETE_SECONDS = 600
PROBE_STEP = "probe"
PROBE_SECONDS = 600
RUN_FILE = "run.json"
RUN_READ = mount("run", "/etc/modelwright/run", read_only=True)
TRAIN = mount("train", "/data/train")
TRAIN_READ = mount("train", "/data/train", read_only=True)
HOLDOUT = mount("holdout", "/data/holdout")
HOLDOUT_READ = mount("holdout", "/data/holdout", read_only=True)
MODEL_FOLDER = mount("model", "/model")
MODEL_READ = mount("model", "/model", read_only=True)
OUT = mount(VOLUME, "/out")
CREDENTIALS = mount("credentials", "/credentials", read_only=True)
# What of the spec is in the ModelVersion, and not in the recipe.
TERMS_ANNOTATION = "modelwright.dev/terms"
TERMS = ("onInconclusive", "approval", "author")


class Terms(Model):
    """What a Job says of them."""

    on_inconclusive: OnInconclusive | None = None
    approval: ApprovalPolicy | None = None
    author: User | None = None


# The terms of a Job whose own cannot be read. They may have asked for an approval, so one is asked for.
UNREADABLE = Terms(on_inconclusive="Hold", approval=ApprovalPolicy(required=1))


def artifacts_uri(observed: Observed, settings: Settings) -> str:
    """The folder that models of this TrainingJob are stored in."""
    return store_uri(settings, observed.model, (observed.spec.get("artifacts") or {}).get("uri"))


def uses_default_claim(observed: Observed, settings: Settings) -> bool:
    """True if models are stored in the claim that the operator creates."""
    return claim_of(artifacts_uri(observed, settings)) == DEFAULT_CLAIM


def document_of(observed: Observed, run: Run, settings: Settings) -> dict[str, Any]:
    """The run document of a run that is to start now."""
    document = run_document(
        observed.spec,
        namespace=observed.namespace,
        name=observed.name,
        run=run.number,
        artifacts=artifacts_uri(observed, settings),
        champion=None if observed.champion is None else champion_document(observed.champion),
        uid=uid(observed.body),
    )
    return {**document, **({"knownDigest": run.known_digest} if run.known_digest else {})}


def champion_ref(champion: Body | None) -> ChampionRef | None:
    """The version that a run is compared with, as the status names it."""
    if champion is None:
        return None
    return champion_named(name(champion), champion["spec"]["artifact"]["digest"])


def job_manifest(observed: Observed, run: Run, settings: Settings) -> dict[str, Any]:
    """The Job of a run: its steps in one pod. The hold-out is in a volume that the trainer does not mount."""
    spec, template, queue = observed.spec, template_of(observed, settings), queue_labels(observed.body)
    labels = {**pod_labels(template), **_own_labels(observed)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": run.job,
            "namespace": observed.namespace,
            "labels": {**labels, **queue},
            "annotations": {
                RECIPE_HASH: recipe_hash(observed.body),
                GENERATION: str(observed.generation),
                **pods_hash(template, queue),
                **({CAUSE: _cause(run.cause)} if run.cause else {}),
            },
            "ownerReferences": [owner_reference(observed.body)],
        },
        "spec": {
            # From here on Kueue says when it runs. The Job is written once, so that nothing else changes this field.
            **({"suspend": True} if QUEUE in queue else {}),
            "backoffLimit": spec.get("backoffLimit", 2),
            "activeDeadlineSeconds": spec.get("activeDeadlineSeconds", 3600),
            "podFailurePolicy": failure_policy(*steps_of(spec)),
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        **pod_annotations(template),
                        RUN_ANNOTATION: _text(observed, run, settings),
                        **_terms(spec),
                        **_stores(spec),
                    },
                },
                "spec": _pod(observed, settings),
            },
        },
    }


def template_of(observed: Observed, settings: Settings) -> PodTemplate:
    """What is said of the pods of this TrainingJob by now."""
    return training_template(settings, observed.spec.get("podTemplate"))


def _own_labels(observed: Observed) -> dict[str, str]:
    return child_labels(observed.body, **{TRAINING_JOB: observed.name})


def _cause(cause: Cause) -> str:
    document = cause.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(document, sort_keys=True)


def steps_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The steps of a run, in the order in which they run."""
    return (SOURCE_STEP, *STEPS) if spec["data"].get("source") else STEPS


def document_size(observed: Observed, run: Run, settings: Settings) -> int:
    """The size of the run document and of the other annotations of the pods, in bytes."""
    others = pod_annotations(template_of(observed, settings))
    size = sum(len(key.encode()) + len(value.encode()) for key, value in others.items())
    return size + len(_text(observed, run, settings).encode())


def _text(observed: Observed, run: Run, settings: Settings) -> str:
    document = document_of(observed, run, settings)
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _terms(spec: Mapping[str, Any]) -> dict[str, str]:
    """The annotation with what of the spec is in the ModelVersion of the run, and not in the run document.

    The template of a Job cannot be changed, so they hold as they were when the run began.
    """
    terms = {key: spec[key] for key in TERMS if key in spec}
    return {TERMS_ANNOTATION: json.dumps(terms, sort_keys=True)} if terms else {}


def _stores(spec: Mapping[str, Any]) -> dict[str, str]:
    """The annotation with what the spec says of stores, for the ModelVersion: the containers have it as resolved."""
    data = {
        key: spec["data"][key]
        for key in ("store", "caConfigMapRef", "dvc")
        if spec["data"].get(key) is not None
    }
    models = (spec.get("artifacts") or {}).get("store")
    said = {**({"data": data} if data else {}), **({} if models is None else {"artifacts": models})}
    return {STORES_ANNOTATION: json.dumps(said, sort_keys=True)} if said else {}


def has_other_stores(job: Body, spec: Mapping[str, Any]) -> bool:
    """True if the Job was made for a spec that says something else of stores."""
    annotations = (job["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    return bool(annotations.get(STORES_ANNOTATION) != _stores(spec).get(STORES_ANNOTATION))


def waits_for_volumes(job: Body) -> bool:
    """True if a pod of the Job cannot start without a Secret or a ConfigMap."""
    volumes = job["spec"]["template"]["spec"].get("volumes") or ()
    given = (each[kind] for each in volumes for kind in ("secret", "configMap") if kind in each)
    return any(not source.get("optional") for source in given)


def _terms_in(job: Body) -> dict[str, Any]:
    """The terms as the Job has them, whatever the spec says by now."""
    annotations = (job["spec"]["template"].get("metadata") or {}).get("annotations") or {}
    try:
        terms = Terms.model_validate_json(annotations.get(TERMS_ANNOTATION) or "{}")
    except ValidationError:
        terms = UNREADABLE
    return terms.model_dump(mode="json", by_alias=True, exclude_none=True)


def _pod(observed: Observed, settings: Settings) -> dict[str, Any]:
    data, models = observed.spec["data"], artifacts_uri(observed, settings)
    whole = observed.spec.get("resources") or settings.training_resources
    # Only the trainer uses devices: other steps would hold them without a need.
    resources = without_devices(whole)
    read, kept = sources(data), artifacts(models, read_only=False)
    store = Use("artifacts", models, "artifacts.store", (observed.spec.get("artifacts") or {}).get("store"))
    # fetch proves that the model can be stored, before anything is trained for hours.
    reading = access(settings, *source_uses(data, "data.store"), store)
    storing = access(settings, store, *champion_uses(observed.champion))
    fetch = container(
        "fetch", settings.training_image, settings, resources=resources, scratch="fetch",
        mounts=(RUN_READ, TRAIN, HOLDOUT, *read.mounts, *reading.mounts),
        env={**source_variables(data), **reading.env},
    )  # fmt: skip
    rival = champion_parts(observed.champion, models, observed.champion_claim)
    publish = container(
        "publish", settings.training_image, settings, resources=resources, scratch="publish",
        mounts=(RUN_READ, TRAIN_READ, HOLDOUT_READ, MODEL_READ, *kept.mounts, *rival.mounts, *storing.mounts),
        env=storing.env,
    )  # fmt: skip
    fetch["command"] = ["modelwright-training", "fetch"]
    publish["command"] = ["modelwright-training", "publish"]
    keys = _sign(publish, observed.spec)
    made = _source(data, resources, settings)
    secrets = _source_secret(data)
    folders = (empty_dir("train"), empty_dir("holdout"), empty_dir("model"), *kept.volumes, *read.volumes)
    return pod_spec(
        template_of(observed, settings),
        _own_labels(observed),
        (
            annotation_volume("run", RUN_FILE, RUN_ANNOTATION),
            *folders, *rival.volumes, *reading.volumes, *storing.volumes, *keys, *secrets,
            *own_volumes(observed.spec["trainer"]),
        ),
        restartPolicy="Never",
        initContainers=[*made, fetch, _trainer(observed, whole, settings)],
        containers=[publish],
    )  # fmt: skip


def _source(
    data: Mapping[str, Any], resources: Mapping[str, Any], settings: Settings
) -> tuple[dict[str, Any], ...]:
    """The container of the user's that makes the data, if there is one. It mounts its Secret, and no other does."""
    given = data.get("source")
    if not given:
        return ()
    made = container(
        SOURCE_STEP, given["image"], settings, resources=resources, scratch=SOURCE_STEP,
        mounts=(OUT, *((CREDENTIALS,) if given.get("secretRef") else ())),
        env={each["name"]: each.get("value", "") for each in given.get("env") or ()},
    )  # fmt: skip
    return ({**made, **{key: given[key] for key in ("command", "args") if key in given}},)


def _source_secret(data: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """The volume of that container's Secret. The pod waits for the Secret: an image of a user's may not miss it."""
    reference = (data.get("source") or {}).get("secretRef")
    return (whole_secret_volume("credentials", reference["name"]),) if reference else ()


def _sign(publish: dict[str, Any], spec: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Gives publish the key to sign with, if there is one; the volume of the key.

    The pod waits for the Secret: a missing one is better noticed before the training than after it.
    """
    if "signing" not in spec:
        return ()
    reference = spec["signing"]["keySecretRef"]
    publish["volumeMounts"].append(dict(KEY))
    publish["env"] = [*publish.get("env", ()), {"name": "MODELWRIGHT_SIGN", "value": named(reference)}]
    return (key_volume(reference, optional=False),)


def _trainer(observed: Observed, resources: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The container of the built-in trainer, or of the user's own image, which gets no run document."""
    spec, trainer = observed.spec, observed.spec["trainer"]
    mounts = (TRAIN_READ, MODEL_FOLDER)
    if "sklearn" in trainer:
        built_in = container(
            "train", settings.training_image, settings, resources=resources, scratch="train",
            mounts=(RUN_READ, *mounts),
        )  # fmt: skip
        return {**built_in, "command": ["modelwright-training", "train"]}
    image = container(
        "train", trainer["image"], settings, resources=resources, scratch="train",
        mounts=(*mounts, *own_mounts(trainer)),
    )  # fmt: skip
    own = {key: trainer[key] for key in ("command", "args", "envFrom") if trainer.get(key)}
    return {**image, "env": trainer_environment(spec), **own}


def probe_job_manifest(observed: Observed, settings: Settings) -> dict[str, Any]:
    """The Job that looks whether the data has changed: fetch's container, which reads no rows."""
    labels = child_labels(observed.body, **{TRAINING_JOB: observed.name})
    data = observed.spec["data"]
    read, reached = sources(data), access(settings, *source_uses(data, "data.store"))
    probe = container(
        PROBE_STEP, settings.training_image, settings, resources=settings.training_resources,
        mounts=(*read.mounts, *reached.mounts), env={**source_variables(data), **reached.env},
    )  # fmt: skip
    probe["command"] = ["modelwright-training", PROBE_STEP]
    volumes = (*read.volumes, *reached.volumes)
    return _small_job(
        observed, probe_job_name(observed.name), labels, PROBE_SECONDS, settings, volumes, probe
    )


def delete_job_manifest(
    observed: Observed, job: str, artifact: Mapping[str, Any], run: int, settings: Settings
) -> dict[str, Any]:
    """The Job that deletes a model file. `run`: the runs of the TrainingJob up to this one do not keep the file."""
    labels = child_labels(observed.body, **{TRAINING_JOB: observed.name})
    document = {
        "namespace": observed.namespace,
        "trainingJob": observed.name,
        "uid": uid(observed.body),
        "run": run,
        "artifact": {key: value for key, value in artifact.items() if key != "store"},
    }
    uri = str(artifact["uri"])
    kept = artifacts(uri, read_only=False)
    reached = access(settings, Use("artifacts", uri, "artifacts.store", artifact.get("store")))
    delete = container(
        DELETE_STEP, settings.training_image, settings, resources=settings.training_resources,
        mounts=(*kept.mounts, *reached.mounts),
        env={"MODELWRIGHT_DELETE": json.dumps(document, sort_keys=True), **reached.env},
    )  # fmt: skip
    delete["command"] = ["modelwright-training", DELETE_STEP]
    volumes = (*kept.volumes, *reached.volumes)
    return _small_job(observed, job, labels, DELETE_SECONDS, settings, volumes, delete)


def _small_job(
    observed: Observed, job: str, labels: Mapping[str, str], seconds: int, settings: Settings,
    volumes: Sequence[Mapping[str, Any]], step: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """A Job of one step beside the runs."""
    template = template_of(observed, settings)
    counted, labels = labels, {**pod_labels(template), **labels}
    annotations = pod_annotations(template)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job,
            "namespace": observed.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner_reference(observed.body)],
        },
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": seconds,
            "podFailurePolicy": failure_policy(step["name"]),
            "template": {
                "metadata": {"labels": dict(labels), **({"annotations": annotations} if annotations else {})},
                "spec": pod_spec(template, counted, volumes, restartPolicy="Never", containers=[step]),
            },
        },
    }


def model_version_manifest(observed: Observed, run: Run, job: Body, result: Published) -> dict[str, Any]:
    """The ModelVersion of a run. It has no owner, because it outlives the TrainingJob.

    Its lineage comes from the run document in the Job, because the spec may have changed since.
    """
    model, recipe = result.document["model"], annotations_of(job).get(RECIPE_HASH)
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {
            "name": run.job,
            "namespace": observed.namespace,
            "labels": {MANAGED_BY: MANAGER, TRAINING_JOB: observed.name, MODEL: model},
            **({"annotations": {RECIPE_HASH: recipe}} if recipe else {}),
        },
        "spec": {
            "model": model,
            "artifact": _artifact(job, result),
            "lineage": _lineage(run, job, result),
            **demands(job, result.document),
        },
    }


def _artifact(job: Body, result: Published) -> dict[str, Any]:
    """The file that publish stored, and how the spec said that its store is reached."""
    file = result.report.artifact.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"store"})
    store = stores_in(job).get("artifacts")
    return file if store is None else {**file, "store": store}


def demands(job: Body, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the version has to hold before it is Ready: the gates that its run has measured, and who has to agree.

    The document of an earlier release has no gates.
    """
    if "gates" not in document:
        return {}
    terms = _terms_in(job)
    return {
        "gates": document["gates"],
        "defaultGates": "Disabled",  # they are among the gates, if they are to hold
        **{key: terms[key] for key in ("onInconclusive", "approval") if key in terms},
    }


def _lineage(run: Run, job: Body, result: Published) -> dict[str, Any]:
    document = result.document
    source = {"uri": result.source, "digest": result.data.digest, "dvc": result.dvc}
    trainer = document["trainer"]
    sklearn = trainer.get("sklearn") or {}
    champion, cause = champion_in(document), cause_in(job)
    parts = {
        "trainingJob": document["trainingJob"],
        "run": run.number,
        "cause": None if cause is None else cause.model_dump(mode="json", by_alias=True, exclude_none=True),
        "completionTime": _completion_time(job),
        "images": _images(result),
        "code": public_code(trainer.get("code")),
        "data": [{key: value for key, value in source.items() if value}],
        "estimator": sklearn.get("estimator"),
        "parameters": sklearn.get("parameters"),
        "seed": document.get("seed", 0),
        "libraries": result.report.libraries,
        "author": _terms_in(job).get("author"),
        "champion": None if champion is None else champion.model_dump(mode="json"),
        "recipe": recipe_of(job, document),
    }
    return {key: value for key, value in parts.items() if value is not None}


def _completion_time(job: Body) -> str | None:
    """When the Job ended. Read from the Job, so that a ModelVersion created again after a crash has the same time."""
    ended = (job.get("status") or {}).get("completionTime") or (true_condition(job, "Complete") or {}).get(
        "lastTransitionTime"
    )
    return None if ended is None else str(ended)


def _images(result: Published) -> list[dict[str, str]]:
    images = []
    for status in container_statuses(result.pod):
        image = {
            "step": str(status["name"]),
            "image": str(status.get("image", "")),
            "imageID": str(status.get("imageID", "")),
        }
        images.append({key: value for key, value in image.items() if value})
    return images
