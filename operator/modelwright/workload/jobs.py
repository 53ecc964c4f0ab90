"""Reads Jobs: how one ended, and how long that waits for what its pods say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from modelwright.common.conditions import standing
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body

# A Job and its pods come by different watches: how long the end of a Job waits for the words of its pods.
PODS_LAG = timedelta(seconds=20)


def due(condition: Mapping[str, Any]) -> datetime:
    """Until when the end of a Job waits for its pods."""
    return from_timestamp(str(condition["lastTransitionTime"])) + PODS_LAG


def end_is_due(job: Body) -> datetime | None:
    """When to give up waiting for the pods of a Job that ended; None while it has not."""
    end = standing(job, "Complete") or standing(job, "Failed")
    return due(end) if end else None
