"""The words in which checks and gates say their numbers. Pure."""

from __future__ import annotations

from math import inf

from modelwright.api.gates import MAIN, Gate, GateStatus

LATENCY_SUFFIX = "_latency_seconds"


def counted(number: int, noun: str = "sample") -> str:
    """Returns the number with the noun."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def around(low: float | None, high: float | None) -> str:
    """Returns an interval behind a value, in brackets; nothing if it has none."""
    if low is None or high is None:
        return ""
    return f" ({low:.4g} or more)" if high == inf else f" ({low:.4g} to {high:.4g})"


def deciding(samples_needed: int | None) -> str:
    """Returns how many samples would decide, behind the number of those there are."""
    return "" if samples_needed is None else f", about {samples_needed:,} would decide"


def of_gate(gate: Gate, judged: GateStatus) -> str:
    """Returns the verdict on a gate in a phrase with its numbers, without its name.

    "roc_auc 0.474 is not clearly above the baseline's 0.5: the difference is -0.026 (-0.09 to 0.04)".
    """
    subject = _subject(gate, judged)
    if judged.value is None or judged.reason in {"ReportedOnly", "OtherMetric"}:
        return f"{subject}: {judged.message or judged.reason}"
    numbers = _numbers(subject, gate, judged)
    if judged.reason == "TooFewSamples":
        return f"{numbers}; {judged.message}"
    noun = "request" if judged.metric.endswith(LATENCY_SUFFIX) else "row"
    rows = f"; {counted(judged.samples, noun)}" if judged.samples is not None else ""
    why = f" ({judged.message})" if judged.message else ""
    return f"{numbers}{rows}{deciding(judged.samples_needed)}{why}"


def _numbers(subject: str, gate: Gate, judged: GateStatus) -> str:
    """The value and its limit."""
    value = f"{judged.value:.4g}{around(judged.low, judged.high)}"
    limit = "" if judged.threshold is None else f", the limit is {judged.threshold:.4g}"
    both = judged.measured is not None and judged.reference is not None
    if gate.excludes(judged.threshold) and both:
        pair = f"{judged.measured:.4g} {_side(gate, judged)} the baseline's {judged.reference:.4g}"
        return f"{subject} {pair}: the difference is {value}"
    if gate.max_ratio is not None:
        pair = f" ({judged.measured:.4g} and {judged.reference:.4g})" if both else ""
        return f"{subject} is {value} times that of {_other(judged)}{pair}{limit}"
    if gate.against is not None:
        pair = f" (from {judged.reference:.4g} to {judged.measured:.4g})" if both else ""
        return f"{subject} changed by {value} against {_other(judged)}{pair}{limit}"
    if gate.split == "Train":
        pair = f": {judged.reference:.4g} there, {judged.measured:.4g} on the hold-out" if both else ""
        return f"{subject} is better on the training rows by {value}{limit}{pair}"
    return f"{subject} is {value}{limit}"


def _side(gate: Gate, judged: GateStatus) -> str:
    """How the value stands to that of the baseline. Only an interval makes it clear."""
    side = "above" if gate.excludes(gate.min_change) else "below"
    if gate.judged_by != "Value":
        stands = {"Pass": "is clearly", "Fail": "is not", "Inconclusive": "is not clearly"}
        return f"{stands[judged.verdict]} {side}"
    return {"Pass": f"is {side}", "Fail": f"is not {side}", "Inconclusive": "against"}[judged.verdict]


def _subject(gate: Gate, judged: GateStatus) -> str:
    """The metric, and the rows that it is about."""
    metric = "the main metric" if judged.metric == MAIN else judged.metric
    reported = " (reported by the trainer)" if judged.source == "Reported" else ""
    part = "".join(f" for {column} {value}" for column, value in (gate.slice or {}).items())
    groups = f" by {gate.sensitive_feature}" if gate.sensitive_feature is not None else ""
    return f"{metric}{part}{groups}{reported}"


def _other(judged: GateStatus) -> str:
    """What the value was compared with."""
    return "the baseline" if judged.against in (None, "Baseline") else str(judged.against)
