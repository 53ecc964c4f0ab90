"""What was found of the requests to services: drift, and scores by the labels of callers. Pure.

All of it is in `status.monitoring` as well. The number of series is bounded: of each service the worst few features,
and at most MOST_SERVICES services. What a pod counts stays in the pod.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from modelwright.common.indexes import SERVICES_MONITORED, YES
from modelwright.common.reading import read_each
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, name, namespace, status_of

MOST_SERVICES = 1000
OUTCOMES = {
    "counted": "counted",
    "duplicate": "duplicate",
    "forged": "forged",
    "expired": "expired",
    "unknownLabel": "unknown_label",
}
_SERVICE = ("namespace", "name")
# Each family: its name, what it says, and the labels beside those of the service.
FAMILIES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "modelwright_feature_drift",
        "How far a feature is from the hold-out of the version that serves, of the worst few.",
        ("feature", "statistic"),
    ),
    ("modelwright_drift_threshold", "Above which it is drift.", ("feature", "statistic")),
    (
        "modelwright_drift_detected",
        "1 while there is drift, 0 while there is none; absent before it is known.",
        (),
    ),
    ("modelwright_monitor_window_rows", "Rows of the last window that was judged.", ()),
    ("modelwright_monitor_window_start_seconds", "When that window began, in seconds since 1970.", ()),
    ("modelwright_estimated_score", "A score without labels: blind to changes of meaning.", ("metric",)),
    ("modelwright_measured_score", "A score by the labels of callers.", ("metric",)),
    ("modelwright_score_target", "The limits of a score.", ("metric", "bound")),
    ("modelwright_score_below_target", "1 while a score is below its target; absent before it is known.", ()),
    (
        "modelwright_feedback_labels",
        "Labels of the windows that are kept, by what became of them.",
        ("outcome",),
    ),
)
# A series of a service: the name of its family, its labels beside those of the service, and its value.
Series = tuple[str, tuple[str, ...], float]


def monitoring(view: View) -> Iterator[Metric]:
    """What was found of each service that is watched."""
    families = {
        family: GaugeMetricFamily(family, what, labels=(*_SERVICE, *labels))
        for family, what, labels in FAMILIES
    }
    services = islice(view.indexed(SERVICES_MONITORED, None, YES), MOST_SERVICES)
    for service, series in read_each(services, lambda body: list(_series(body))):
        for family, labels, value in series:
            families[family].add_metric((namespace(service), name(service), *labels), value)
    yield from families.values()


def _series(service: Body) -> Iterator[Series]:
    status = status_of(service)
    for kind, family in (
        ("DriftDetected", "modelwright_drift_detected"),
        ("ScoreBelowTarget", "modelwright_score_below_target"),
    ):
        for condition in status.get("conditions") or ():
            if condition["type"] == kind and condition["status"] in ("True", "False"):
                yield family, (), float(condition["status"] == "True")
    found = status.get("monitoring")
    if found:
        yield from _window(found)
        yield from _scores(found)


def _window(found: Mapping[str, Any]) -> Iterator[Series]:
    # A feature may be there by several statistics, and by one of them twice: the worst comes first.
    seen: set[tuple[str, str]] = set()
    for each in found.get("worst") or ():
        labels = str(each["feature"]), str(each["statistic"])
        if labels not in seen:
            seen.add(labels)
            yield "modelwright_feature_drift", labels, abs(float(each["value"]))
            yield "modelwright_drift_threshold", labels, float(each["threshold"])
    if "windowStart" in found:
        began: datetime = from_timestamp(found["windowStart"])
        yield "modelwright_monitor_window_rows", (), float(found.get("rows", 0))
        yield "modelwright_monitor_window_start_seconds", (), began.timestamp()
    for metric, value in (found.get("estimated") or {}).items():
        yield "modelwright_estimated_score", (str(metric),), float(value)


def _scores(found: Mapping[str, Any]) -> Iterator[Series]:
    for score in found.get("scores") or ():
        metric = str(score["name"])
        if score.get("value") is not None:
            yield "modelwright_measured_score", (metric,), float(score["value"])
        for bound in ("min", "max"):
            if score.get(bound) is not None:
                yield "modelwright_score_target", (metric, bound), float(score[bound])
    for field, outcome in OUTCOMES.items() if found.get("feedback") else ():
        yield "modelwright_feedback_labels", (outcome,), float(found["feedback"].get(field, 0))
