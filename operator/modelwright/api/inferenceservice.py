"""InferenceService: a promise about traffic. Serves a ModelVersion and replaces it without a failed request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelwright.api.base import (
    Artifact,
    Label,
    Message,
    Model,
    Name,
    Reason,
    ResourceRequirements,
    Status,
    Timestamp,
    name_rule,
    rule,
    rules,
)

# Deployments are named NAME-HASH, their pods get a suffix more, and labels hold 63 characters at most.
NAME_LENGTH = 44


class ServedModel(Model):
    """Which model is served."""

    model_config = rules(
        rule("has(self.version) != has(self.name)", "set exactly one of version and name"),
        rule(
            "has(self.name) == has(self.track)", "name and track go together: {name: FAMILY, track: Latest}"
        ),
    )

    version: Name | None = Field(default=None, description="A ModelVersion, by name.")
    name: Label | None = Field(default=None, description="A family of ModelVersions, by its model name.")
    track: Literal["Latest"] | None = Field(
        default=None, description="Latest: the newest version of the family that is Ready."
    )


class Rollout(Model):
    """How a new revision takes over."""

    strategy: Literal["Replace"] = Field(
        default="Replace",
        description="Replace: the new revision starts beside the old one, takes over when all of it is ready, "
        "and the old one goes after scaleDownDelaySeconds.",
    )
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = Field(
        default=600, description="How long a new revision may take to become ready before it is given up."
    )
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=30, description="How long the old revision keeps running after the new one took over."
    )


class InferenceServiceSpec(Model):
    """What is promised."""

    model: ServedModel = Field(description="Which model is served.")
    replicas: Annotated[int, Field(ge=0, le=1000)] = Field(default=1, description="Pods that serve.")
    resources: ResourceRequirements | None = Field(
        default=None, description="Compute resources of the server. Default: the operator's."
    )
    rollout: Rollout = Field(default=Rollout(), description="How a new revision takes over.")


class Revision(Model):
    """A model in a shape of pod: what one Deployment runs."""

    revision: Label = Field(description="Hash of the model's digest and the shape of the pod.")
    version: Name = Field(description="The ModelVersion.")
    artifact: Artifact = Field(
        description="The model file, so that it is served even when the ModelVersion is gone."
    )
    image: Annotated[str, Field(max_length=512)] = Field(description="Image of the server.")
    resources: ResourceRequirements | None = Field(
        default=None, description="Compute resources of the server."
    )
    replicas: int | None = Field(default=None, ge=0, description="Pods asked for.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods that are ready.")


class StableRevision(Revision):
    """The revision that has the traffic."""


class CanaryRevision(Revision):
    """The revision on its way to become stable."""

    state: Literal["Progressing", "Failed"] = Field(description="Failed: given up until the spec changes.")
    since: Timestamp = Field(description="When it was started.")
    generation: int = Field(ge=0, description="Generation of the spec that started it.")
    reason: Reason | None = Field(default=None, description="Why it failed, in one word.")
    message: Message | None = Field(default=None, description="Why it failed, in a sentence.")


class RetiredRevision(Model):
    """The revision that had the traffic before and still runs."""

    revision: Label = Field(description="Its hash.")
    version: Name = Field(description="The ModelVersion.")
    until: Timestamp = Field(description="When its pods go.")


class InferenceServiceStatus(Status):
    """What is served."""

    url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Where the model answers (Open Inference Protocol V2) inside the cluster."
    )
    replicas: int | None = Field(
        default=None, ge=0, description="Pods that are ready to serve the stable revision."
    )
    stable: StableRevision | None = Field(default=None, description="The revision that has the traffic.")
    canary: CanaryRevision | None = Field(
        default=None, description="The revision on its way to become stable."
    )
    retired: RetiredRevision | None = Field(
        default=None, description="The revision before, until its pods go."
    )


NAME_RULE = name_rule(NAME_LENGTH, "Deployments are named after it")
