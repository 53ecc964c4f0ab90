"""The facts about a model file. They come once, from the run that made it or from the Job that verifies it. Pure.

The spec of a ModelVersion never changes, so its facts do not either: they are kept in the status and read from there.
Conditions that can change are in aspects.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from modelwright.api.modelversion import Metric, ModelVersionStatus
from modelwright.common.conditions import Aspect
from modelwright.common.report import FileReport, first_fault
from modelwright.modelversion.gates import judged
from modelwright.modelversion.score import score
from modelwright.workload.podstatus import Problem

ARTIFACT_VERIFIED = "ArtifactVerified"
SIGNATURE_VERIFIED = "SignatureVerified"
# Why the signature beside a file does not count.
SIGNATURE_REASONS = frozenset(
    ("SignatureMissing", "SignatureInvalid", "WrongKey", "KeyNotFound", "KeyUnreadable")
)
# The fields of the status that hold facts.
DETAILS = ("task", "signature", "score", "metrics", "evaluation", "parity", "gates", "importance", "fairness")
# The status holds at most this many gates: those of the spec and the default ones come first.
MOST_GATES = 36
# The reason of ArtifactVerified if the publisher of a run verified the file.
PUBLISHED = "Published"

_HOLDS = frozenset(("Signed", "SignatureValid"))
_STATUSES = {"True": True, "False": False}


@dataclass(frozen=True)
class Facts:
    """The facts about a model file.

    `verified`: the condition ArtifactVerified, which is Unknown if the file can never be served for another reason
    than a wrong digest. `details`: the fields of the status that describe the model. `signed`: the condition
    SignatureVerified; None if no signature was made or checked.
    """

    verified: Aspect
    details: Mapping[str, Any] = field(default_factory=dict)
    signed: Aspect | None = None

    @property
    def servable(self) -> bool:
        """True if the file can be served."""
        return self.verified.status is True

    @property
    def by_run(self) -> bool:
        """True if the publisher of the version's run found them, False if it was a Job that verified the file."""
        return self.verified.reason == PUBLISHED


def short_digest(digest: str) -> str:
    """Returns the first twelve digits of a digest, for people."""
    return digest.removeprefix("sha256:")[:12]


def facts_in_status(status: Mapping[str, Any], spec: Mapping[str, Any]) -> Facts | None:
    """Returns the facts in a status; None if it has none yet, or does not say that the signature was checked which the
    spec asks for. They are not validated: another release may have written them."""
    verified, signed = _condition(status, ARTIFACT_VERIFIED), _condition(status, SIGNATURE_VERIFIED)
    if verified is None:
        return None
    facts = Facts(verified, {name: status[name] for name in DETAILS if name in status}, signed)
    unchecked = "verification" in spec and (signed is None or signed.status is not True)
    return None if facts.servable and unchecked else facts


def _condition(status: Mapping[str, Any], kind: str) -> Aspect | None:
    """A condition of a status."""
    found = next((c for c in status.get("conditions") or () if c.get("type") == kind), None)
    if found is None:
        return None
    return Aspect(kind, _STATUSES.get(found["status"]), found["reason"], found["message"])


def facts_of_run(run: Mapping[str, Any], spec: Mapping[str, Any]) -> Facts | None:
    """Returns the facts from the report of a run about the version with this spec; None if the run made no file with
    its digest, or has no report."""
    digest = spec["artifact"]["digest"]
    if run.get("state") != "Succeeded" or run.get("digest") != digest or "report" not in run:
        return None
    verified = Aspect(ARTIFACT_VERIFIED, True, PUBLISHED, "the publisher verified the file after the upload")
    try:
        details, key = _details(run["report"], spec, by_run=True)
    except ValidationError:
        return None
    signed = (
        None if key is None else signature_aspect("Signed", f"the publisher signed it with the key {key}")
    )
    return Facts(verified, details, signed)


def facts_of_verification(report: Mapping[str, Any], spec: Mapping[str, Any]) -> Facts:
    """Returns the facts from the report of the Job that verified the file of the version with this spec."""
    verified = Aspect(ARTIFACT_VERIFIED, True, "Verified", "the file has the digest and is a model that runs")
    try:
        details, key = _details(report, spec, by_run=False)
    except ValidationError as error:
        message = f"the report of the model file is unexpected at {first_fault(error)}"
        return facts_of_failure(Problem("ResultUnreadable", message))
    if "verification" not in spec:
        return Facts(verified, details)
    if key is None:
        message = "the training image of this operator does not check signatures"
        return facts_of_failure(Problem("SignatureInvalid", message))
    return Facts(
        verified,
        details,
        signature_aspect("SignatureValid", f"model.sig beside the file is of the key {key}"),
    )


def facts_of_failure(problem: Problem) -> Facts:
    """Returns the facts about a file that can never be served as this ModelVersion."""
    is_other_file = problem.reason == "DigestMismatch"
    verified = Aspect(ARTIFACT_VERIFIED, False if is_other_file else None, problem.reason, problem.message)
    return Facts(verified, signed=signature_aspect(problem.reason, problem.message))


def signature_aspect(reason: str, message: str) -> Aspect | None:
    """Returns the condition SignatureVerified; None if the reason is not about a signature."""
    if reason in SIGNATURE_REASONS:
        return Aspect(SIGNATURE_VERIFIED, False, reason, message)
    return Aspect(SIGNATURE_VERIFIED, True, reason, message) if reason in _HOLDS else None


def _details(
    report: Mapping[str, Any], spec: Mapping[str, Any], *, by_run: bool
) -> tuple[Mapping[str, Any], str | None]:
    """The fields of the status, from the report of a step, and the key that the file is signed with."""
    file = FileReport.model_validate(report)
    # Without data to score the file on, the Job knows only what a file beside it says.
    source: Literal["Measured", "Reported"] = "Measured" if by_run or spec.get("evaluate") else "Reported"
    # The lists in the CRD have the name as their key; a report may have a name twice.
    metrics = {metric.name: metric for metric in file.metrics}
    status = ModelVersionStatus(
        task=file.task,
        signature=file.signature,
        metrics=[
            Metric(**{**dict(metric), "source": metric.source or source}) for metric in metrics.values()
        ],
        evaluation=file.evaluation,
        parity=file.parity,
        gates=[each.status for each in judged(spec, file.gates, by_run=by_run)][:MOST_GATES],
        importance=file.importance,
        fairness=file.fairness,
    )
    status = status.model_copy(update={"score": score(status)})
    found = status.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(DETAILS))
    # What was not measured is left out; the metrics are there even if there are none.
    details = {name: value for name, value in found.items() if value != [] or name == "metrics"}
    return details, file.signed_by
