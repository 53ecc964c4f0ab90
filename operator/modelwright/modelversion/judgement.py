"""Whether a sound model file may be served: what its gates found, and what people say of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from modelwright.common import conditions
from modelwright.common.conditions import Summary
from modelwright.modelversion.gates import (
    DEFAULTS,
    GATE_FAILED,
    GATE_INCONCLUSIVE,
    Judged,
    open_gates,
    stands,
)
from modelwright.modelversion.observed import Observed


def judgement(observed: Observed, gates: Sequence[Judged]) -> Summary | None:
    """Returns what keeps the version from being Ready; None if nothing does."""
    if unfulfilled := open_gates(gates):
        return _held_back(observed, unfulfilled)
    return None


def _held_back(observed: Observed, unfulfilled: Sequence[Judged]) -> Summary:
    """The summary of a version whose gates do not let it through."""
    remedy = f"to let it through: modelwright approve {observed.name} --override --reason ..."
    job = (observed.spec.get("lineage") or {}).get("trainingJob")
    if job and all(each.status.name in DEFAULTS for each in unfulfilled):
        remedy += f", or defaultGates: Disabled in TrainingJob {job} for its next runs"
    message = f"{stands(unfulfilled)}; {remedy}"
    if unfulfilled[0].status.verdict == "Fail":
        return conditions.stalled(GATE_FAILED, message)
    if any(each.status.on_inconclusive == "Reject" for each in unfulfilled):
        return conditions.stalled(GATE_INCONCLUSIVE, message)
    return conditions.waiting(GATE_INCONCLUSIVE, message)
