"""What the gates of a ModelVersion found. Pure.

Its spec says what it has to hold, so neither a lost status nor a backup without one lets it round a gate: without a
verdict in the status or evidence of a step, a gate is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from modelwright.api.gates import (
    BETTER_THAN_BASELINE,
    NOT_WORSE_THAN_CHAMPION,
    Gate,
    GateStatus,
    OnInconclusive,
)
from modelwright.api.phrases import counted, of_gate
from modelwright.api.rundocument import gates_of_version
from modelwright.checks.gates import judge, passes, unreadable
from modelwright.common.report import GateEvidence, first_fault

# A gate that a step has measured, and that the spec does not have: it was taken out of it.
NOT_IN_SPEC = "NotInSpec"
# A message names at most this many gates, and this many characters of each: the remedy stands behind them.
NAMED, PHRASE_LENGTH = 3, 400
DEFAULTS = frozenset((BETTER_THAN_BASELINE, NOT_WORSE_THAN_CHAMPION))
_FIELDS = frozenset(field.alias or name for name, field in Gate.model_fields.items())


@dataclass(frozen=True)
class Judged:
    """A gate with its verdict. `gate`: None if this release cannot read it, or the spec does not have it."""

    gate: Gate | None
    status: GateStatus

    @property
    def passes(self) -> bool:
        """True if it does not keep the version from being Ready."""
        return passes(self.status)

    @property
    def is_allowed(self) -> bool:
        """True if it is inconclusive, and that is allowed."""
        return self.passes and self.status.verdict == "Inconclusive"

    @property
    def written(self) -> dict[str, Any]:
        """Its verdict as the status holds it."""
        return self.status.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def phrase(self) -> str:
        """Its name and its numbers."""
        status = self.status
        numbers = (status.message or status.reason) if self.gate is None else of_gate(self.gate, status)
        shown = numbers if len(numbers) <= PHRASE_LENGTH else f"{numbers[:PHRASE_LENGTH]}..."
        return f"{status.name} ({shown})"


def judged(spec: Mapping[str, Any], evidence: Iterable[GateEvidence], *, by_run: bool) -> tuple[Judged, ...]:
    """Returns the verdicts on all gates of a version. `evidence`: of the step that measured its file.

    `by_run`: True if that was the publisher of its run, False if it was the Job that verifies the file.
    """
    found = {each.name: each for each in evidence}
    demands = gates_of_version(spec)
    verdicts = [_judged(spec, demand, found.get(demand["name"]), by_run=by_run) for demand in demands]
    unknown = sorted(found.keys() - {demand["name"] for demand in demands})
    return (*verdicts, *(_not_in_spec(found[name]) for name in unknown))


def judged_in_status(
    spec: Mapping[str, Any], written: Iterable[object], *, by_run: bool
) -> tuple[Judged, ...]:
    """Returns the verdicts as `status.gates` holds them; inconclusive where it holds none that can be read."""
    found = {status.name: status for status in map(_readable, written) if status is not None}
    verdicts = []
    for unmeasured in judged(spec, (), by_run=by_run):
        known = found.pop(unmeasured.status.name, None)
        if known is None or unmeasured.gate is None:
            verdicts.append(unmeasured)
            continue
        # What inconclusive means is in the spec. A status may have been written by hand.
        meaning = {"on_inconclusive": unmeasured.status.on_inconclusive}
        verdicts.append(Judged(unmeasured.gate, known.model_copy(update=meaning)))
    taken_out = (status for status in found.values() if status.reason == NOT_IN_SPEC)
    return (*verdicts, *(Judged(None, status) for status in taken_out))


def open_gates(verdicts: Iterable[Judged]) -> tuple[Judged, ...]:
    """Returns the gates that keep a version from being Ready: those that fail first."""
    gates = (each for each in verdicts if not each.passes)
    return tuple(sorted(gates, key=lambda each: each.status.verdict != "Fail"))


def stands(unfulfilled: Sequence[Judged]) -> str:
    """Returns how gates stand that keep a version from being Ready, with their numbers: those that fail, else those
    that are inconclusive."""
    verdict = unfulfilled[0].status.verdict
    gates = [each for each in unfulfilled if each.status.verdict == verdict]
    more = f" and {len(gates) - NAMED} more" if len(gates) > NAMED else ""
    names = ", ".join(each.phrase for each in gates[:NAMED]) + more
    if len(gates) == 1:
        return f"gate {names} {'fails' if verdict == 'Fail' else 'is inconclusive'}"
    return f"gates {names} {'fail' if verdict == 'Fail' else 'are inconclusive'}"


def passed(gates: Sequence[Judged]) -> str:
    """Returns how gates stand that do not keep a version from being Ready."""
    allowed = [each for each in gates if each.is_allowed]
    passing = len(gates) - len(allowed)
    said = [f"{counted(passing, 'gate')} {'passes' if passing == 1 else 'pass'}"] if passing else []
    if allowed:
        said.append(f"{', '.join(each.phrase for each in allowed[:NAMED])} may be inconclusive")
    return "; ".join(said)


def _judged(
    spec: Mapping[str, Any], demand: Mapping[str, Any], evidence: GateEvidence | None, *, by_run: bool
) -> Judged:
    around = _on_inconclusive(spec)
    try:
        gate = Gate.model_validate(demand)
        unknown = sorted(demand.keys() - _FIELDS)
        fault = f"the field {unknown[0]} is unknown" if unknown else None
    except ValidationError as error:
        fault = first_fault(error)
    if fault is not None:
        metric = str(demand.get("metric", "unknown"))
        return Judged(None, unreadable(demand["name"], metric, fault, around))
    status = judge(gate, evidence, around)
    if evidence is None:
        status = status.model_copy(update={"message": _unmeasured(spec, by_run=by_run)})
    return Judged(gate, status)


def _on_inconclusive(spec: Mapping[str, Any]) -> OnInconclusive:
    """What becomes of inconclusive gates that do not say it; Hold for a word of another release."""
    known: dict[str, OnInconclusive] = {word: word for word in get_args(OnInconclusive)}
    return known.get(str(spec.get("onInconclusive")), "Hold")


def _unmeasured(spec: Mapping[str, Any], *, by_run: bool) -> str:
    """Why a gate has no evidence."""
    if by_run:
        return "its run measured nothing for it"
    if spec.get("evaluate"):
        return "the Job that verified the file measured nothing for it"
    return "no run vouches for the file here, and the spec has no evaluate with data to score it on"


def _not_in_spec(evidence: GateEvidence) -> Judged:
    message = "its run measured it, and spec.gates does not have it"
    status = GateStatus(
        name=evidence.name,
        metric=evidence.metric,
        verdict="Inconclusive",
        reason=NOT_IN_SPEC,
        message=message,
    )
    return Judged(None, status)


def _readable(written: object) -> GateStatus | None:
    """A verdict in the status; None if another release wrote what cannot be read."""
    try:
        return GateStatus.model_validate(written)
    except ValidationError:
        return None
