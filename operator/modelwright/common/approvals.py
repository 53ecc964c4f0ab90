"""What people say of a ModelVersion, as specs have it, and what of it the operator has not recorded yet. Pure.

The operator records a statement in `status.approvals` when it meets it first. Only then does it find out whether the
admission policy of the chart is in force: afterwards that says nothing about the statement any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelwright.common.reading import read_each
from modelwright.engine.objects import Body, name, status_of

# Of the InferenceServices that approve a file, in the order of their names.
MOST_SERVICES = 16
How = Literal["ModelVersion", "InferenceService"]


@dataclass(frozen=True)
class Statement:
    """An approval or a rejection. `by`: a user, or the InferenceService whose spec.approvedDigests names the file."""

    by: str
    how: How
    decision: str
    reason: str | None = None
    override: bool = False


def statements(version: Body, services: Iterable[Body]) -> tuple[Statement, ...]:
    """Returns what is said of a ModelVersion: in its own spec, then in those of InferenceServices of its namespace."""
    digest = version["spec"]["artifact"]["digest"]
    approving = sorted(name(service) for service in services if digest in approved_digests(service))[
        :MOST_SERVICES
    ]
    return (
        *(_statement(entry, "ModelVersion") for entry in version["spec"].get("approvals") or ()),
        *(Statement(service, "InferenceService", "Approve") for service in approving),
    )


def unrecorded(version: Body, services: Iterable[Body]) -> tuple[Statement, ...]:
    """Returns the statements that the status of the ModelVersion does not show as they are now."""
    entries = read_each(
        status_of(version).get("approvals") or (), lambda entry: _statement(entry, entry["how"])
    )
    known = {said for _, said in entries}
    return tuple(each for each in statements(version, services) if each not in known)


def approved_digests(service: Body) -> Iterator[str]:
    """Yields the digests of the model files that an InferenceService approves."""
    yield from service["spec"].get("approvedDigests") or ()


def may_be_unrecorded(version: Body) -> bool:
    """True if an approval of the ModelVersion may not be recorded yet: one of its own, or one that it waits for."""
    waits = (version["spec"].get("approval") or {}).get("required", 0) > 0 and not any(
        condition.get("type") == "Approved" and condition.get("status") == "True"
        for condition in status_of(version).get("conditions") or ()
    )
    return waits or bool(unrecorded(version, ()))


def _statement(entry: Mapping[str, Any], how: How) -> Statement:
    return Statement(
        entry["by"],
        how,
        entry.get("decision", "Approve"),
        entry.get("reason"),
        bool(entry.get("override")),
    )
