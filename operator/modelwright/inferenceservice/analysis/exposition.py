"""What a server's metrics say of a rollout, and how counts of many pods become those of one step. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import inf

from prometheus_client.parser import text_string_to_metric_families

from modelwright.inferenceservice.analysis.counts import Measured

# A metric and the labels that tell its samples apart.
Sample = tuple[str, ...]
Counts = dict[Sample, float]

_DELEGATED = "modelwright_delegated_requests_total"
_SHADOWED = "modelwright_shadow_requests_total"
_LABELS = "modelwright_shadow_labels_total"
_NON_FINITE = "modelwright_shadow_non_finite_total"
_DIFFERENCES = "modelwright_shadow_difference_bucket"
_DURATIONS = "modelwright_request_duration_seconds_bucket"
_ANSWERED = "modelwright_requests_total"
_KEPT = {
    _DELEGATED: ("revision", "outcome"),
    _SHADOWED: ("revision", "outcome"),
    _LABELS: ("revision", "agree"),
    _NON_FINITE: ("revision",),
    _DIFFERENCES: ("revision", "le"),
    _DURATIONS: ("le",),
    _ANSWERED: ("code",),
}


def counts(text: str) -> Counts:
    """The samples that matter, summed over all other labels; ValueError if the text is no exposition."""
    found: Counts = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = _KEPT.get(sample.name)
            if labels is not None:
                found[sample.name, *(sample.labels.get(label, "") for label in labels)] += sample.value
    return dict(found)


class Tally:
    """What one pod has counted since a step began, whatever restarts there were in between."""

    def __init__(self, revision: str, *, since_start: bool) -> None:
        self.revision = revision
        self._last: Counts | None = {} if since_start else None
        self.sum: Counts = defaultdict(float)

    def add(self, now: Counts) -> None:
        """The pod's counts as they are now; the first ones are where counting begins, unless the pod is new."""
        if self._last is not None:
            restarted = any(now.get(sample, 0.0) < value for sample, value in self._last.items())
            before = {} if restarted else self._last
            for sample, value in now.items():
                self.sum[sample] += value - before.get(sample, 0.0)
        self._last = now


def measured(since: str, canary: str, pods: Iterable[Tally], *, direct: bool = False) -> Measured:
    """The counts of a step: what the other revision's pods say of the judged one, and how both did.

    `canary`: the revision that is judged. `direct`: callers reach it by themselves.
    """
    tallies = list(pods)
    stable = _added(tally.sum for tally in tallies if tally.revision != canary)
    own = _added(tally.sum for tally in tallies if tally.revision == canary)
    labels = {agree: round(stable.get((_LABELS, canary, agree), 0.0)) for agree in ("true", "false")}
    return Measured(
        since=since,
        direct=direct,
        delegated=_outcomes(stable, _DELEGATED, canary),
        shadowed=_outcomes(stable, _SHADOWED, canary),
        labels=sum(labels.values()),
        agreeing=labels["true"],
        non_finite=round(stable.get((_NON_FINITE, canary), 0.0)),
        answered=_codes(own),
        stable_answered=_codes(stable),
        differences=_buckets(stable, (_DIFFERENCES, canary)),
        stable_durations=_buckets(stable, (_DURATIONS,)),
        canary_durations=_buckets(own, (_DURATIONS,)),
    )


def _added(pods: Iterable[Counts]) -> Counts:
    total: Counts = defaultdict(float)
    for pod in pods:
        for sample, value in pod.items():
            total[sample] += value
    return total


def _outcomes(found: Counts, name: str, revision: str) -> dict[str, int]:
    samples = {sample: value for sample, value in found.items() if sample[:2] == (name, revision)}
    return {sample[2]: round(value) for sample, value in sorted(samples.items()) if value > 0}


def _codes(found: Counts) -> dict[str, int]:
    return {
        sample[1]: round(value)
        for sample, value in sorted(found.items())
        if sample[0] == _ANSWERED and value > 0
    }


def _buckets(found: Counts, start: Sample) -> Mapping[float, float]:
    buckets = {_bound(sample[-1]): value for sample, value in found.items() if sample[:-1] == start}
    return dict(sorted(buckets.items()))


def _bound(text: str) -> float:
    return inf if text == "+Inf" else float(text)
