"""Kubernetes timestamps: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def to_timestamp(moment: datetime) -> str:
    """Returns the time as a Kubernetes timestamp."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_timestamp_of(seconds: float) -> str:
    """Returns the time so many seconds after the beginning of 1970 as a Kubernetes timestamp."""
    return to_timestamp(datetime.fromtimestamp(seconds, UTC))


def from_timestamp(text: str) -> datetime:
    """Returns the time of a Kubernetes timestamp. Raises ValueError for any other text."""
    return datetime.fromisoformat(text)
