"""What is known of a model file for good: found once, by the run that made it or by the Job that verifies it.

A ModelVersion's spec never changes, so neither do its facts: they are kept in its status and read from there ever
after. What may change is in aspects.py. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from modelwright.api.modelversion import Metric, ModelVersionStatus
from modelwright.common.conditions import Aspect
from modelwright.common.report import FileReport, first_fault
from modelwright.workload.podstatus import Problem

ARTIFACT_VERIFIED = "ArtifactVerified"
# The fields of the status that hold facts.
DETAILS = ("task", "signature", "metrics", "parity")

_STATUSES = {"True": True, "False": False}


@dataclass(frozen=True)
class Facts:
    """`verified`: whether the file is what the spec says, or, if that is unknown, why it can never be served.
    `details`: the fields of the status that describe the model."""

    verified: Aspect
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether the file can be served."""
        return self.verified.status is True


def recalled(status: Mapping[str, Any]) -> Facts | None:
    """The facts that the status holds; None if nothing has been found out yet. They are taken as they are: another
    release may have written them."""
    found = (c for c in status.get("conditions") or () if c["type"] == ARTIFACT_VERIFIED)
    known = next(found, None)
    if known is None:
        return None
    verified = Aspect(ARTIFACT_VERIFIED, _STATUSES.get(known["status"]), known["reason"], known["message"])
    return Facts(verified, {name: status[name] for name in DETAILS if name in status})


def of_run(run: Mapping[str, Any], digest: str) -> Facts | None:
    """What the publisher of a run found; None if the run made no file with this digest, or has kept no report."""
    if run.get("state") != "Succeeded" or run.get("digest") != digest or "report" not in run:
        return None
    verified = Aspect(
        ARTIFACT_VERIFIED, True, "Published", "the publisher verified the file after the upload"
    )
    try:
        return Facts(verified, _details(run["report"], "Measured"))
    except ValidationError:
        return None


def of_verification(report: Mapping[str, Any]) -> Facts:
    """What the Job found that verified the file."""
    verified = Aspect(ARTIFACT_VERIFIED, True, "Verified", "the file has the digest and is a model that runs")
    try:
        return Facts(verified, _details(report, "Reported"))
    except ValidationError as error:
        message = f"the report of the model file is unexpected at {first_fault(error)}"
        return rejected(Problem("ResultUnreadable", message))


def rejected(problem: Problem) -> Facts:
    """A file that can never be served as this ModelVersion."""
    other = problem.reason == "DigestMismatch"
    return Facts(Aspect(ARTIFACT_VERIFIED, False if other else None, problem.reason, problem.message))


def _details(report: Mapping[str, Any], source: Literal["Measured", "Reported"]) -> Mapping[str, Any]:
    found = FileReport.model_validate(report)
    # One value per name, as the list of the CRD has it: a report that somebody else wrote may name one twice.
    metrics = {metric.name: metric.value for metric in found.metrics}
    described = ModelVersionStatus(
        task=found.task,
        signature=found.signature,
        metrics=[Metric(name=name, value=value, source=source) for name, value in metrics.items()],
        parity=found.parity,
    )
    return described.model_dump(mode="json", by_alias=True, exclude_none=True, include=set(DETAILS))
