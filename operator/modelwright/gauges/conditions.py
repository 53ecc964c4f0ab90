"""How many objects are Ready, and which of them have a condition that asks for a look. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from prometheus_client.core import GaugeMetricFamily, Metric

from modelwright.common.indexes import (
    BY_READY,
    NOTEWORTHY,
    NOTEWORTHY_STATUSES,
    noteworthy_conditions,
    with_status,
)
from modelwright.engine.cache import View
from modelwright.engine.indexes import Index
from modelwright.engine.objects import name, namespace

# Of each type and status: what many objects share must not hide what is wrong with another one.
MOST_SERIES = 1000
_LABELS = ("kind", "namespace", "name", "type", "status", "reason")


def counts(view: View) -> Iterator[Metric]:
    """The number of objects of each kind, by their condition Ready."""
    family = GaugeMetricFamily(
        "modelwright_resources", "Objects by their condition Ready.", labels=("kind", "ready")
    )
    for index in BY_READY:
        for status in ("True", "False", "Unknown"):
            family.add_metric((index.resource.kind, status), _count(view, index, status))
    yield family


def noteworthy(view: View) -> Iterator[Metric]:
    """The conditions that ask for a look, 1 for each; what is left out beyond the bound is counted."""
    shown = GaugeMetricFamily(
        "modelwright_resource_condition",
        "1 for each condition that asks for a look: not available, stalled, at work, drifted, below target, ...",
        labels=_LABELS,
    )
    left_out = GaugeMetricFamily(
        "modelwright_resource_conditions_left_out",
        "How many more of them there are than are shown.",
        labels=("type", "status"),
    )
    for kind, statuses in NOTEWORTHY_STATUSES.items():
        for status in statuses:
            found = _conditions(view, kind, status)
            for labels in islice(found, MOST_SERIES):
                shown.add_metric(labels, 1)
            left_out.add_metric((kind, status), sum(1 for _ in found))
    yield from (shown, left_out)


def _conditions(view: View, kind: str, status: str) -> Iterator[Sequence[str]]:
    """The labels of each condition of a type and status."""
    for index in NOTEWORTHY:
        for body in view.indexed(index, None, with_status(kind, status)):
            for condition in noteworthy_conditions(body):
                if condition[:2] == (kind, status):
                    yield index.resource.kind, namespace(body), name(body), *condition


def _count(view: View, index: Index, value: str) -> int:
    return sum(1 for _ in view.indexed_keys(index, value))
