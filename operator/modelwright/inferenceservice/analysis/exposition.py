"""Parses the metrics of servers, and adds the counts of many pods up to those of one step. Pure.

The text comes from a pod and is not trusted: the parser returns only counts that can be added up, or raises ValueError.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import inf, isfinite

from modelwright.inferenceservice.analysis.counts import StepCounts

# The name of a metric, and the values of the labels that are kept.
Sample = tuple[str, ...]
Counts = dict[Sample, float]

_DELEGATED = "modelwright_delegated_requests_total"
_SHADOWED = "modelwright_shadow_requests_total"
_UNCOMPARED = "modelwright_shadow_uncompared_total"
_LABELS = "modelwright_shadow_labels_total"
_NON_FINITE = "modelwright_shadow_non_finite_total"
_DIFFERENCES = "modelwright_shadow_difference_bucket"
_DURATIONS = "modelwright_request_duration_seconds_bucket"
_ANSWERED = "modelwright_requests_total"
KEPT = {
    _DELEGATED: ("revision", "outcome"),
    _SHADOWED: ("revision", "outcome"),
    _UNCOMPARED: ("revision", "reason"),
    _LABELS: ("revision", "agree"),
    _NON_FINITE: ("revision",),
    _DIFFERENCES: ("revision", "le"),
    _DURATIONS: ("le",),
    _ANSWERED: ("code",),
}
# The allowed values of the labels that are kept. A sample without the label has an empty value.
_VALUES = {
    "revision": re.compile(r"[A-Za-z0-9.-]{0,63}"),
    "outcome": re.compile(r"[A-Za-z]{0,32}"),
    "reason": re.compile(r"[A-Za-z]{0,32}"),
    "agree": re.compile(r"true|false"),
    "code": re.compile(r"[0-9]{3}|[A-Z_]{0,32}"),
    "le": re.compile(r"\+Inf|[0-9]{1,16}(\.[0-9]{1,16})?(e[+-]?[0-9]{1,2})?"),
}
# Only lines with a known name are parsed: parsing a whole exposition takes ten times as long.
_LINE = re.compile(rf"^[ \t]*({'|'.join(KEPT)})(?=[ \t{{])(.*)$", re.MULTILINE)
_REST = re.compile(r"[ \t]*(?:\{(.*)\})?[ \t]*(\S+)(?:[ \t]+-?[0-9]+)?\s*")
# Escapes are not decoded: no label that is kept may contain one.
_LABEL = re.compile(r'([ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:,|$))')

MOST_SAMPLES = 1000
LONGEST_LINE = 512
# Above this a float cannot represent every whole number.
MOST_COUNTED = 2.0**53


def counts(text: str) -> Counts:
    """Returns the samples that are kept, summed over all other labels. Raises ValueError if one is not a count."""
    sums: Counts = defaultdict(float)
    for number, (name, rest) in enumerate(_LINE.findall(text)):
        if number >= MOST_SAMPLES:
            raise ValueError(f"more than {MOST_SAMPLES} samples")
        labels, value = _parts(rest)
        sums[name, *(_valid(label, labels) for label in KEPT[name])] += value
    return dict(sums)


def _parts(rest: str) -> tuple[Mapping[str, str], float]:
    """The labels and the value of a sample. `rest`: the line after the metric's name."""
    if len(rest) > LONGEST_LINE or (parts := _REST.fullmatch(rest)) is None:
        raise ValueError("a line that is no sample")
    value = float(parts[2])
    if not 0 <= value <= MOST_COUNTED:
        raise ValueError("a value that is no count")
    text = parts[1] or ""
    matches = _LABEL.findall(text)
    if sum(len(whole) for whole, _, _ in matches) != len(text):
        raise ValueError("labels that cannot be read")
    return {label: content for _, label, content in matches}, value


def _valid(label: str, labels: Mapping[str, str]) -> str:
    """The value of a label. Raises ValueError if it is not an allowed one."""
    value = labels.get(label, "")
    if _VALUES[label].fullmatch(value) is None:
        raise ValueError(f"a value of the label {label} that it cannot have")
    return value


class Tally:
    """Adds up the counts of one pod since a step began, across restarts of its container."""

    def __init__(self, revision: str, *, since_start: bool) -> None:
        self.revision = revision
        self._last: Counts | None = {} if since_start else None
        self.sum: Counts = defaultdict(float)

    def add(self, now: Counts) -> None:
        """Adds the increase since the last call. The first call sets the start, unless the pod began in this step."""
        if self._last is not None:
            restarted = any(now.get(sample, 0.0) < value for sample, value in self._last.items())
            before = {} if restarted else self._last
            for sample, value in now.items():
                self.sum[sample] += value - before.get(sample, 0.0)
        self._last = now


def step_counts(since: str, judged: str, pods: Iterable[Tally], *, direct: bool = False) -> StepCounts:
    """Returns the counts of a step from those of its pods. `judged`: the name of the revision that is judged.

    `direct`: callers reach the judged revision without the stable one.
    """
    tallies = list(pods)
    stable = _added(tally.sum for tally in tallies if tally.revision != judged)
    own = _added(tally.sum for tally in tallies if tally.revision == judged)
    labels = {agree: round(stable.get((_LABELS, judged, agree), 0.0)) for agree in ("true", "false")}
    return StepCounts(
        since=since,
        direct=direct,
        delegated=_outcomes(stable, _DELEGATED, judged),
        shadowed=_outcomes(stable, _SHADOWED, judged),
        uncompared=_outcomes(stable, _UNCOMPARED, judged),
        labels=sum(labels.values()),
        agreeing=labels["true"],
        non_finite=round(stable.get((_NON_FINITE, judged), 0.0)),
        answered=_codes(own),
        stable_answered=_codes(stable),
        differences=_buckets(stable, (_DIFFERENCES, judged)),
        stable_durations=_buckets(stable, (_DURATIONS,)),
        canary_durations=_buckets(own, (_DURATIONS,)),
    )


def _added(pods: Iterable[Counts]) -> Counts:
    total: Counts = defaultdict(float)
    for pod in pods:
        for sample, value in pod.items():
            total[sample] += value
    return total


def _outcomes(counts: Counts, name: str, revision: str) -> dict[str, int]:
    """The counts of a metric about a revision, by the value of its other label."""
    samples = {sample: value for sample, value in counts.items() if sample[:2] == (name, revision)}
    return {sample[2]: round(value) for sample, value in sorted(samples.items()) if value > 0}


def _codes(counts: Counts) -> dict[str, int]:
    return {
        sample[1]: round(value)
        for sample, value in sorted(counts.items())
        if sample[0] == _ANSWERED and value > 0
    }


def _buckets(counts: Counts, start: Sample) -> Mapping[float, float]:
    buckets: dict[float, float] = defaultdict(float)
    for sample, value in counts.items():
        if sample[:-1] == start:
            buckets[_bound(sample[-1])] += value
    return dict(sorted(buckets.items()))


def _bound(text: str) -> float:
    bound = inf if text == "+Inf" else float(text)
    return bound if isfinite(bound) else inf
