"""What the chart has Prometheus do: promtool reads its alerts, plays what sets them off, and knows every series."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.prometheus import definitions
from jsonschema import Draft202012Validator
from support.prometheus import promtool
from unit.chart.rendering import Chart, Manifest, Rendered
from unit.dashboards.series import operator_series, series_of
from unit.given.resources import a_service, a_world

from modelwright.api.monitoring import Objectives
from modelwright.common.resources import PROMETHEUS_RULES
from modelwright.engine.objects import Key
from modelwright.inferenceservice.objectives.groups import groups
from modelwright.inferenceservice.objectives.indicators import indicators

JOB = 'job="modelwright-operator-metrics"'
ON: dict[str, Any] = {
    "metrics": {"prometheusRule": {"enabled": True, "queueOldestSeconds": 7, "labels": {"a": "b"}}}
}
SERVICE = 'kind="InferenceService",namespace="team",name="churn"'


@pytest.fixture(scope="module")
def rendered(chart: Chart) -> Rendered:
    return chart.render(ON)


def alerts(rendered: Rendered) -> dict[str, Manifest]:
    return {
        rule["alert"]: rule
        for group in rendered.one("PrometheusRule")["spec"]["groups"]
        for rule in group["rules"]
    }


def test_every_series_of_an_alert_is_one_that_the_operator_has(rendered: Rendered) -> None:
    known = operator_series()
    for name, alert in alerts(rendered).items():
        used = series_of(alert["expr"])
        assert used, name
        for series, labels in used.items():
            assert labels - {"job"} <= known[series] | {"namespace"}, (name, series)
    assert rendered.one("PrometheusRule")["metadata"]["labels"]["a"] == "b"
    service = rendered.one("Service")
    assert all(f'job="{service["metadata"]["name"]}"' in alert["expr"] for alert in alerts(rendered).values())


def test_promtool_finds_no_fault(rendered: Rendered, tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rendered.one("PrometheusRule")["spec"]))
    assert "SUCCESS" in promtool("check", "rules", file)


def test_the_page_has_a_row_for_each_alert_with_its_severity(chart: Chart, rendered: Rendered) -> None:
    page = (chart.source / "docs/monitoring.md").read_text()
    rows = re.findall(r"^\| (`Modelwright.*?`) \| (\w+) \|", page, re.MULTILINE)
    documented = {name: severity for names, severity in rows for name in re.findall(r"`(\w+)`", names)}
    made = {name: alert["labels"]["severity"] for name, alert in alerts(rendered).items()}
    objectives = Objectives.model_validate({"availability": 0.9, "latencySeconds": 1})
    of_services = {
        rule["alert"]
        for indicator in indicators(objectives, "team", "churn")
        for group in groups(indicator, "team", "churn", 30)
        for rule in group["rules"]
        if "alert" in rule
    }
    assert documented == made | dict.fromkeys(of_services, "critical")


def condition(kind: str, status: str, reason: str, of: str = SERVICE) -> str:
    return f'modelwright_resource_condition{{{JOB},{of},type="{kind}",status="{status}",reason="{reason}"}}'


GOES_OFF = {
    "ModelwrightUnavailable": condition("Available", "False", "NoReadyPods"),
    "ModelwrightNamespaceUnwatched": f'modelwright_namespace_watched{{{JOB},namespace="team"}}',
    "ModelwrightRolledBack": condition("Stalled", "True", "RolledBack"),
    "ModelwrightStalled": condition("Stalled", "True", "GoldenMismatch"),
    "ModelwrightStuck": condition("Reconciling", "True", "DataNotFound"),
    "ModelwrightDrift": condition("DriftDetected", "True", "FeatureDrift"),
    "ModelwrightScoreBelowTarget": condition("ScoreBelowTarget", "True", "ScoreBelowTarget"),
    "ModelwrightUnwatched": condition("DriftDetected", "Unknown", "PodsSilent"),
    "ModelwrightTriggersSuspended": condition("TriggersActive", "False", "FailuresInARow"),
    "ModelwrightTriggerFails": condition("TriggersActive", "False", "ServiceNotFound"),
    "ModelwrightConditionsLeftOut": f'modelwright_resource_conditions_left_out{{{JOB},type="Stalled",status="True"}}',
}
QUIET = (
    condition("Reconciling", "True", "AwaitingApproval"),
    condition("TriggersActive", "False", "Suspended"),
)


def test_each_condition_sets_off_its_alert_and_no_other(rendered: Rendered, tmp_path: Path) -> None:
    rules, tests = tmp_path / "rules.json", tmp_path / "tests.json"
    rules.write_text(json.dumps(rendered.one("PrometheusRule")["spec"]))
    leads = {"series": f'modelwright_leader{{{JOB},namespace="modelwright-system"}}', "values": "1x800"}

    def firing(series: str, expected: Mapping[str, int], value: int = 1) -> dict[str, Any]:
        samples = [{"labels": f'{{alertname="{name}"}}', "value": value} for name, value in expected.items()]
        query = 'count by (alertname) (ALERTS{alertstate="firing"})'
        compared = [{"expr": query, "eval_time": "7h", "exp_samples": samples}]
        # Two replicas show the same.
        shown = [{"series": series[:-1] + f',pod="{pod}"}}', "values": f"{value}+0x800"} for pod in "ab"]
        return {"interval": "1m", "input_series": [leads, *shown], "promql_expr_test": compared}

    watched = GOES_OFF["ModelwrightNamespaceUnwatched"]
    played = [firing(series, {name: 1}, int(series != watched)) for name, series in GOES_OFF.items()]
    played += [firing(series, {}) for series in (*QUIET, watched)]
    tests.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": played}))
    assert "SUCCESS" in promtool("test", "rules", tests)


def strict(schema: Any) -> Any:
    """A schema of a CRD that refuses unknown fields, as the API server does with --validate=strict."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items() if not key.startswith("x-kubernetes")}
    if isinstance(schema.get("properties"), dict):
        closed["additionalProperties"] = False
    return closed


def defects(manifest: Manifest) -> list[str]:
    """What the CRD of the Prometheus Operator has against a manifest."""
    file = definitions() / f"monitoring.coreos.com_{manifest['kind'].lower()}s.yaml"
    (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
    assert manifest["apiVersion"] == f"monitoring.coreos.com/{version['name']}"
    spec = strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return [error.message for error in Draft202012Validator(spec).iter_errors(manifest["spec"])]


def test_the_prometheus_operator_takes_what_the_chart_and_the_operator_make(chart: Chart) -> None:
    on = {"enabled": True}
    rendered = chart.render(
        {"metrics": {"podMonitor": {**on, "namespaces": ["a"]}, "serviceMonitor": on, "prometheusRule": on}}
    )
    service = a_service(a_world(), monitoring={"slo": {"availability": 0.999, "latencySeconds": 1}}).settles()
    made = service.world.api.objects[Key(PROMETHEUS_RULES, "team", "churn-slo")]
    for manifest in (*rendered.of("PodMonitor", "ServiceMonitor", "PrometheusRule"), made):
        assert defects(manifest) == [], manifest["kind"]
    assert defects({**made, "spec": {**made["spec"], "group": []}})


def test_serving_pods_are_scraped_with_the_labels_that_tell_them_apart(chart: Chart) -> None:
    on: dict[str, Any] = {"enabled": True, "labels": {"release": "prometheus"}}
    monitor = chart.render({"metrics": {"podMonitor": on}}).one("PodMonitor")
    spec = monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert (spec["namespaceSelector"], endpoint["port"]) == ({"any": True}, "admin")
    assert {each["targetLabel"] for each in endpoint["relabelings"]} == {"inferenceservice", "pod_revision"}

    some = chart.render({"metrics": {"podMonitor": {**on, "namespaces": ["a", "b"]}}}).one("PodMonitor")
    assert some["spec"]["namespaceSelector"] == {"matchNames": ["a", "b"]}
    scoped = chart.render({"scope": {"namespace": "a"}, "metrics": {"podMonitor": on}}).one("PodMonitor")
    assert scoped["spec"]["namespaceSelector"] == {"matchNames": ["a"]}


def test_series_about_an_object_keep_the_namespace_of_the_object(chart: Chart) -> None:
    monitor = chart.render({"metrics": {"serviceMonitor": {"enabled": True}}}).one("ServiceMonitor")
    assert [endpoint["honorLabels"] for endpoint in monitor["spec"]["endpoints"]] == [True]


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds(chart: Chart) -> None:
    on = {"enabled": True, "annotations": {"grafana_folder": "Modelwright"}}
    maps = chart.render({"metrics": {"dashboards": on}}).of("ConfigMap")
    files = {file.name: file.read_text() for file in (chart.folder / "files/dashboards").glob("*.json")}
    assert len(files) == 3
    found = {name: text for each in maps for name, text in each["data"].items()}
    assert {name.removeprefix("modelwright-"): json.loads(text) for name, text in found.items()} == {
        name: json.loads(text) for name, text in files.items()
    }
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in maps} == {"1"}
    assert {each["metadata"]["annotations"]["grafana_folder"] for each in maps} == {"Modelwright"}
