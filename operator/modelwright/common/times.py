"""Kubernetes timestamps: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def to_timestamp(moment: datetime) -> str:
    """Returns the time as a Kubernetes timestamp."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_timestamp(text: str) -> datetime:
    """Returns the time of a Kubernetes timestamp. Raises ValueError for any other text."""
    return datetime.fromisoformat(text)
