"""The operator's metrics of drift and scores: what the status says, and a bounded number of series."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from unit.given.monitoring import EVEN, MOVED, WINDOW, Reporting, a_watched_service, labels
from unit.given.resources import a_served_version
from unit.given.world import World

from modelwright.engine.metrics import Metrics
from modelwright.gauges.monitoring import FAMILIES, monitoring


def shown(world: World) -> dict[str, float]:
    """The series and their values, as Prometheus reads them."""
    metrics = Metrics(())
    metrics.registry = CollectorRegistry()
    metrics.show((monitoring,), world.cache)
    lines = [line for line in generate_latest(metrics.registry).decode().splitlines() if line[0] != "#"]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def test_drift_and_scores_are_gauges() -> None:
    feedback = {"secretRef": {"name": "labels"}, "metrics": [{"name": "accuracy", "min": 0.9}]}
    service = a_watched_service(monitoring={"drift": {"windowSeconds": WINDOW}, "feedback": feedback})
    Reporting(service).pass_windows(EVEN, MOVED, MOVED, **labels(70, 30, Forged=2))

    found = shown(service.world)

    of = 'name="churn",namespace="team"'
    assert found[f"modelwright_drift_detected{{{of}}}"] == 1
    assert found[f"modelwright_monitor_window_rows{{{of}}}"] == 1000
    drift, limit = (
        found[f'modelwright_{each}{{feature="age",{of},statistic="location"}}']
        for each in ("feature_drift", "drift_threshold")
    )
    assert drift > limit > 0
    assert found[f'modelwright_estimated_score{{metric="accuracy",{of}}}'] == 0.8
    assert found[f'modelwright_measured_score{{metric="accuracy",{of}}}'] == 0.7
    assert found[f'modelwright_score_target{{bound="min",metric="accuracy",{of}}}'] == 0.9
    assert found[f"modelwright_score_below_target{{{of}}}"] == 1
    assert found[f'modelwright_feedback_labels{{{of},outcome="forged"}}'] == 6
    assert {series.partition("{")[0] for series in found} == {family for family, *_ in FAMILIES}


def test_what_is_not_known_yet_and_what_is_not_watched_have_no_series() -> None:
    assert shown(a_watched_service().settles().world) == {}
    assert shown(a_served_version().world) == {}
