"""Clauses for messages about a revision that requests do not reach: why, and which flow to allow. Pure."""

from __future__ import annotations

from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.manifests.names import HTTP_PORT

_UNREACHABLE = "Unreachable"


def unreachable(measured: StepCounts) -> str | None:
    """The clause if most faults of the judged revision are connections that could not be made; else None."""
    count = measured.delegated.get(_UNREACHABLE, 0) + measured.shadowed.get(_UNREACHABLE, 0)
    if not count or 2 * count < measured.faults:
        return None
    return (
        "its pods cannot be connected to: NetworkPolicies have to let the stable revision's pods reach their port "
        f"{HTTP_PORT}"
    )


def unasked(measured: StepCounts) -> str | None:
    """The clause if no request has reached the judged revision; else None."""
    if measured.requests:
        return None
    if measured.stable_answered:
        return "the stable revision has had requests, and this one none"
    return "no request has come"
