"""The revisions of an InferenceService by their roles (stable, canary, retired). Plain data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from modelwright.api.base import ResourceRequirements
from modelwright.api.inferenceservice import (
    CanaryRevision,
    Decision,
    Rejection,
    RetiredRevision,
    Revision,
    ServerOptions,
    StableRevision,
)
from modelwright.api.monitoring import FeedbackKeys
from modelwright.api.podtemplate import PodTemplate
from modelwright.api.stores import Store
from modelwright.engine.objects import Body, annotations_of

HASH_LENGTH = 10
# The fields of `Revision` that do not depend on its role.
SHAPE = {
    "revision", "version", "artifact", "image", "resources", "server", "feedback", "pod_template",
    "merged_pod_template",
}  # fmt: skip

# The volume of a pod with the keys for feedback.
FEEDBACK_VOLUME = "feedback"
# Marks the Deployment of a canary that was given up: one of its pods is kept for its log.
KEPT = "modelwright.dev/kept-for-logs"


def is_kept(deployment: Body) -> bool:
    """True if a Deployment is only kept for its log."""
    return KEPT in annotations_of(deployment)


def shape(revision: Revision) -> dict[str, Any]:
    """The fields that a revision keeps when its role changes: those of Revision without the counts of pods."""
    return revision.model_dump(include=SHAPE)


@dataclass(frozen=True)
class Beside:
    """What else a revision is named by, where there is any.

    `store`: as the ModelVersion has it. `pod_template`: as the spec has it. What an administrator says of stores and of
    pods makes no other revision.
    """

    store: Store | None = None
    feedback: FeedbackKeys | None = None
    pod_template: PodTemplate | None = None


def revision_name(
    digest: str,
    version: str,
    image: str,
    resources: ResourceRequirements | None,
    server: ServerOptions | None = None,
    beside: Beside | None = None,
) -> str:
    """The name of the revision that serves a model in pods of this image, resources and options: a hash of all."""
    also = beside or Beside()
    shape: dict[str, Any] = {
        "digest": digest,
        "version": version,
        "image": image,
        "resources": _given(resources),
    }
    if options := _given(server):  # without any, the name is that of the releases that had none
        shape["server"] = options
    if also.store is not None:
        shape["store"] = _given(also.store)
    if also.feedback is not None:
        shape["feedback"] = _given(also.feedback)
    if template := _said(also.pod_template):
        shape["podTemplate"] = template
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:HASH_LENGTH]


def _said(template: PodTemplate | None) -> dict[str, Any]:
    """What a template says; empty if it has parts that say nothing."""
    said = {} if template is None else template.model_dump(mode="json", exclude_none=True)
    return {part: fields for part, fields in said.items() if fields}


def _given(part: ResourceRequirements | ServerOptions | Store | FeedbackKeys | None) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_none=True) if part is not None else {}


def is_same_but_image(one: Revision, other: Revision) -> bool:
    """True if two revisions serve the same model from the same store, with the same resources and options, in pods
    that may differ in the image.

    Compares names and resources, as either may be unreliable: resources that were read from a Deployment are written in
    the API server's way, and another release may have made names in another way.
    """
    digest, store = other.artifact.digest, other.artifact.store
    if (one.version, one.artifact.digest) != (other.version, digest):
        return False
    beside = Beside(store, other.feedback, other.pod_template)
    same = revision_name(digest, other.version, one.image, other.resources, other.server, beside)
    alike = (
        one.resources, _given(one.server), one.artifact.store, one.feedback, _said(one.pod_template),
    ) == (
        other.resources, _given(other.server), store, other.feedback, _said(other.pod_template),
    )  # fmt: skip
    return one.revision == same or alike


@dataclass(frozen=True)
class Revisions:
    """The revisions by their roles, the rejections, and what this reconcile decided.

    `handled`: the token of the request that was carried out, or refused with the message `refused`.
    """

    stable: StableRevision | None = None
    canary: CanaryRevision | None = None
    retired: RetiredRevision | None = None
    rejected: tuple[Rejection, ...] = ()
    decision: Decision | None = None
    handled: str | None = None
    refused: str | None = None

    @property
    def starting(self) -> CanaryRevision | None:
        """The canary, unless it has failed."""
        return self.canary if self.canary is not None and self.canary.state != "Failed" else None

    @property
    def answering(self) -> Revision | None:
        """The revision that the Service selects.

        The stable one, unless the canary stands in for it. The first revision has its Service from the start, so that
        the nodes know it by the time that a pod is ready.
        """
        starting = self.starting
        stands_in = starting is not None and starting.stand_in_since is not None
        return starting if stands_in else self.stable or starting

    @property
    def baked_against(self) -> RetiredRevision | None:
        """The revision before the one that bakes; None if none bakes."""
        bakes = self.stable is not None and self.stable.bake_until is not None
        return self.retired if bakes and self.retired is not None and not self.retired.undone else None

    @property
    def kept(self) -> CanaryRevision | None:
        """The canary that failed before it had any traffic: one of its pods stays, so that its log can be read.

        It stays until the spec wants another revision, or it is retried. An aborted canary does not stay.
        """
        canary = self.canary
        if (
            canary is None
            or canary.state != "Failed"
            or canary.step is not None
            or canary.reason == "Aborted"
        ):
            return None
        return None if canary.revision in self.running else canary

    @property
    def others(self) -> set[str]:
        """The revisions that have pods, but the retired one."""
        revisions = (self.stable, self.starting)
        return {revision.revision for revision in revisions if revision is not None}

    @property
    def running(self) -> set[str]:
        """The revisions that have pods."""
        return self.others | ({self.retired.revision} if self.retired is not None else set())
