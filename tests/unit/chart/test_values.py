"""Wrong values are refused and said to be, right ones are documented, and the chart is in order."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from unit.chart.rendering import Chart

from modelwright.api.stores import Store
from modelwright.options import parse

# Parts that Kubernetes checks itself: they are passed on as they are.
PASSED_ON = {
    "nodeAffinity", "podAffinity", "podAntiAffinity",
    "fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "global", "named", "manifest",
}  # fmt: skip

BOTH = {"secretRef": {"name": "x"}, "identity": {"roleArn": "arn"}}
UNKNOWN: list[dict[str, Any]] = [
    {"replicaCount": 3},
    {"image": {"name": "x"}},
    {"crds": {"install": True}},
    {"workloads": {"training": {"limits": {}}}},
    {"workloads": {"serving": {"resources": {"request": {}}}}},
    {"artifacts": {"bucket": "x"}},
    {"stores": {"default": []}},
    {"stores": {"defaults": [{"prefix": "s3://a", "store": {"bucket": "x"}}]}},
    {"stores": {"defaults": [{"prefix": "s3://a", "store": {"identity": {"role": "x"}}}]}},
    {"metrics": {"serviceMonitor": {"namespace": "x"}}},
    {"metrics": {"prometheusRule": {"rules": []}}},
    {"metrics": {"podMonitor": {"namespace": "x"}}},
    {"metrics": {"dashboards": {"folder": "x"}}},
    {"networkPolicy": {"enable": True}},
    {"prometheus": {"token": "x"}},
    {"tolerations": [{"effects": "NoSchedule"}]},
    {"affinity": {"nodeaffinity": {}}},
    {"rbac": {"clusterAdmin": True}},
    {"modelVersions": {"protect": True}},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"workloads": {"serving": {"resources": {"limits": {"gpu": 1}}}}}, "gpu"),
    ({"replicas": "2"}, "replicas"),
    ({"replicas": -1}, "replicas"),
    ({"logLevel": "verbose"}, "logLevel"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"image": {"repository": "repo:with:Colons/UPPER"}}, "repository"),
    ({"image": {"digest": "sha256:abc"}}, "digest"),
    ({"image": {"tag": "a b"}}, "tag"),
    ({"imagePullSecrets": ["regcred"]}, "imagePullSecrets"),
    ({"scope": {"namespace": "Team_A"}}, "namespace"),
    ({"artifacts": {"uri": "https://bucket"}}, "uri"),
    ({"artifacts": {"uri": "oci://registry"}}, "uri"),
    ({"stores": {"defaults": [{"prefix": "lake", "store": {}}]}}, "prefix"),
    ({"stores": {"defaults": [{"prefix": "s3://a"}]}}, "store"),
    ({"stores": {"defaults": [{"prefix": "s3://a", "store": {"endpoint": "https://a:b@c"}}]}}, "endpoint"),
    ({"stores": {"allowedNetworks": ["10.0.0.1"]}}, "allowedNetworks"),
    ({"stores": {"allowedNetworks": ["10.0.0.0/33"]}}, "allowedNetworks"),
    ({"stores": {"allowedNetworks": ["::/129"]}}, "allowedNetworks"),
    ({"artifacts": {"size": "10 GB"}}, "size"),
    ({"workloads": {"serving": {"imagePolicy": "Later"}}}, "imagePolicy"),
    ({"workloads": {"serving": {"maxConcurrentRollouts": 0}}}, "maxConcurrentRollouts"),
    ({"workloads": {"serving": {"passHeaders": ["a,b"]}}}, "passHeaders"),
    ({"workloads": {"serving": {"passHeaders": ["a"] * 17}}}, "passHeaders"),
    ({"artifacts": {"accessMode": "ReadOnlyMany"}}, "accessMode"),
    ({"workloads": {"training": {"resources": {"limits": {"memory": "lots"}}}}}, "memory"),
    ({"podLabels": {"app.kubernetes.io/name": "mine"}}, "podLabels"),
    ({"podAnnotations": {"a": True}}, "podAnnotations"),
    *(
        (
            {"workloads": {kind: {"podTemplate": {"metadata": {field: {key: "x"}}}}}},
            f"invalid propertyName '{key}'",
        )
        for kind, field, key in (
            ("training", "labels", "modelwright.dev/x"),
            ("serving", "labels", "app.kubernetes.io/managed-by"),
            ("serving", "annotations", "container.apparmor.security.beta.kubernetes.io/server"),
        )
    ),
    ({"networkPolicy": {"apiServerPorts": []}}, "apiServerPorts"),
    ({"networkPolicy": {"prometheusPorts": ["web"]}}, "prometheusPorts"),
    ({"prometheus": {"url": "prometheus:9090"}}, "prometheus/url"),
    ({"prometheus": {"url": "http://user:secret@prometheus"}}, "prometheus/url"),
    ({"prometheus": {"url": "http://prometheus/?x=y"}}, "prometheus/url"),
    ({"metrics": {"prometheusRule": {"queueOldestSeconds": 0}}}, "queueOldestSeconds"),
    ({"metrics": {"prometheusRule": {"stuckSeconds": 1}}}, "stuckSeconds"),
    ({"metrics": {"podMonitor": {"namespaces": ["Team_A"]}}}, "namespaces"),
    ({"metrics": {"serviceRules": {"labels": {"release": 1}}}}, "labels"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
    ({"crds": {"keep": "yes"}}, "keep"),
    ({"modelVersions": {"protectServed": "always"}}, "protectServed"),
]
IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"artifacts": {"uri": "pvc://models", "storageClassName": "fast"}}, "remove one of the two"),
    (
        {"stores": {"defaults": [{"prefix": "s3://a", "store": BOTH}]}},
        "s3://a has a secretRef and an identity",
    ),
    (
        {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
        "metrics.service.enabled",
    ),
    (
        {"metrics": {"service": {"enabled": False}, "prometheusRule": {"enabled": True}}},
        "metrics.service.enabled",
    ),
    ({"serviceAccount": {"create": False}}, "name an account"),
    ({"serviceAccount": {"create": False, "name": "x", "annotations": {"a": "b"}}}, "annotate your own"),
    ({"extraArgs": ["--namespace=other"]}, "scope.namespace"),
    ({"extraArgs": ["--health-port", "9"]}, "extraArgs must not hold --health-port"),
]


@pytest.mark.parametrize("values", UNKNOWN, ids=json.dumps)
def test_an_unknown_value_is_refused(chart: Chart, values: dict[str, Any]) -> None:
    assert "additional properties" in chart.refusal(values)


@pytest.mark.parametrize(("values", "named"), WRONG, ids=json.dumps)
def test_a_wrong_value_is_refused_by_name(chart: Chart, values: dict[str, Any], named: str) -> None:
    said = chart.refusal(values)
    assert "values don't meet the specifications of the schema" in said
    assert named in said


@pytest.mark.parametrize(("values", "advice"), IMPOSSIBLE, ids=json.dumps)
def test_values_that_contradict_each_other_are_refused_with_advice(
    chart: Chart, values: dict[str, Any], advice: str
) -> None:
    assert advice in chart.refusal(values)


def test_a_parent_chart_can_hold_this_one(chart: Chart) -> None:
    assert chart.render({"global": {"anything": 1}, "enabled": True}).of("Deployment")


def test_the_values_that_make_images_writes_are_accepted(chart: Chart) -> None:
    images = {
        key: {"repository": f"localhost/{key}", "tag": "dev"}
        for key in ("image", "servingImage", "trainingImage")
    }
    images = {key: {**image, "repository": image["repository"].lower()} for key, image in images.items()}
    assert chart.render(images).container()["image"] == "localhost/image:dev"


def test_stores_reach_the_operator_as_the_api_has_them(chart: Chart) -> None:
    store = {"secretRef": {"name": "lake"}, "endpoint": "https://s3.corp:9000"}
    values = {
        "stores": {
            "defaults": [{"prefix": "s3://lake", "store": store}],
            "allowedNetworks": ["10.0.0.0/8", "fd00::/8"],
        },
        "artifacts": {"uri": "s3://lake/models"},
    }
    settings = parse(chart.render(values).container()["args"]).settings

    assert [(each.prefix, each.store) for each in settings.stores] == [
        ("s3://lake", Store.model_validate(store))
    ]
    assert settings.allowed_networks == ("10.0.0.0/8", "fd00::/8")
    assert settings.artifacts_uri == "s3://lake/models"


def test_labels_of_the_rules_of_services_reach_the_operator(chart: Chart) -> None:
    labels = {"release": "prometheus", "team": "ml"}
    rendered = chart.render({"metrics": {"serviceRules": {"labels": labels}}})
    assert parse(rendered.container()["args"]).settings.alert_rules == tuple(labels.items())
    assert parse(chart.render().container()["args"]).settings.alert_rules == ()
    without = chart.render({"metrics": {"serviceRules": {"enabled": False, "labels": labels}}})
    assert parse(without.container()["args"]).settings.alert_rules is None


def objects(schema: Any, name: str = "values") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object, with its name."""
    if isinstance(schema, list):
        for item in schema:
            yield from objects(item, name)
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield name, schema
        for key, part in schema.items():
            yield from objects(part, key)


def test_no_object_of_the_schema_lets_unknown_names_pass(chart: Chart) -> None:
    schema = json.loads((chart.folder / "values.schema.json").read_text())
    loose = {name for name, part in objects(schema) if part.get("additionalProperties", True) is True}
    assert loose == PASSED_ON


def leaves(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value that is not a map of others, by its dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and value
        found |= leaves(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def test_the_readme_lists_every_value_with_its_default(chart: Chart) -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", (chart.folder / "README.md").read_text(), re.MULTILINE)
    assert {name: yaml.safe_load(default) for name, default in rows} == leaves(chart.values())


def test_every_value_is_in_the_schema_with_a_description(chart: Chart) -> None:
    schema = json.loads((chart.folder / "values.schema.json").read_text())
    for name in leaves(chart.values()):
        part = schema
        for key in name.split("."):
            if part.get("allOf"):
                break
            part = part["properties"][key]
        assert part["description"], name


@pytest.mark.parametrize("kubernetes", ["1.30.9", "1.21.0"])
def test_a_kubernetes_that_is_too_old_is_refused(chart: Chart, kubernetes: str) -> None:
    assert "kubeVersion: >=1.31.0-0" in chart.refusal({}, kubernetes)


def test_helm_lint_finds_nothing(chart: Chart) -> None:
    said = chart.lint()
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said


def test_the_chart_names_no_registry(chart: Chart) -> None:
    host = re.compile(r"\b(docker\.io|quay\.io|ghcr\.io|gcr\.io|registry\.[a-z0-9-]+\.[a-z]+)\b")
    named = [path for path in chart.folder.rglob("*") if path.is_file() and host.search(path.read_text())]
    assert named == []


def test_chart_and_operator_have_the_same_version(chart: Chart) -> None:
    described = yaml.safe_load((chart.folder / "Chart.yaml").read_text())
    project = tomllib.loads((chart.source / "pyproject.toml").read_text())["project"]
    assert described["appVersion"] == project["version"]
