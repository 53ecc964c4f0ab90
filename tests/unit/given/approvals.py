"""What people say of a ModelVersion in a test."""

from __future__ import annotations

from typing import Any

from unit.given import words
from unit.given.resources import InferenceService, ModelVersion

from modelwright.common.facts import APPROVALS_POLICY, IN_FORCE

WHY = "reviewed with risk"


def says(version: ModelVersion, by: str = "alice", decision: str = "Approve", **parts: Any) -> ModelVersion:
    """A person approves or rejects a version, and the operator looks before it knows whether this was checked."""
    kept = [entry for entry in version.body["spec"].get("approvals") or () if entry["by"] != by]
    entry = {"by": by, "decision": decision, **parts}
    return version.changes(approvals=[*kept, entry]).settles()


def is_checked(version: ModelVersion, policy: str | None = IN_FORCE) -> ModelVersion:
    """The operator finds out whether the API server checks approvals."""
    version.world.cache.note(version.key, APPROVALS_POLICY, policy)
    return version.settles()


def approves(version: ModelVersion, by: str = "alice", **parts: Any) -> ModelVersion:
    """A person approves a version, and the operator records it."""
    return is_checked(says(version, by, **parts))


def rejects(version: ModelVersion, by: str = "alice", **parts: Any) -> ModelVersion:
    """A person rejects a version, and the operator records it."""
    return is_checked(says(version, by, "Reject", **parts))


def names(service: InferenceService, version: ModelVersion, *letters: str) -> ModelVersion:
    """A service approves these files, and no others; the operator looks at the version."""
    service.changes(approvedDigests=[words.digest(letter) for letter in letters])
    return is_checked(version)
