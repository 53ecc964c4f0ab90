"""What a step reports of a model file: docs/contracts/step.schema.json, as far as it goes into a status."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, ValidationError

from modelwright.api.base import Artifact, Digest, Model, Signature, Task
from modelwright.api.modelversion import Libraries, Parity


class MetricReport(Model):
    """A metric as it is reported."""

    name: Annotated[str, Field(max_length=128)]
    value: FiniteFloat


class Rows(Model):
    """How many rows there are in each part of the data."""

    train: int | None = None
    holdout: int | None = None


class FetchReport(Model):
    """What fetch says of the data."""

    digest: Digest | None = None
    rows: Rows = Rows()


class FileReport(Model):
    """What any step that has read a model file says of it."""

    task: Task | None = None
    metrics: Annotated[list[MetricReport], Field(max_length=64)] = Field(default_factory=list)
    parity: Parity | None = None
    signature: Signature


class PublishReport(Model):
    """What the publisher says."""

    artifact: Artifact
    task: Task
    metrics: Annotated[list[MetricReport], Field(max_length=64)]
    parity: Parity
    signature: Signature
    libraries: Libraries


def first_fault(error: ValidationError) -> str:
    """Where a report is unlike the contract, and how."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'its root'}: {fault['msg']}"
