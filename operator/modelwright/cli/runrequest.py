"""A request for a run of a TrainingJob: how it is written, and what has become of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.api.runrequests import ANNOTATION, REQUESTED_BY
from modelwright.api.trainingjob import Run
from modelwright.api.triggers import Decision
from modelwright.cli.errors import Refused
from modelwright.view.runs import status_of_job


@dataclass(frozen=True)
class End:
    """The end of a run. `good`: it made a model, or there was nothing to train."""

    good: bool
    sentence: str


def patch(job: Mapping[str, Any], token: str, user: str | None) -> dict[str, Any]:
    """Returns the merge patch that writes the request and its author. It fits only the object as it was read."""
    metadata = job["metadata"]
    if metadata.get("deletionTimestamp"):
        raise Refused(f"{metadata['name']} is being deleted")
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {ANNOTATION: token, REQUESTED_BY: user},
        }
    }


def decision(job: Mapping[str, Any], token: str) -> Decision | None:
    """Returns the operator's decision on a request; None while there is none. Refused if another request has replaced
    it."""
    triggers = status_of_job(job).triggers
    kept: tuple[Decision | None, ...] = ()
    if triggers is not None:
        kept = (triggers.last_decision, *(triggers.history or ()))
    for each in kept:
        if each is not None and each.evidence is not None and each.evidence.token == token:
            return each
    written = (job["metadata"].get("annotations") or {}).get(ANNOTATION)
    if written != token:
        raise Refused(f"another request has taken its place: {written or 'none'}")
    return None


def end(job: Mapping[str, Any], number: int) -> End | None:
    """Returns the end of a run; None while it goes on. Refused if it is not remembered any more."""
    status = status_of_job(job)
    run = next((each for each in (status.run, *status.history) if each and each.number == number), None)
    if run is None:
        raise Refused(f"nothing is known of run {number} any more")
    if run.completion_time is None:
        return None
    return End(run.state in {"Succeeded", "Skipped"}, _sentence(job, run))


def _sentence(job: Mapping[str, Any], run: Run) -> str:
    """What has become of a run, with what Ready says if it is the newest one."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    ready: Mapping[str, Any] = next((each for each in conditions if each.get("type") == "Ready"), {})
    newest = ((job.get("status") or {}).get("run") or {}).get("number") == run.number
    if newest and ready.get("message"):
        return f"{run.state}: {ready['message']}"
    return f"{run.state}: {run.message or run.model_version or run.reason or 'no reason given'}"
