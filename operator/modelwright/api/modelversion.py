"""ModelVersion: an immutable fact about a model file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from modelwright.api.base import (
    Artifact,
    Code,
    Digest,
    FreeForm,
    Label,
    Model,
    Name,
    Signature,
    Status,
    Task,
    Timestamp,
    name_rule,
    rule,
    rules,
)

# The Job that verifies the file is named NAME-verify, of at most 63 characters.
NAME_LENGTH = 56

Libraries = Annotated[dict[str, Annotated[str, Field(max_length=64)]], Field(max_length=64)]


class DataSource(Model):
    """Data that went into the model."""

    uri: Annotated[str, Field(max_length=1024)] = Field(description="Source.")
    digest: Digest | None = Field(default=None, description="sha256 of the source's bytes.")


class StepImage(Model):
    """An image that took part, as the kubelet ran it."""

    step: Annotated[str, Field(max_length=64)] = Field(description="Step of the run.")
    image: Annotated[str, Field(max_length=512)] = Field(description="Image as asked for.")
    image_id: Annotated[str, Field(max_length=512)] | None = Field(
        default=None, alias="imageID", description="Digest of the image, as the kubelet reports it."
    )


class Lineage(Model):
    """Where the model comes from: running it again with the same inputs gives the same digest."""

    training_job: Label | None = Field(default=None, description="TrainingJob that made it.")
    run: Annotated[int, Field(ge=1)] | None = Field(default=None, description="Number of the run.")
    completion_time: Timestamp | None = Field(
        default=None,
        description="When the model was finished. It orders the versions of a family for track: Latest, and survives a "
        "backup. Default: metadata.creationTimestamp. Of one TrainingJob, the higher run is always the newer.",
    )
    images: Annotated[list[StepImage], Field(max_length=8)] | None = Field(
        default=None, description="Images."
    )
    code: Code | None = Field(default=None, description="Source code.")
    data: Annotated[list[DataSource], Field(max_length=16)] | None = Field(default=None, description="Data.")
    estimator: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="scikit-learn class that was trained."
    )
    parameters: Annotated[FreeForm, Field(max_length=64)] | None = Field(
        default=None, description="Parameters of the estimator."
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Seed of the training.")
    libraries: Libraries | None = Field(
        default=None, description="Versions of the libraries that trained and scored it."
    )
    parent: Name | None = Field(default=None, description="ModelVersion that it was made from.")


class ModelVersionSpec(Model):
    """The fact. It never changes."""

    model_config = rules(
        rule(
            "self == oldSelf",
            "spec is immutable: a ModelVersion is a fact; write a new one with another name",
        ),
    )

    model: Label = Field(description="Family that this is a version of.")
    artifact: Artifact = Field(description="The model file.")
    lineage: Lineage | None = Field(default=None, description="Where the model comes from.")


class Metric(Model):
    """A number that says how good the model is."""

    name: Annotated[str, Field(max_length=128)] = Field(
        description="scikit-learn's name: accuracy, roc_auc, rmse, ..."
    )
    value: FiniteFloat = Field(description="The number.")
    source: Literal["Measured", "Reported"] = Field(
        description="Measured: on the hold-out, by the publisher, in ONNX Runtime. Reported: read from a file."
    )


class Parity(Model):
    """Whether ONNX Runtime answers what the trainer's own library predicts."""

    verdict: Literal["Pass", "Fail", "Skipped"] = Field(
        description="Skipped: the trainer left no predictions."
    )
    compared: int | None = Field(default=None, ge=0, description="Rows compared.")
    label_mismatches: int | None = Field(
        default=None, ge=0, description="Rows with another label, ties left out."
    )
    ties: int | None = Field(
        default=None, ge=0, description="Rows whose two best classes are equally likely."
    )
    max_difference: FiniteFloat | None = Field(
        default=None,
        ge=0,
        description="Largest difference: of probabilities, or of values in units of their spread.",
    )


class ModelVersionStatus(Status):
    """What was found out about the model file."""

    task: Task | None = Field(default=None, description="What the model does.")
    signature: Signature | None = Field(default=None, description="What the model takes and gives.")
    metrics: Annotated[
        list[Metric],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default=[], description="How good the model is.")
    parity: Parity | None = Field(default=None, description="ONNX Runtime against the trainer's library.")


NAME_RULES = (name_rule(NAME_LENGTH, "Jobs are named after it"),)
