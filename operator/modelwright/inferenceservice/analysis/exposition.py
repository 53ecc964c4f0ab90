"""Parses the metrics of servers, and adds the counts of many pods up to those of one step. Pure.

The text comes from a pod and is not trusted: the parser returns only counts that can be added up, or raises ValueError.
Servers of this release count values in fine cells. Those of earlier releases show coarse, cumulative buckets instead;
the parser returns these as cells as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite

from modelwright.checks.quantiles import Cells
from modelwright.inferenceservice.analysis.counts import SERVER_TOO_OLD, StepCounts

# The name of a metric, and the values of the labels that are kept.
Sample = tuple[str, ...]
Counts = dict[Sample, float]

_DELEGATED = "modelwright_delegated_requests_total"
_SHADOWED = "modelwright_shadow_requests_total"
_UNCOMPARED = "modelwright_shadow_uncompared_total"
_LABELLED = "modelwright_shadow_labelled_requests_total"
_AGREEMENT = "modelwright_shadow_agreement_total"
_NON_FINITE = "modelwright_shadow_non_finite_requests_total"
_DIFFERENCES = "modelwright_shadow_difference_cell"
_DURATIONS = "modelwright_request_duration_seconds_cell"
_ANSWERED = "modelwright_requests_total"
# Of servers of earlier releases: single labels, and cumulative buckets.
_LABELS = "modelwright_shadow_labels_total"
_DIFFERENCE_BUCKETS = "modelwright_shadow_difference_bucket"
_DURATION_BUCKETS = "modelwright_request_duration_seconds_bucket"
KEPT = {
    _DELEGATED: ("revision", "outcome"),
    _SHADOWED: ("revision", "outcome"),
    _UNCOMPARED: ("revision", "reason"),
    _LABELLED: ("revision",),
    _AGREEMENT: ("revision",),
    _NON_FINITE: ("revision",),
    _DIFFERENCES: ("revision", "le"),
    _DURATIONS: ("le",),
    _ANSWERED: ("code",),
    _LABELS: ("revision",),
    _DIFFERENCE_BUCKETS: ("revision", "le"),
    _DURATION_BUCKETS: ("le",),
}
_CELLS_OF = {_DIFFERENCE_BUCKETS: _DIFFERENCES, _DURATION_BUCKETS: _DURATIONS}
# Identifies the process that counts: when it started, in seconds since 1970.
_STARTED = "process_start_time_seconds"
# The allowed values of the labels that are kept. A sample without the label has an empty value.
_VALUES = {
    "revision": re.compile(r"[A-Za-z0-9.-]{0,63}"),
    "outcome": re.compile(r"[A-Za-z]{0,32}"),
    "reason": re.compile(r"[A-Za-z]{0,32}"),
    "code": re.compile(r"[0-9]{3}|[A-Z_]{0,32}"),
    "le": re.compile(r"\+Inf|[0-9]{1,17}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?"),
}
# Only lines with a known name are parsed: parsing a whole exposition takes ten times as long.
_LINE = re.compile(rf"^[ \t]*({'|'.join((*KEPT, _STARTED))})(?=[ \t{{])(.*)$", re.MULTILINE)
_REST = re.compile(r"[ \t]*(\{.*\})?[ \t]*(\S+)(?:[ \t]+-?[0-9]+)?\s*")
# Escapes are not decoded: no label that is kept may contain one.
_LABEL = re.compile(r'([ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:,|$))')

MOST_SAMPLES = 1000
LONGEST_LINE = 512
# Above this a float cannot represent every whole number.
MOST_COUNTED = 2.0**53
# A server shows the same labels at each scrape. So many of them are remembered, 150 for each pod of 200.
REMEMBERED_LABELS = 32_768
# The ratio of a fine cell's bounds is at most this.
CELL_RATIO = 1.05


@dataclass(frozen=True)
class Scrape:
    """What one scrape of a pod gives. `started`: identifies the process of the pod's server; 0 if it is unknown."""

    counts: Counts = field(default_factory=dict)
    started: float = 0.0


def scraped(text: str) -> Scrape:
    """Returns the samples that are kept, summed over all other labels. Raises ValueError if one is not a count."""
    sums: Counts = defaultdict(float)
    started = 0.0
    for number, (name, rest) in enumerate(_LINE.findall(text)):
        if number >= MOST_SAMPLES:
            raise ValueError(f"more than {MOST_SAMPLES} samples")
        if len(rest) > LONGEST_LINE:
            raise ValueError("a line that is too long")
        labels, _, value = rest.rpartition(" ")
        if not labels.endswith("}"):  # unusual spaces, a timestamp or no labels
            labels, value = _parts(rest)
        counted = float(value)
        if not 0 <= counted <= MOST_COUNTED:
            raise ValueError("a value that is no count")
        if name == _STARTED:
            started = counted
        else:
            sums[_sample(name, labels)] += counted
    return Scrape(_cells(sums), started)


def _parts(rest: str) -> tuple[str, str]:
    """The labels in their braces, and the value. `rest`: the line after the metric's name."""
    if (parts := _REST.fullmatch(rest)) is None:
        raise ValueError("a line that is no sample")
    return parts[1] or "{}", parts[2]


@lru_cache(REMEMBERED_LABELS)
def _sample(name: str, labels: str) -> Sample:
    """The sample with the labels that are kept. `labels`: with braces. Raises ValueError if they are not allowed."""
    text = labels.strip(" \t")[1:-1]
    matches = _LABEL.findall(text)
    if not labels.lstrip(" \t").startswith("{") or sum(len(whole) for whole, _, _ in matches) != len(text):
        raise ValueError("labels that cannot be read")
    found = {label: content for _, label, content in matches}
    return (name, *(_valid(label, found.get(label, "")) for label in KEPT[name]))


def _valid(label: str, value: str) -> str:
    """The value of a label. Raises ValueError if it is not an allowed one."""
    if _VALUES[label].fullmatch(value) is None:
        raise ValueError(f"a value of the label {label} that it cannot have")
    return value


def _cells(sums: Counts) -> Counts:
    """The samples with the count of each bucket instead of the cumulative one; without the buckets of a metric that has
    cells. Raises ValueError if buckets decrease."""
    cells = {sample: value for sample, value in sums.items() if sample[0] not in _CELLS_OF}
    if len(cells) == len(sums):
        return cells
    below: dict[Sample, float] = {}
    fine = {sample[0] for sample in cells}
    for sample in sorted(sums.keys() - cells.keys(), key=lambda sample: _bound(sample[-1])):
        if _CELLS_OF[sample[0]] in fine:
            continue
        histogram = sample[:-1]
        cells[sample] = sums[sample] - below.get(histogram, 0.0)
        if cells[sample] < 0:
            raise ValueError("buckets whose counts decrease")
        below[histogram] = sums[sample]
    return cells


class Tally:
    """Adds up the counts of one pod since a step began, across restarts of its container."""

    def __init__(self, revision: str, *, since_start: bool) -> None:
        self.revision = revision
        self._last: Counts | None = {} if since_start else None
        self._started = 0.0
        self.sum: Counts = defaultdict(float)

    def add(self, scrape: Scrape) -> None:
        """Adds the increase since the last call. The first call sets the start, unless the pod began in this step."""
        now = scrape.counts
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
    shadowed = _by_label(stable, _SHADOWED, judged)
    uncompared = _by_label(stable, _UNCOMPARED, judged)
    labelled = round(stable.get((_LABELLED, judged), 0.0))
    if not labelled and stable.get((_LABELS, judged), 0.0) > 0:
        uncompared[SERVER_TOO_OLD] = shadowed.get("Compared", 0)
    return StepCounts(
        since=since,
        direct=direct,
        delegated=_by_label(stable, _DELEGATED, judged),
        shadowed=shadowed,
        uncompared=uncompared,
        labelled=labelled,
        agreement=min(stable.get((_AGREEMENT, judged), 0.0), float(labelled)),
        non_finite=round(stable.get((_NON_FINITE, judged), 0.0)),
        answered=_by_label(own, _ANSWERED),
        stable_answered=_by_label(stable, _ANSWERED),
        differences=_histogram(stable, (_DIFFERENCES, judged), (_DIFFERENCE_BUCKETS, judged)),
        stable_durations=_histogram(stable, (_DURATIONS,), (_DURATION_BUCKETS,)),
        canary_durations=_histogram(own, (_DURATIONS,), (_DURATION_BUCKETS,)),
    )


def _added(pods: Iterable[Counts]) -> Counts:
    total: Counts = defaultdict(float)
    for pod in pods:
        for sample, value in pod.items():
            total[sample] += value
    return total


def _by_label(counts: Counts, *start: str) -> dict[str, int]:
    """The counts of the samples that begin like this, by the value of their last label."""
    found = sorted((sample[-1], value) for sample, value in counts.items() if sample[:-1] == start)
    return {label: round(value) for label, value in found if value > 0}


def _histogram(counts: Counts, fine: Sample, coarse: Sample) -> Cells:
    """The cells that are not empty, of servers of this release and of earlier ones."""
    cells: dict[tuple[float, float], float] = defaultdict(float)
    below = 0.0
    for bound, value in _by_bound(counts, fine):
        cells[below if bound == inf else bound / CELL_RATIO, bound] += value
        below = bound
    below = 0.0
    for bound, value in _by_bound(counts, coarse):
        cells[below, bound] += value
        below = bound
    return {cell: value for cell, value in cells.items() if value > 0}


def _by_bound(counts: Counts, start: Sample) -> list[tuple[float, float]]:
    """The samples of a histogram in the order of their upper bounds."""
    return sorted((_bound(sample[-1]), value) for sample, value in counts.items() if sample[:-1] == start)


def _bound(text: str) -> float:
    bound = inf if text == "+Inf" else float(text)
    return bound if isfinite(bound) else inf
