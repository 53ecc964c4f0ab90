"""The verdict of a gate: what was measured for it against its limits. Pure.

A value is judged by itself, or by its 95 % interval: the gate passes if the whole interval is within the limits, fails
if the whole is beyond one, and is inconclusive otherwise. The rows that would decide follow from the width of an
interval, which shrinks with the root of their number: n (half width / distance to the limit)^2, with the half of the
interval that faces the limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, isfinite, nan
from typing import Any

from modelwright.api.checks import NOT_MEASURED, TOO_FEW
from modelwright.api.gates import MAIN, Gate, GateStatus, OnInconclusive, Verdict
from modelwright.api.phrases import LATENCY_SUFFIX, counted
from modelwright.checks.evidence import FARTHEST
from modelwright.common.report import GateEvidence

# Reasons of a pass: within its limits; there is no version to be worse than.
WITHIN, NO_CHAMPION = "WithinLimit", "NoChampion"
# Reasons of a failure.
BELOW, ABOVE = "BelowLimit", "AboveLimit"
# Reasons why a gate is inconclusive, besides those of the step that measured: the interval has values on both sides of
# a limit; there is no interval; a number of the trainer's own; another metric than the gate's; and a gate of a release
# that knows more than this one.
UNCLEAR, NO_INTERVAL = "LimitWithinInterval", "IntervalMissing"
NOT_OURS, OTHER_METRIC, UNREADABLE = "ReportedOnly", "OtherMetric", "GateUnreadable"

MIN_SAMPLES = 30
# As the status holds them.
NAME_LENGTH, METRIC_LENGTH = 63, 128
CALIBRATION = "expected_calibration_error"
# What `main` may stand for. More is better of each, which the default gates take for granted.
MAIN_METRICS = frozenset(("roc_auc", "balanced_accuracy", "r2"))


@dataclass(frozen=True)
class Limit:
    """One limit. `sign`: 1 if values below it are bad, -1 if those above it are. `strict`: the limit itself is bad."""

    value: float
    sign: int
    strict: bool = False

    def holds(self, value: float) -> bool:
        """True if the value is on the good side."""
        distance = self.sign * (value - self.value)
        return distance > 0 or (distance == 0 and not self.strict)

    def best(self, low: float, high: float) -> float:
        """The end of the interval that is farther on the good side."""
        return high if self.sign > 0 else low

    def worst(self, low: float, high: float) -> float:
        """The end of the interval that is farther on the bad side."""
        return low if self.sign > 0 else high


def judge(gate: Gate, evidence: GateEvidence | None, on_inconclusive: OnInconclusive = "Hold") -> GateStatus:
    """Returns the verdict on a gate, which has a name.

    `evidence`: what a step measured for it; None if no step did. `on_inconclusive`: that of the spec around the gate.
    """
    meaning = gate.on_inconclusive or on_inconclusive
    if (fault := _fault(gate)) is not None:
        return unreadable(gate.name or "gate", gate.metric, fault, meaning)
    judged = _Judged(gate, evidence, meaning)
    if evidence is None:
        return judged.inconclusive(NOT_MEASURED, "nothing was measured for it")
    if gate.against == "Champion" and evidence.value is None and evidence.reason == NO_CHAMPION:
        return judged.status("Pass", NO_CHAMPION, message="there is no version yet to be worse than")
    if (lack := _lack(gate, evidence)) is not None:
        return judged.inconclusive(lack.reason, lack.message, samples_needed=lack.samples_needed)
    return judged.by_ends(*_ends(gate, evidence))


def unreadable(name: str, metric: str, why: str, on_inconclusive: OnInconclusive = "Hold") -> GateStatus:
    """Returns the verdict on a gate that this release cannot read, its name perhaps included."""
    message = f"this release of the operator cannot read it: {why}"[:1024]
    return GateStatus(
        name=_clean(name),
        metric=metric[:METRIC_LENGTH],
        verdict="Inconclusive",
        reason=UNREADABLE,
        message=message,
        on_inconclusive="Hold" if on_inconclusive == "Allow" else on_inconclusive,
    )


def passes(status: GateStatus) -> bool:
    """True if the gate does not keep the version from being Ready."""
    return status.verdict == "Pass" or (
        status.verdict == "Inconclusive" and status.on_inconclusive == "Allow"
    )


def judged_by(gate: Gate) -> str:
    """Returns what decides, Value or Interval. People mean "0.9 on my hold-out" by a limit on all rows. Parts of the
    rows and comparisons are noisier, so there the interval has to be clear of the limit. So is the calibration error:
    its value is above 0 even for a model without one, by an amount that depends on the rows."""
    if gate.source == "Reported":
        return "Value"
    compared = gate.against is not None or gate.split == "Train"
    noisy = bool(gate.slice) or gate.sensitive_feature is not None or gate.metric == CALIBRATION
    return gate.judged_by or ("Interval" if compared or noisy else "Value")


def limits(gate: Gate) -> tuple[Limit, ...]:
    """Returns the limits of a gate: at least one, and at most a lower and an upper one."""
    lower = (gate.min, gate.min_change)
    upper = (gate.max, gate.max_change, gate.max_ratio, gate.max_gap)
    values = (*((value, 1) for value in lower), *((value, -1) for value in upper))
    return tuple(Limit(value, sign, gate.excludes(value)) for value, sign in values if value is not None)


def _fault(gate: Gate) -> str | None:
    """What is wrong with the limits of a gate; None if all of them are about the same number. The API server refuses
    others, but an object may have been stored before it did."""
    kinds = {
        "min and max": (gate.min, gate.max),
        "minChange and maxChange": (gate.min_change, gate.max_change),
        "maxRatio": (gate.max_ratio,),
        "maxGap": (gate.max_gap,),
    }
    given = [kind for kind, values in kinds.items() if any(value is not None for value in values)]
    if not given:
        return "it has no limit"
    return None if len(given) == 1 else f"{' or '.join(given)}: they limit different numbers"


def _clean(name: str) -> str:
    """The name if a status may hold it, else one that is made from it and differs from all others."""
    if len(name) <= NAME_LENGTH and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        return name
    digest = sha256(name.encode(errors="replace")).hexdigest()[:8]
    return f"{re.sub('[^a-z0-9]+', '-', name.lower())[:50].strip('-') or 'gate'}-{digest}"


@dataclass(frozen=True)
class _Judged:
    """A gate and its evidence, from which all verdicts take their numbers."""

    gate: Gate
    evidence: GateEvidence | None
    on_inconclusive: OnInconclusive

    def by_ends(self, low: float, high: float) -> GateStatus:
        """The verdict by an interval, or by a value that is both of its ends."""
        all_limits = limits(self.gate)
        for limit in all_limits:
            if not limit.holds(limit.best(low, high)):
                return self.status("Fail", BELOW if limit.sign > 0 else ABOVE, limit)
        open_limits = [limit for limit in all_limits if not limit.holds(limit.worst(low, high))]
        if not open_limits:
            return self.status("Pass", WITHIN)
        needed = [self._needed(limit, low, high) for limit in open_limits]
        known = [rows for rows in needed if rows is not None]
        most = max(known) if len(known) == len(needed) else None
        return self.inconclusive(UNCLEAR, limit=open_limits[0], samples_needed=most)

    def inconclusive(
        self,
        reason: str,
        message: str | None = None,
        *,
        limit: Limit | None = None,
        samples_needed: int | None = None,
    ) -> GateStatus:
        """The verdict that neither can be said."""
        return self.status("Inconclusive", reason, limit, message, samples_needed)

    def status(
        self,
        verdict: Verdict,
        reason: str,
        limit: Limit | None = None,
        message: str | None = None,
        samples_needed: int | None = None,
    ) -> GateStatus:
        """The verdict with all numbers."""
        gate, evidence = self.gate, self.evidence
        shown = self._nearest() if limit is None else limit
        return GateStatus(
            name=gate.name or "gate",
            metric=gate.metric,
            verdict=verdict,
            reason=reason,
            threshold=None if shown is None else shown.value,
            samples_needed=samples_needed,
            on_inconclusive=self.on_inconclusive,
            message=message,
        ).model_copy(update={} if evidence is None else _numbers(evidence, message))

    def _nearest(self) -> Limit | None:
        """The limit that the value is nearest to."""
        value = self.evidence.value if self.evidence is not None else None
        of_value = value if value is not None and isfinite(value) else 0.0
        return min(limits(self.gate), key=lambda limit: abs(of_value - limit.value), default=None)

    def _needed(self, limit: Limit, low: float, high: float) -> int | None:
        """About how many rows would decide; None if it is more than can be waited for, or not known. Of a latency it is
        not: its interval does not become narrower with the number of requests."""
        evidence = self.evidence
        if evidence is None or evidence.value is None or not evidence.samples:
            return None
        if evidence.metric.endswith(LATENCY_SUFFIX):
            return None
        distance = abs(evidence.value - limit.value)
        good = limit.holds(evidence.value)
        facing = limit.worst(low, high) if good else limit.best(low, high)
        width = abs(evidence.value - facing)
        if not (isfinite(width) and isfinite(distance)) or distance == 0 or width > distance * FARTHEST**0.5:
            return None
        return max(evidence.samples + 1, ceil(evidence.samples * (width / distance) ** 2))


@dataclass(frozen=True)
class _Lack:
    """What the evidence lacks to decide the gate."""

    reason: str
    message: str
    samples_needed: int | None = None


def _lack(gate: Gate, evidence: GateEvidence) -> _Lack | None:
    """What the evidence lacks; None if it decides as far as its interval goes."""
    if evidence.source == "Reported" and gate.source != "Reported":
        message = (
            f"the trainer reported {evidence.metric} itself, and no step measured it: measure another metric, or set "
            "source: Reported"
        )
        return _Lack(NOT_OURS, message)
    if evidence.metric not in (MAIN_METRICS if gate.metric == MAIN else (gate.metric,)):
        return _Lack(OTHER_METRIC, f"{evidence.metric} was measured for it, not {gate.metric}")
    if evidence.value is None or not isfinite(evidence.value):
        return _Lack(evidence.reason or NOT_MEASURED, evidence.message or "it has no value")
    if (scarce := _scarce(gate, evidence)) is not None:
        return scarce
    low, high = _ends(gate, evidence)
    if not (isfinite(low) and isfinite(high) and low <= high):
        return _Lack(NO_INTERVAL, evidence.message or "its value has no interval")
    return None


def _scarce(gate: Gate, evidence: GateEvidence) -> _Lack | None:
    """The rows that are missing if there are fewer than the gate asks for."""
    if evidence.source == "Reported" and gate.min_samples is None:
        return None  # A reported number comes without its rows.
    needed, samples = gate.min_samples or MIN_SAMPLES, evidence.samples or 0
    if gate.sensitive_feature is None:
        message = f"it has {counted(samples, 'row')}, {needed:,} are asked for"
        return None if samples >= needed else _Lack(TOO_FEW, message, needed)
    smallest = evidence.smallest or 0
    message = f"the smallest group has {counted(smallest, 'row')}, {needed:,} are asked for"
    about = ceil(samples * needed / smallest) if smallest else None
    return None if smallest >= needed else _Lack(TOO_FEW, message, about)


def _ends(gate: Gate, evidence: GateEvidence) -> tuple[float, float]:
    """The interval that decides. If the value alone decides, it is both ends; an end that is missing is NaN."""
    value, interval = evidence.value, (evidence.low, evidence.high)
    low, high = (value, value) if judged_by(gate) == "Value" else interval
    return nan if low is None else low, nan if high is None else high


def _numbers(evidence: GateEvidence, message: str | None) -> dict[str, Any]:
    """The fields of a status that are taken from the evidence. A number that is none is left out."""
    numbers = {name: getattr(evidence, name) for name in ("value", "low", "high", "measured", "reference")}
    return {
        **{name: number for name, number in numbers.items() if number is not None and isfinite(number)},
        "metric": evidence.metric,
        "against": evidence.against,
        "samples": evidence.samples,
        "source": evidence.source,
        "message": message or evidence.message,
    }
