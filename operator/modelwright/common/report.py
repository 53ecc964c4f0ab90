"""The reports of steps, as far as a status holds them. Their schema is docs/contracts/step.schema.json."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, ValidationError

from modelwright.api.base import Artifact, Digest, Model, Signature, Task
from modelwright.api.modelversion import Libraries, Parity


class MetricReport(Model):
    """A reported metric."""

    name: Annotated[str, Field(max_length=128)]
    value: FiniteFloat


class Rows(Model):
    """The number of rows in each part of the data."""

    train: int | None = None
    holdout: int | None = None


class FetchReport(Model):
    """The report of fetch about the data."""

    digest: Digest | None = None
    rows: Rows = Rows()


class FileReport(Model):
    """The report of any step about a model file that it has read."""

    task: Task | None = None
    metrics: Annotated[list[MetricReport], Field(max_length=64)] = Field(default_factory=list)
    parity: Parity | None = None
    signature: Signature


class PublishReport(Model):
    """The report of the publisher."""

    artifact: Artifact
    task: Task
    metrics: Annotated[list[MetricReport], Field(max_length=64)]
    parity: Parity
    signature: Signature
    libraries: Libraries


def first_fault(error: ValidationError) -> str:
    """Returns the path and message of the first violation of the contract."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'its root'}: {fault['msg']}"
