"""The Deployment of a revision as a manifest. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.api.inferenceservice import Revision, ServerOptions
from modelwright.api.podtemplate import PodTemplate
from modelwright.api.storedocument import Use
from modelwright.common.resources import DEPLOYMENTS, INFERENCE_SERVICE, REVISION, SERVER, pod_root_uid
from modelwright.common.settings import Settings
from modelwright.engine.objects import ROOT_UID, Key
from modelwright.engine.plan import Apply
from modelwright.inferenceservice.manifests.names import (
    ADMIN_PORT,
    GRPC_PORT,
    HTTP_PORT,
    child_metadata,
    config_name,
    deployment_name,
)
from modelwright.inferenceservice.manifests.traffic_rule import EARLIER_FILE, FILE
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import FEEDBACK_VOLUME, KEPT
from modelwright.inferenceservice.rollout import steps
from modelwright.inferenceservice.rollout.readiness import keeps_its_template
from modelwright.workload.podspec import Parts, container, empty_dir, mount, pod_spec, whole_secret_volume
from modelwright.workload.podtemplate import (
    earlier_template,
    pod_annotations,
    pod_labels,
    said,
    with_fields,
)
from modelwright.workload.store import artifacts
from modelwright.workload.stores import access, kept_access, with_access

# Longer than the server's own drain, so that it always ends by itself.
TERMINATION_GRACE_SECONDS = 60
LOADING_SECONDS = 600
# Nodes need a second or two, busy ones longer, to learn of a Service's new pods, and refuse connections until then.
# These failures would count against a canary that gets traffic as soon as its pods are ready.
SETTLING_SECONDS = 5
TRAFFIC = "/etc/modelwright/traffic"
FEEDBACK_KEYS = "/etc/modelwright/feedback"
# The init container that fetches the model, and the container that serves it.
PULL = "pull"


def deployment(
    observed: Observed, revision: Revision, replicas: int, settings: Settings, *, kept: bool = False
) -> Apply:
    """The Deployment of a revision. Only its replicas ever change; any other change makes another revision.

    `kept`: the revision has failed, and one pod stays for its log.
    """
    name = deployment_name(observed, revision.revision)
    selector = {INFERENCE_SERVICE: observed.name, REVISION: revision.revision}
    meta = child_metadata(observed, name, **{REVISION: revision.revision})
    template = revision.merged_pod_template or earlier_template(settings)
    meta["labels"] = {**pod_labels(template), **meta["labels"]}
    notes = {**said(revision.pod_template), **({KEPT: "true"} if kept else {})}
    root = pod_root_uid(observed.deployment(revision.revision), observed.body)
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**meta, "annotations": notes} if notes else meta,
        "spec": {
            "replicas": replicas,
            **({"minReadySeconds": SETTLING_SECONDS} if steps.planned(observed.spec) else {}),
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": {**meta["labels"], ROOT_UID: root},
                    "annotations": {
                        **pod_annotations(template),
                        "modelwright.dev/model-digest": revision.artifact.digest,
                    },
                },
                "spec": _started(observed, revision, selector, settings)
                or _pod(observed, revision, template, selector, settings),
            },
        },
    }
    return Apply(Key(DEPLOYMENTS, observed.namespace, name), body)


def _started(
    observed: Observed, revision: Revision, selector: Mapping[str, str], settings: Settings
) -> Mapping[str, Any] | None:
    """The pod spec of a revision that an earlier release started; None for one of this release.

    This release's pod spec may not suit the earlier image, and a change would replace the pods of all services at once.
    So it stays unchanged, except that its store is reached, and its pods are placed, as of today, unless it keeps its
    template.
    """
    existing = observed.deployment(revision.revision)
    if existing is None or revision.image == settings.serving_image:
        return None
    spec: Mapping[str, Any] = existing["spec"]["template"]["spec"]
    template = revision.merged_pod_template
    if template is not None and not keeps_its_template(observed, revision.revision):
        spec = with_fields(spec, template, selector)
    return with_access(spec, PULL, _store(observed, revision, settings))


def _pod(
    observed: Observed,
    revision: Revision,
    template: PodTemplate,
    selector: Mapping[str, str],
    settings: Settings,
) -> dict[str, Any]:
    artifact, store, keys = revision.artifact, _store(observed, revision, settings), _keys(revision)
    kept = artifacts(artifact.uri, read_only=True)
    resources = revision.resources.model_dump(mode="json", exclude_none=True) if revision.resources else {}
    pull = container(
        PULL, revision.image, settings, resources=resources,
        mounts=(*kept.mounts, mount("model", "/model"), *store.mounts), env=store.env,
    )  # fmt: skip
    pull["command"] = [
        "modelwright-pull",
        "--uri",
        artifact.uri,
        "--digest",
        artifact.digest,
        "--to",
        "/model",
    ]
    return pod_spec(
        template,
        selector,
        (
            *kept.volumes,
            *store.volumes,
            empty_dir("model"),
            {
                "name": "traffic",
                "configMap": {"name": config_name(observed, revision.revision), "optional": True},
            },
            *keys.volumes,
        ),
        terminationGracePeriodSeconds=TERMINATION_GRACE_SECONDS,
        initContainers=[pull],
        containers=[_server(observed, revision, resources, settings)],
    )


def _store(observed: Observed, revision: Revision, settings: Settings) -> Parts:
    """How pull reaches a store outside the namespace.

    As in its template while it keeps that: a change of the administrator's defaults replaces no pod that serves.
    """
    existing, artifact = observed.deployment(revision.revision), revision.artifact
    if existing is not None and keeps_its_template(observed, revision.revision):
        return kept_access(existing["spec"]["template"]["spec"], PULL)
    said = artifact.model_dump(mode="json", by_alias=True, exclude_none=True).get("store")
    return access(settings, Use("artifacts", artifact.uri, "artifact.store", said))


def _server(
    observed: Observed, revision: Revision, resources: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    server = container(
        SERVER,
        revision.image,
        settings,
        resources=resources,
        mounts=(
            mount("model", "/model", read_only=True),
            mount("traffic", TRAFFIC, read_only=True),
            *_keys(revision).mounts,
        ),
    )
    # Callers that take every connection of the other ports cannot keep the kubelet from this one.
    ready = {"httpGet": {"path": "/v2/health/ready", "port": "admin"}, "timeoutSeconds": 2}
    return {
        **server,
        "command": [
            "modelwright-serving",
            "--model", "/model/model.onnx",
            "--model-digest", revision.artifact.digest,
            "--name", observed.name,
            "--model-version", revision.version,
            "--http-port", str(HTTP_PORT),
            "--grpc-port", str(GRPC_PORT),
            "--admin-port", str(ADMIN_PORT),
            # An earlier release of the operator, after a rollback of this one, writes only the second file.
            "--traffic", f"{TRAFFIC}/{FILE}",
            "--traffic", f"{TRAFFIC}/{EARLIER_FILE}",
            *_options(revision.server or ServerOptions()),
            *_feedback(revision),
        ],
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": LOADING_SECONDS},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        # The server itself reports a run as stuck after twice its limit; these failures allow for a slow network.
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "admin"},
            "timeoutSeconds": 5,
            "periodSeconds": 10,
            "failureThreshold": 6,
        },
    }  # fmt: skip


def _keys(revision: Revision) -> Parts:
    """The keys of the tokens of predictions, for the server alone. Without the Secret it serves on, and gives no
    tokens."""
    if revision.feedback is None:
        return Parts()
    volume = whole_secret_volume(FEEDBACK_VOLUME, revision.feedback.secret, optional=True)
    return Parts((volume,), (mount(FEEDBACK_VOLUME, FEEDBACK_KEYS, read_only=True),))


def _feedback(revision: Revision) -> list[str]:
    """The options about feedback. Without any the pods of services that are there stay as they are."""
    if revision.feedback is None:
        return []
    age = revision.feedback.max_age_seconds
    return [
        "--feedback-keys", FEEDBACK_KEYS,
        *([] if age is None else ["--feedback-max-age-seconds", str(age)]),
    ]  # fmt: skip


def _options(server: ServerOptions) -> list[str]:
    """The options that the spec sets. Without any the pods of services that are there stay as they are."""
    chosen = (
        ("--run-seconds", server.run_seconds),
        ("--row-sharing", server.row_sharing and server.row_sharing.lower()),
        ("--max-rows", server.max_rows),
    )
    return [text for option, value in chosen if value is not None for text in (option, str(value))]
