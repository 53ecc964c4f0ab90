"""The reports of steps, as far as a status holds them. Their schema is docs/contracts/step.schema.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, ValidationError

from modelwright.api.base import Artifact, ClassLabel, Digest, Model, Signature, Task
from modelwright.api.modelversion import Evaluation, Libraries, Parity


class MetricReport(Model):
    """A metric, as a step reports it."""

    name: Annotated[str, Field(max_length=128)]
    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    baseline: FiniteFloat | None = None
    positive_class: ClassLabel | None = None


class Rows(Model):
    """The number of rows in each part of the data."""

    train: int | None = None
    holdout: int | None = None


class FetchReport(Model):
    """The report of fetch about the data."""

    digest: Digest | None = None
    rows: Rows = Rows()
    notes: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)


class FileReport(Model):
    """The report of any step about a model file that it has read."""

    task: Task | None = None
    metrics: Annotated[list[MetricReport], Field(max_length=64)] = Field(default_factory=list)
    evaluation: Evaluation | None = None
    parity: Parity | None = None
    signature: Signature


class PublishReport(Model):
    """The report of the publisher."""

    artifact: Artifact
    task: Task
    metrics: Annotated[list[MetricReport], Field(max_length=64)]
    evaluation: Evaluation | None = None
    parity: Parity
    signature: Signature
    libraries: Libraries


NOT_COMPARED = "not compared with the trainer's library: no reference.npz"
# A message shows at most this many notes, and this many characters of each.
NOTES, NOTE_LENGTH = 5, 200


def with_notes(message: str, report: Mapping[str, Any], notes: Iterable[str] = ()) -> str:
    """Returns the message with notes about the data, and with those of a model's report or status."""
    evaluation = report.get("evaluation") or {}
    found = [*notes, *(evaluation.get("notes") or ())]
    if (report.get("parity") or {}).get("verdict") == "Skipped":
        found.append(NOT_COMPARED)
    if not found:
        return message
    shown = [note if len(note) <= NOTE_LENGTH else f"{note[:NOTE_LENGTH]}..." for note in found[:NOTES]]
    more = f"; and {len(found) - NOTES} more" if len(found) > NOTES else ""
    return f"{message}; notes: {'; '.join(shown)}{more}"


def first_fault(error: ValidationError) -> str:
    """Returns the path and message of the first violation of the contract."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'its root'}: {fault['msg']}"
