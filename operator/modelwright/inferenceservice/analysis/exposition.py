"""Parses the metrics of servers. Pure.

The text comes from a pod and is not trusted: the parser returns only counts that can be added up, or raises ValueError.
Servers of this release count values in fine cells. Those of earlier releases show coarse, cumulative buckets instead;
the parser returns these as cells as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf

# The name of a metric, and the values of the labels that are kept.
Sample = tuple[str, ...]
Counts = dict[Sample, float]

DELEGATED = "modelwright_delegated_requests_total"
SHADOWED = "modelwright_shadow_requests_total"
UNCOMPARED = "modelwright_shadow_uncompared_total"
LABELLED = "modelwright_shadow_labelled_requests_total"
AGREEMENT = "modelwright_shadow_agreement_total"
NON_FINITE = "modelwright_shadow_non_finite_requests_total"
DIFFERENCES = "modelwright_shadow_difference_cell"
DURATIONS = "modelwright_request_duration_seconds_cell"
ANSWERED = "modelwright_requests_total"
# The labels that came back, by the model that predicted; and the sums of its losses, of its errors, and of how many
# labels came together.
RIGHT = "modelwright_feedback_labels_total"
LOSSES = "modelwright_feedback_loss_total"
ERRORS = "modelwright_feedback_error_total"
POSTS = "modelwright_feedback_posts_total"
# What the server's own model predicted for callers.
PREDICTED = "modelwright_predictions_total"
PREDICTED_CELLS = "modelwright_prediction_cell"
PREDICTED_ROWS = "modelwright_predicted_total"
# Of servers of earlier releases: single labels, and cumulative buckets.
LABELS = "modelwright_shadow_labels_total"
DIFFERENCE_BUCKETS = "modelwright_shadow_difference_bucket"
DURATION_BUCKETS = "modelwright_request_duration_seconds_bucket"
KEPT = {
    DELEGATED: ("revision", "outcome"),
    SHADOWED: ("revision", "outcome"),
    UNCOMPARED: ("revision", "reason"),
    LABELLED: ("revision",),
    AGREEMENT: ("revision",),
    NON_FINITE: ("revision",),
    DIFFERENCES: ("revision", "le"),
    DURATIONS: ("le",),
    ANSWERED: ("code",),
    RIGHT: ("digest", "right"),
    LOSSES: ("digest", "kind"),
    ERRORS: ("digest", "kind"),
    POSTS: ("digest", "kind"),
    PREDICTED: ("classes", "label"),
    PREDICTED_CELLS: ("classes", "cell"),
    PREDICTED_ROWS: ("kind",),
    LABELS: ("revision",),
    DIFFERENCE_BUCKETS: ("revision", "le"),
    DURATION_BUCKETS: ("le",),
}
_CELLS_OF = {DIFFERENCE_BUCKETS: DIFFERENCES, DURATION_BUCKETS: DURATIONS}
# Identifies the process that counts: when it started, in seconds since 1970.
_STARTED = "process_start_time_seconds"
# The allowed values of the labels that are kept. A sample without the label has an empty value.
_VALUES = {
    "revision": re.compile(r"[A-Za-z0-9.-]{0,63}"),
    "outcome": re.compile(r"[A-Za-z]{0,32}"),
    "reason": re.compile(r"[A-Za-z]{0,32}"),
    "code": re.compile(r"[0-9]{3}|[A-Z_]{0,32}"),
    "digest": re.compile(r"[0-9a-f]{0,8}"),
    "right": re.compile(r"true|false|"),
    "kind": re.compile(r"[A-Za-z]{0,16}"),
    "classes": re.compile(r"[0-9a-f]{0,8}"),
    "label": re.compile(r"-?[0-9]{0,5}"),
    "cell": re.compile(r"[0-9]{0,3}"),
    "le": re.compile(r"\+Inf|[0-9]{1,17}(\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?"),
}
_NAMES = "|".join((*KEPT, _STARTED))
# Servers write the labels, a space and the number. `_LINE` is the general form.
_USUAL = re.compile(rf"({_NAMES})(\{{.*\}})")
_LINE = re.compile(rf"[ \t]*({_NAMES})(?=[ \t{{])[ \t]*(\{{.*\}})?[ \t]*(\S+)(?:[ \t]+-?[0-9]+)?\s*")
_OF_KNOWN_NAME = re.compile(rf"[ \t]*({_NAMES})[ \t{{]")
# Escapes are not decoded: no label that is kept may contain one.
_LABEL = re.compile(r'([ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:,|$))')

# A server that shows four revisions, and cells over the whole range of each histogram, has some 3,000.
MOST_LINES = 5000
MOST_LABELS = 512
# Above this a float cannot represent every whole number.
MOST_COUNTED = 2.0**53
# A server shows the same lines at each scrape. The labels of so many are remembered, 150 for each of 200 pods.
REMEMBERED_LABELS = 32_768
REMEMBERED_BOUNDS = 4096


@dataclass(frozen=True)
class Scrape:
    """What one scrape of a pod gives. `started`: identifies the process of the pod's server; 0 if it is unknown."""

    counts: Counts = field(default_factory=dict)
    started: float = 0.0


def scraped(text: str) -> Scrape:
    """Returns the samples that are kept, summed over all other labels. Raises ValueError if one is not a count."""
    sums: Counts = {}
    started, lines = 0.0, text.split("\n")
    if len(lines) > MOST_LINES:
        raise ValueError(f"more than {MOST_LINES} lines")
    for line in lines:
        head, _, number = line.rpartition(" ")
        found = _usual(head)
        if found is None:
            if _OF_KNOWN_NAME.match(line) is None:
                continue
            found, number = _general(line)
        value = float(number)
        if not 0 <= value <= MOST_COUNTED:
            raise ValueError("a value that is no count")
        if found[0] == _STARTED:
            started = value
        else:
            sums[found] = sums[found] + value if found in sums else value
    return Scrape(_cells(sums) if "_bucket" in text else sums, started)


@lru_cache(REMEMBERED_LABELS)
def _usual(head: str) -> Sample | None:
    """The sample of a line in the usual form; None for other lines. `head`: what is before the last space."""
    parts = _USUAL.fullmatch(head)
    return None if parts is None else _sample(parts[1], parts[2])


def _general(line: str) -> tuple[Sample, str]:
    """The sample and the number of a line that is not in the usual form, but valid."""
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise ValueError("a line that is no sample")
    return _sample(parts[1], parts[2] or "{}"), parts[3]


def _sample(name: str, labels: str) -> Sample:
    """The sample with the labels that are kept. `labels`: with braces. Raises ValueError if they are not allowed."""
    text = labels[1:-1]
    matches = _LABEL.findall(text)
    if len(text) > MOST_LABELS or sum(len(whole) for whole, _, _ in matches) != len(text):
        raise ValueError("labels that cannot be read")
    found = {label: content for _, label, content in matches}
    return sample(name, [found.get(label, "") for label in KEPT.get(name, ())])


def sample(name: str, values: Sequence[str]) -> Sample:
    """The sample of a metric in KEPT with these values of its labels. Raises ValueError if it cannot have them."""
    for label, value in zip(KEPT.get(name, ()), values, strict=True):
        if _VALUES[label].fullmatch(value) is None:
            raise ValueError(f"a value of the label {label} that it cannot have")
    return (name, *values)


def _cells(sums: Counts) -> Counts:
    """The samples with the count of each bucket instead of the cumulative one; without the buckets of a metric that has
    cells. Raises ValueError if buckets decrease."""
    cells = {sample: value for sample, value in sums.items() if sample[0] not in _CELLS_OF}
    below: dict[Sample, float] = {}
    fine = {sample[0] for sample in cells}
    for sample in sorted(sums.keys() - cells.keys(), key=lambda sample: bound(sample[-1])):
        if _CELLS_OF[sample[0]] in fine:
            continue
        histogram = sample[:-1]
        cells[sample] = sums[sample] - below.get(histogram, 0.0)
        if cells[sample] < 0:
            raise ValueError("buckets whose counts decrease")
        below[histogram] = sums[sample]
    return cells


@lru_cache(REMEMBERED_BOUNDS)
def bound(text: str) -> float:
    """The upper bound of a cell or bucket, as a number."""
    return inf if text == "+Inf" else float(text)
