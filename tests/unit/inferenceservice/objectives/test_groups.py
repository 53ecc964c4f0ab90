"""promtool itself reads the rules and plays days of traffic: what burns a budget goes off, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.prometheus import promtool

from modelwright.api.monitoring import Objectives
from modelwright.inferenceservice.objectives.burning import PAGES, TICKETS
from modelwright.inferenceservice.objectives.groups import groups
from modelwright.inferenceservice.objectives.indicators import indicators

STEP_SECONDS = 30
HOUR = 3600 // STEP_SECONDS
LABELS = 'model="churn",version="churn-1",protocol="http",namespace="team",inferenceservice="churn"'
OBJECTIVES = {"availability": 0.999, "latencySeconds": 0.05, "latencyTarget": 0.99}


def rules(objectives: Mapping[str, Any] = OBJECTIVES, days: int = 30) -> dict[str, Any]:
    """The file of rules that the PrometheusRule of `churn` holds."""
    of = Objectives.model_validate(objectives)
    found = [
        group
        for indicator in indicators(of, "team", "churn")
        for group in groups(indicator, "team", "churn", days)
    ]
    return {"groups": found}


def counter(name: str, labels: str, values: str) -> dict[str, str]:
    return {"series": f"modelwright_{name}{{{LABELS},{labels}}}", "values": values}


def growing(*phases: tuple[float, float], start: float = 0) -> str:
    """A counter in steps of 30 s. `phases`: hours, and how much comes a second."""
    parts, value = [], start
    for hours, rate in phases:
        steps, each = round(hours * HOUR), rate * STEP_SECONDS
        parts.append(f"{value:g}+{each:g}x{steps - 1}")
        value += each * steps
    return " ".join(parts)


def answered(
    pod: str, *phases: tuple[float, float], code: str = "200", name: str = "requests_total"
) -> dict[str, str]:
    return counter(name, f'pod="{pod}",code="{code}"', growing(*phases))


def gone_off(tmp_path: Path, hours: float, *series: Mapping[str, str], **objectives: Any) -> set[str]:
    """Which of the alerts fire after some hours of these series."""
    file, tests = tmp_path / "rules.json", tmp_path / "tests.json"
    file.write_text(json.dumps(rules(objectives or OBJECTIVES)))
    asked = {
        f"{name} {severity}": f"count(ALERTS{{alertname='Modelwright{name}',severity='{severity}'}}) or vector(0)"
        for name in ("AvailabilityBurns", "LatencyBurns")
        for severity in ("critical", "warning")
    }
    # promtool only compares, so each is compared with none: its report quotes the queries that give more.
    compared = [
        {"expr": query, "eval_time": f"{round(hours * 60)}m", "exp_samples": [{"value": 0, "labels": "{}"}]}
        for query in asked.values()
    ]
    test = {"interval": f"{STEP_SECONDS}s", "input_series": list(series), "promql_expr_test": compared}
    document = {"rule_files": [str(file)], "evaluation_interval": f"{STEP_SECONDS}s", "tests": [test]}
    tests.write_text(json.dumps(document))
    try:
        promtool("test", "rules", tests)
    except AssertionError as failed:
        report = str(failed)
        assert "got:" in report, report
        return {name for name, query in asked.items() if query in report}
    return set()


def quick(pod: str, *phases: tuple[float, float], bound: str = "0.05") -> dict[str, str]:
    return counter("request_duration_seconds_bucket", f'pod="{pod}",le="{bound}"', growing(*phases))


def counted(pod: str, *phases: tuple[float, float]) -> dict[str, str]:
    return counter("request_duration_seconds_count", f'pod="{pod}"', growing(*phases))


def failing(pod: str, *phases: tuple[float, float], code: str = "500") -> dict[str, str]:
    return answered(pod, *phases, code=code)


def test_the_rules_are_valid_and_their_names_are_those_of_sloth(tmp_path: Path) -> None:
    for days in (7, 28, 30, 90):
        file = tmp_path / "rules.json"
        file.write_text(json.dumps(rules(days=days)))
        assert "42 rules found" in promtool("check", "rules", file)
    recorded = {rule.get("record") for group in rules()["groups"] for rule in group["rules"]}
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
    assert {f"slo:sli_error:ratio_rate{window}" for window in windows} <= recorded
    assert {
        "slo:objective:ratio",
        "slo:error_budget:ratio",
        "slo:period_error_budget_remaining:ratio",
    } <= recorded


def test_burn_rates_are_those_of_the_workbook_and_never_below_one() -> None:
    assert [alarm.burn_rate(30) for alarm in (*PAGES, *TICKETS)] == pytest.approx([14.4, 6, 3, 1])
    assert [alarm.burn_rate(7) for alarm in (*PAGES, *TICKETS)] == pytest.approx([3.36, 1.4, 1, 1])
    assert max(alarm.threshold(0.5, 90) for alarm in (*PAGES, *TICKETS)) == 0.9


def test_a_budget_that_burns_wakes_somebody_and_one_that_no_longer_burns_does_not(tmp_path: Path) -> None:
    pods = [
        answered("a", (1.5, 10), (0.5, 9), (0.5, 10)),
        answered("b", (2.5, 10)),
        failing("a", (1.5, 0), (0.5, 1), (0.5, 0)),
    ]
    assert gone_off(tmp_path, 2, *pods) == {"AvailabilityBurns critical", "AvailabilityBurns warning"}
    assert gone_off(tmp_path, 2.5, *pods) == {"AvailabilityBurns warning"}


def test_one_failed_request_of_a_quiet_service_wakes_nobody(tmp_path: Path) -> None:
    one = counter("requests_total", 'pod="a",code="500"', f"0x{HOUR - 5} 1x{HOUR}")
    for rate in (0.1, 0.01):
        assert gone_off(tmp_path, 1, answered("a", (2, rate)), one) == set()


def test_a_quiet_service_that_fails_all_requests_wakes_somebody(tmp_path: Path) -> None:
    series = answered("a", (1, 0.02), (1.2, 0)), failing("a", (1, 0), (1.2, 0.02), code="UNAVAILABLE")
    assert "AvailabilityBurns critical" in gone_off(tmp_path, 2.1, *series)
    assert "AvailabilityBurns critical" in gone_off(tmp_path, 2.1, *series, availability=0.5)


def test_wrong_requests_and_silence_burn_nothing(tmp_path: Path) -> None:
    series = (
        answered("a", (1, 10), (1, 0)),
        failing("a", (1, 5), (1, 0), code="400"),
        failing("a", (1, 5), (1, 0), code="429"),
    )
    assert gone_off(tmp_path, 0.9, *series) == set()
    assert gone_off(tmp_path, 1.9, *series) == set()


def test_a_canary_that_fails_what_the_stable_revision_then_answers_burns_nothing(tmp_path: Path) -> None:
    """And one that fails callers of its own does."""
    stable = answered("stable", (2, 10))
    failed = failing("canary", (1, 0), (1, 1))
    unseen = answered("canary", (1, 0), (1, 1), code="500", name="unseen_requests_total")
    assert gone_off(tmp_path, 1.9, stable, failed, unseen) == set()
    assert "AvailabilityBurns critical" in gone_off(tmp_path, 1.9, stable, failed)


def test_slow_answers_burn_the_budget_of_latency_alone(tmp_path: Path) -> None:
    series = (
        answered("a", (2, 10)),
        counted("a", (2, 10)),
        quick("a", (1, 10), (1, 8)),
        quick("a", (2, 10), bound="0.1"),
    )
    assert gone_off(tmp_path, 1.9, *series) == {"LatencyBurns critical", "LatencyBurns warning"}
    assert gone_off(tmp_path, 1.9, *series, latencySeconds=0.1) == set()
