"""What the status of a TrainingJob says of its runs and triggers, also if another release wrote it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.api.trainingjob import TrainingJobStatus
from modelwright.common.reading import read_valid


def status_of_job(job: Mapping[str, Any]) -> TrainingJobStatus:
    """Returns the status of a TrainingJob, as far as it can be read."""
    return read_valid(TrainingJobStatus, job.get("status") or {})
