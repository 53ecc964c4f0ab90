"""What is said of the pods of a workload: the spec over the administrator's defaults of the kind, over those of all.

docs/pods.md has the rules of merging as a table. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from hashlib import sha256
from typing import Any, TypeVar

from pydantic import ValidationError

from modelwright.api.base import Model
from modelwright.api.podtemplate import (
    OWN_KEY,
    PodMetadata,
    PodTemplate,
    PodTemplateSpec,
    PullSecret,
)
from modelwright.common.reading import read_valid
from modelwright.common.settings import DEFAULT_POD_TEMPLATE, Settings
from modelwright.engine.api import MANAGED_BY
from modelwright.engine.objects import Body, annotations_of, labels

# Labels of a TrainingJob that are for Kueue, and the one that names the queue.
KUEUE = "kueue.x-k8s.io/"
QUEUE = "kueue.x-k8s.io/queue-name"
# Of a Job: the digest of what was said of its pods and of its queue.
PODS_HASH = "modelwright.dev/pods-hash"
# Of a Deployment: what the spec said of its pods, as JSON.
SAID = "modelwright.dev/pod-template"
# Fields of a template's spec that are added up; maps are merged by key, and all else is replaced.
_ADDED_UP = ("tolerations", "image_pull_secrets")
# Fields of a pod that follow from a template.
POD_FIELDS = frozenset(
    (
        "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName",
        "runtimeClassName", "schedulerName", "serviceAccountName", "imagePullSecrets", "securityContext",
    )
)  # fmt: skip
# What the API server makes of them.
_DERIVED = frozenset(("priority", "preemptionPolicy", "overhead", "serviceAccount"))
Part = TypeVar("Part", bound=Model)


def merged(*templates: PodTemplate | None) -> PodTemplate:
    """Returns the templates over each other: each says more than, or replaces, what those before it say."""
    return reduce(_over, (template for template in templates if template is not None), PodTemplate())


def _over(base: PodTemplate, given: PodTemplate) -> PodTemplate:
    metadata = _maps_over(PodMetadata, base.metadata, given.metadata)
    spec = _spec_over(base.spec, given.spec)
    return PodTemplate(metadata=metadata, spec=spec)


def _maps_over(model: type[Part], base: Part | None, given: Part | None) -> Part | None:
    """The part whose fields are maps, merged by key."""
    if base is None or given is None:
        return given or base
    return base.model_copy(
        update={field: {**(getattr(base, field) or {}), **value} for field, value in _given(given).items()}
    )


def _spec_over(base: PodTemplateSpec | None, given: PodTemplateSpec | None) -> PodTemplateSpec | None:
    if base is None or given is None:
        return given or base
    update = _given(given)
    for field in _ADDED_UP:
        if field in update:
            update[field] = _distinct((*(getattr(base, field) or ()), *update[field]))
    if "node_selector" in update:
        update["node_selector"] = {**(base.node_selector or {}), **update["node_selector"]}
    if "security_context" in update and base.security_context is not None:
        update["security_context"] = base.security_context.model_copy(
            update=_given(update["security_context"])
        )
    return base.model_copy(update=update)


def _given(part: Model) -> dict[str, Any]:
    """The fields that are set, as they are."""
    fields = ((field, getattr(part, field)) for field in type(part).model_fields)
    return {field: value for field, value in fields if value is not None}


def _distinct(parts: Iterable[Part]) -> list[Part]:
    return list({part.model_dump_json(): part for part in parts}.values())


def training_template(settings: Settings, said: Mapping[str, Any] | PodTemplate | None = None) -> PodTemplate:
    """The template of Jobs. `said`: spec.podTemplate of a TrainingJob; None for other Jobs."""
    return merged(_of_all(settings), settings.training_pod_template, _read(said))


def serving_template(settings: Settings, said: PodTemplate | None = None) -> PodTemplate:
    """The template of a new revision.

    It has no constraint of ours about how its pods are spread: one would take the place of the cluster's own, which
    spread the pods of a Deployment over nodes and zones.
    """
    return merged(_of_all(settings), settings.serving_pod_template, said)


def earlier_template(settings: Settings) -> PodTemplate:
    """The template of a revision that began before there were templates."""
    return merged(DEFAULT_POD_TEMPLATE, _pull_secrets(settings))


def says_nothing(settings: Settings) -> bool:
    """True if the administrator says nothing else of pods that serve than was so before there were templates."""
    return serving_template(settings) == earlier_template(settings)


def _of_all(settings: Settings) -> PodTemplate:
    return merged(_pull_secrets(settings), settings.pod_template)


def _pull_secrets(settings: Settings) -> PodTemplate | None:
    if not settings.image_pull_secrets:
        return None
    secrets = [PullSecret(name=secret) for secret in settings.image_pull_secrets]
    return PodTemplate(spec=PodTemplateSpec(image_pull_secrets=secrets))


def _read(said: Mapping[str, Any] | PodTemplate | None) -> PodTemplate | None:
    if said is None or isinstance(said, PodTemplate):
        return said
    return read_valid(PodTemplate, said)


def pod_labels(template: PodTemplate) -> dict[str, str]:
    """The labels of the pods, and of their Job or Deployment, beside those of the operator."""
    return dict((template.metadata and template.metadata.labels) or {})


def pod_annotations(template: PodTemplate) -> dict[str, str]:
    """The annotations of the pods, beside those of the operator."""
    return dict((template.metadata and template.metadata.annotations) or {})


def pod_fields(template: PodTemplate, counted: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the pod's spec. `counted`: the labels of the pods that a constraint counts if it does not say.

    What the restricted Pod Security Standard needs is always there, whatever the template says.
    """
    spec = template.spec or PodTemplateSpec()
    fields = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    if constraints := fields.get("topologySpreadConstraints"):
        selector = {"matchLabels": dict(counted)}
        fields["topologySpreadConstraints"] = [{"labelSelector": selector, **each} for each in constraints]
    ids = fields.pop("securityContext", {})
    return {
        **{field: value for field, value in fields.items() if value not in ([], {})},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            **ids,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def with_fields(pod: Mapping[str, Any], template: PodTemplate, counted: Mapping[str, str]) -> dict[str, Any]:
    """A pod's spec as the API server holds it, with the fields that follow from a template in the place of its own."""
    others = {field: value for field, value in pod.items() if field not in POD_FIELDS | _DERIVED}
    return {**others, **pod_fields(template, counted)}


def template_in(deployment: Body) -> PodTemplate:
    """What is said of the pods of a Deployment, read back from the template of its pods."""
    template: Mapping[str, Any] = deployment["spec"]["template"]
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    metadata = {
        field: {
            key: value
            for key, value in (meta.get(field) or {}).items()
            if key != MANAGED_BY and not re.search(OWN_KEY, key)
        }
        for field in ("labels", "annotations")
    }
    fields = {field: spec[field] for field in POD_FIELDS if spec.get(field)}
    if fields.get("schedulerName") == "default-scheduler":
        del fields["schedulerName"]
    counted = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    if constraints := fields.get("topologySpreadConstraints"):
        fields["topologySpreadConstraints"] = [_as_said(each, counted) for each in constraints]
    named = {field: value for field, value in metadata.items() if value}
    return read_valid(PodTemplate, {**({"metadata": named} if named else {}), "spec": fields})


def _as_said(constraint: Mapping[str, Any], counted: Mapping[str, str]) -> Mapping[str, Any]:
    """A constraint without the selector that it was given as it had none."""
    if constraint.get("labelSelector") != {"matchLabels": counted}:
        return constraint
    return {field: value for field, value in constraint.items() if field != "labelSelector"}


def said_in(deployment: Body) -> PodTemplate | None:
    """What the spec said of the pods of a Deployment when it was made; None if nothing."""
    try:
        return PodTemplate.model_validate_json(annotations_of(deployment).get(SAID) or "null")
    except ValidationError:
        return None


def said(template: PodTemplate | None) -> dict[str, str]:
    """The annotation of a Deployment with what the spec says of its pods."""
    return {} if template is None else {SAID: json.dumps(_plain(template), sort_keys=True)}


def queue_labels(body: Body) -> dict[str, str]:
    """The labels of a TrainingJob that are for Kueue."""
    return {key: value for key, value in labels(body).items() if key.startswith(KUEUE)}


def queue_of(job: Body) -> str | None:
    """The queue that a Job waits in, or came through; None if it has none."""
    return labels(job).get(QUEUE)


def pods_hash(template: PodTemplate, queue: Mapping[str, str]) -> dict[str, str]:
    """The annotation of a Job that shows whether the same would be said of its pods and its queue by now."""
    text = json.dumps({"template": _plain(template), "queue": dict(queue)}, sort_keys=True)
    return {PODS_HASH: sha256(text.encode()).hexdigest()[:16]}


def has_other_pods(job: Body, template: PodTemplate, queue: Mapping[str, str]) -> bool:
    """True if by now something else is said of the pods of a Job, or of its queue. Of the Job of an earlier release
    that is not known."""
    known = annotations_of(job).get(PODS_HASH)
    return known is not None and known != pods_hash(template, queue)[PODS_HASH]


def _plain(template: PodTemplate) -> dict[str, Any]:
    return template.model_dump(mode="json", by_alias=True, exclude_none=True)
