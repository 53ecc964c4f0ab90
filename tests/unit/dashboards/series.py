"""The series that there are, as the programs themselves expose them, and those that an expression names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from prometheus_client.parser import text_string_to_metric_families
from unit.gauges.examples import decided, monitored
from unit.given.resources import a_service, a_training_job

from modelwright.api.monitoring import Objectives
from modelwright.engine.metrics import Metrics
from modelwright.engine.plan import Count
from modelwright.gauges import GAUGES
from modelwright.inferenceservice.objectives.groups import groups
from modelwright.inferenceservice.objectives.indicators import indicators

# What Prometheus, or the PodMonitor of the chart, adds to each series.
OF_OPERATOR = frozenset(("job", "instance", "pod", "namespace"))
OF_PODS = OF_OPERATOR | {"inferenceservice", "pod_revision"}
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^{}]*)\}")
_NAME = re.compile(r"\b(?:modelwright|slo|sloth|process)[_:][\w:]+")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")

Series = Mapping[str, frozenset[str]]


def series_of(expression: str) -> dict[str, set[str]]:
    """The series of an expression, each with the labels that it is selected by. All have to have a selector."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, matchers in _SELECTOR.findall(expression):
        found[name] |= set(_MATCHER.findall(matchers))
    bare = set(_NAME.findall(re.sub(r'"[^"]*"', "", expression))) - found.keys()
    assert not bare, f"without a selector: {bare}"
    return found


def groupings(expression: str) -> set[str]:
    """The labels that an expression groups by."""
    return {label.strip() for labels in _GROUPING.findall(expression) for label in labels.split(",")}


def exposed(text: str, added: Iterable[str]) -> dict[str, frozenset[str]]:
    """The series of an exposition, with all labels of any sample of each, and those that are added."""
    labels: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels[sample.name] |= sample.labels.keys()
    return {name: frozenset(found) | frozenset(added) for name, found in labels.items()}


def operator_metrics() -> Metrics:
    """The metrics of an operator whose objects have something of everything."""
    world = monitored()
    a_service(world, name="other").settles()
    decided(a_training_job(world, triggers={"schedule": "0 3 * * 1"}).settles())
    metrics = Metrics(("TrainingJob", "ModelVersion", "InferenceService"))
    metrics.watch(depth=lambda: 0.0, oldest=lambda: 0.0, leader=lambda: 1.0)
    metrics.requested("GET", 200)
    metrics.sampled("pod-counts", "answered")
    metrics.watched("team", True)
    metrics.counted(Count("modelwright_retraining_decisions", ("Drift", "Skipped", "Cooldown")))
    metrics.show(GAUGES, world.cache)
    return metrics


@cache
def operator_series() -> Series:
    """Of the operator."""
    return exposed(operator_metrics().text().decode(), OF_OPERATOR)


@cache
def recorded_series() -> Series:
    """Of the rules of a service with objectives, over 30 days."""
    both = Objectives.model_validate({"availability": 0.999, "latencySeconds": 0.1})
    return {
        rule["record"]: frozenset(rule["labels"])
        for indicator in indicators(both, "team", "churn")
        for group in groups(indicator, "team", "churn", 30)
        for rule in group["rules"]
        if "record" in rule
    }
