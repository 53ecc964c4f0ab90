"""The reports of steps, as far as a status holds them. Their schema is docs/contracts/step.schema.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, ValidationError

from modelwright.api.base import ClassLabel, Digest, Model, Reason, Signature, Task
from modelwright.api.modelversion import DvcFile, Evaluation, Fairness, Importance, Libraries, Parity
from modelwright.api.stores import Artifact
from modelwright.api.triggers import Marker

# More rows than there are anywhere. The API server holds the numbers that follow from it, too.
MOST_ROWS = 10**12


class MetricReport(Model):
    """A metric, as a step reports it."""

    name: Annotated[str, Field(max_length=128)]
    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    baseline: FiniteFloat | None = None
    positive_class: ClassLabel | None = None
    # Reported: a number of the trainer's own. Absent: as the step found it.
    source: Literal["Measured", "Reported"] | None = None


class GateEvidence(Model):
    """What a step measured for a gate. The verdict is not its own: `checks.gates` judges."""

    name: Annotated[str, Field(max_length=63)]
    metric: Annotated[str, Field(max_length=128)]
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    measured: FiniteFloat | None = None
    reference: FiniteFloat | None = None
    # The name of the ModelVersion that it was compared with, or Baseline.
    against: Annotated[str, Field(max_length=256)] | None = None
    samples: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None
    # Of the smallest group, where groups are compared.
    smallest: Annotated[int, Field(ge=0, le=MOST_ROWS)] | None = None
    source: Literal["Measured", "Reported"] = "Measured"
    # Why there is no value, in one CamelCase word and in a sentence; or, beside a value, what a reader should know.
    reason: Reason | None = None
    message: Annotated[str, Field(max_length=1024)] | None = None


class Rows(Model):
    """The number of rows in each part of the data."""

    train: int | None = None
    holdout: int | None = None


class FetchReport(Model):
    """The report of fetch about the data."""

    digest: Digest | None = None
    # Of all that was read; of data with a hold-out of its own that is another one than `digest`.
    input_digest: Digest | None = None
    marker: Marker | None = None
    rows: Rows = Rows()
    dvc: DvcFile | None = None
    notes: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)


# sha256 of the PEM of a public key, in hexadecimal digits.
KeyHint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# As many gates as a ModelVersion may have, and the default ones.
Evidence = Annotated[list[GateEvidence], Field(max_length=36)]


class FileReport(Model):
    """The report of any step about a model file that it has read."""

    task: Task | None = None
    metrics: Annotated[list[MetricReport], Field(max_length=64)] = Field(default_factory=list)
    evaluation: Evaluation | None = None
    parity: Parity | None = None
    gates: Evidence = Field(default_factory=list)
    importance: Annotated[list[Importance], Field(max_length=20)] = Field(default_factory=list)
    fairness: Annotated[list[Fairness], Field(max_length=8)] = Field(default_factory=list)
    signature: Signature
    signed_by: KeyHint | None = None


class PublishReport(Model):
    """The report of the publisher."""

    artifact: Artifact
    task: Task
    metrics: Annotated[list[MetricReport], Field(max_length=64)]
    evaluation: Evaluation | None = None
    parity: Parity
    gates: Evidence = Field(default_factory=list)
    importance: Annotated[list[Importance], Field(max_length=20)] = Field(default_factory=list)
    fairness: Annotated[list[Fairness], Field(max_length=8)] = Field(default_factory=list)
    signature: Signature
    libraries: Libraries
    signed_by: KeyHint | None = None


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
