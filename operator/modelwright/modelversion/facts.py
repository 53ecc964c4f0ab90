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
from modelwright.modelversion.score import score
from modelwright.workload.podstatus import Problem

ARTIFACT_VERIFIED = "ArtifactVerified"
# The fields of the status that hold facts.
DETAILS = ("task", "signature", "score", "metrics", "evaluation", "parity")

_STATUSES = {"True": True, "False": False}


@dataclass(frozen=True)
class Facts:
    """The facts about a model file.

    `verified`: the condition ArtifactVerified, which is Unknown if the file can never be served for another reason
    than a wrong digest. `details`: the fields of the status that describe the model.
    """

    verified: Aspect
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def servable(self) -> bool:
        """True if the file can be served."""
        return self.verified.status is True


def short_digest(digest: str) -> str:
    """Returns the first twelve digits of a digest, for people."""
    return digest.removeprefix("sha256:")[:12]


def facts_in_status(status: Mapping[str, Any]) -> Facts | None:
    """Returns the facts in a status; None if it has none yet. They are not validated: another release may have written
    them."""
    conditions = (c for c in status.get("conditions") or () if c["type"] == ARTIFACT_VERIFIED)
    condition = next(conditions, None)
    if condition is None:
        return None
    verified = Aspect(
        ARTIFACT_VERIFIED, _STATUSES.get(condition["status"]), condition["reason"], condition["message"]
    )
    return Facts(verified, {name: status[name] for name in DETAILS if name in status})


def facts_of_run(run: Mapping[str, Any], digest: str) -> Facts | None:
    """Returns the facts from the report of a run; None if the run made no file with this digest, or has no report."""
    if run.get("state") != "Succeeded" or run.get("digest") != digest or "report" not in run:
        return None
    verified = Aspect(
        ARTIFACT_VERIFIED, True, "Published", "the publisher verified the file after the upload"
    )
    try:
        return Facts(verified, _details(run["report"], "Measured"))
    except ValidationError:
        return None


def facts_of_verification(report: Mapping[str, Any]) -> Facts:
    """Returns the facts from the report of the Job that verified the file."""
    verified = Aspect(ARTIFACT_VERIFIED, True, "Verified", "the file has the digest and is a model that runs")
    try:
        return Facts(verified, _details(report, "Reported"))
    except ValidationError as error:
        message = f"the report of the model file is unexpected at {first_fault(error)}"
        return facts_of_failure(Problem("ResultUnreadable", message))


def facts_of_failure(problem: Problem) -> Facts:
    """Returns the facts about a file that can never be served as this ModelVersion."""
    is_other_file = problem.reason == "DigestMismatch"
    return Facts(Aspect(ARTIFACT_VERIFIED, False if is_other_file else None, problem.reason, problem.message))


def _details(report: Mapping[str, Any], source: Literal["Measured", "Reported"]) -> Mapping[str, Any]:
    """The fields of the status, from the report of a step."""
    file = FileReport.model_validate(report)
    # The list in the CRD has the name as its key; a report may have a name twice.
    metrics = {metric.name: metric for metric in file.metrics}
    status = ModelVersionStatus(
        task=file.task,
        signature=file.signature,
        metrics=[Metric(source=source, **dict(metric)) for metric in metrics.values()],
        evaluation=file.evaluation,
        parity=file.parity,
    )
    status = status.model_copy(update={"score": score(status)})
    return status.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(DETAILS))
