"""What platform teams set: security contexts, registries, labels, pods of users, and objects of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.chart.rendering import KUBERNETES, Chart, Manifest, Rendered, loaded

from modelwright.options import parse

DIGEST = "sha256:" + "0f" * 32
# All that is optional, so that each template is rendered.
EVERYTHING: dict[str, Any] = {
    "networkPolicy": {"enabled": True},
    "metrics": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "podMonitor": {"enabled": True},
        "dashboards": {"enabled": True},
    },
}


def argument(rendered: Rendered, option: str) -> str | None:
    """What follows an option of the operator; None if it is not given."""
    found = [each.partition("=")[2] for each in rendered.container()["args"] if each.startswith(f"{option}=")]
    return found[0] if found else None


def selectors(part: Any, key: str = "") -> Iterator[Any]:
    """Everything that selects by labels."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name in {"selector", "matchLabels", "podSelector", "labelSelector"}:
                yield value
            yield from selectors(value, name)
    elif isinstance(part, list):
        for value in part:
            yield from selectors(value, key)


def test_null_drops_a_field_of_a_security_context(chart: Chart) -> None:
    pod = chart.render({"podSecurityContext": {"runAsUser": None, "fsGroup": None, "runAsGroup": 7}}).pod()
    assert pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsGroup": 7,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = chart.render({"securityContext": {"capabilities": None, "runAsUser": 1000640000}}).container()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsUser": 1000640000,
    }


def test_null_drops_security_contexts_and_probes_as_a_whole(chart: Chart) -> None:
    rendered = chart.render({"podSecurityContext": None, "securityContext": None, "startupProbe": None})
    assert "securityContext" not in rendered.pod()["spec"]
    assert not {"securityContext", "startupProbe"} & rendered.container().keys()
    assert rendered.container()["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"}


def test_times_of_probes_are_values(chart: Chart) -> None:
    probe = chart.render({"readinessProbe": {"initialDelaySeconds": 3, "timeoutSeconds": 9}}).container()
    assert probe["readinessProbe"] == {
        "httpGet": {"path": "/readyz", "port": "health"},
        "initialDelaySeconds": 3,
        "periodSeconds": 5,
        "timeoutSeconds": 9,
        "failureThreshold": 3,
    }


def test_common_labels_are_on_every_object_and_in_no_selector(chart: Chart) -> None:
    rendered = chart.render({**EVERYTHING, "commonLabels": {"team": "ml"}})
    without = [
        m["metadata"]["name"] for m in rendered.manifests if m["metadata"]["labels"].get("team") != "ml"
    ]
    assert without == []
    assert rendered.pod()["metadata"]["labels"]["team"] == "ml"
    assert len(rendered.kinds()) >= 15
    found = [each for manifest in rendered.manifests for each in selectors(manifest)]
    assert len(found) > 8
    assert not [each for each in found if "team" in json.dumps(each)]


def test_a_label_of_one_object_counts_more_than_the_common_one(chart: Chart) -> None:
    rendered = chart.render(
        {
            "commonLabels": {"release": "all", "team": "ml"},
            "deploymentLabels": {"release": "deployment"},
            "podLabels": {"release": "pod"},
            "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
        }
    )
    assert rendered.one("Deployment")["metadata"]["labels"]["release"] == "deployment"
    assert rendered.pod()["metadata"]["labels"]["release"] == "pod"
    assert rendered.one("ServiceMonitor")["metadata"]["labels"]["release"] == "prometheus"
    assert rendered.one("ServiceMonitor")["metadata"]["labels"]["team"] == "ml"
    assert rendered.one("Service")["metadata"]["labels"]["release"] == "all"


@pytest.mark.parametrize("labels", [{"commonLabels": {"helm.sh/chart": "x"}}, {"deploymentLabels": {"a": 1}}])
def test_labels_that_the_chart_needs_itself_are_refused(chart: Chart, labels: dict[str, Any]) -> None:
    assert "values don't meet the specifications of the schema" in chart.refusal(labels)


def test_objects_of_ones_own_are_as_given_and_texts_are_templates(chart: Chart) -> None:
    alert = {
        "alert": "Ours",
        "expr": "up == 0",
        "annotations": {"summary": "{{ $labels.namespace }} is {{ $value }}"},
    }
    rule: Manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "own", "namespace": "monitoring"},
        "spec": {"groups": [{"name": "own", "rules": [alert]}]},
    }
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-{{ .Values.logLevel }}\n"
    rendered = chart.render({"extraObjects": [rule, text]})
    assert rendered.one("PrometheusRule") == rule
    assert rendered.one("ConfigMap")["metadata"]["name"] == "modelwright-info"


def test_volumes_and_containers_are_added_to_the_operators_own(chart: Chart) -> None:
    rendered = chart.render(
        {
            "extraVolumes": [{"name": "ca", "configMap": {"name": "corp-ca"}}],
            "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
            "extraInitContainers": [{"name": "wait", "image": "tools"}],
            "extraContainers": [{"name": "proxy", "image": "proxy"}],
        }
    )
    spec = rendered.pod()["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp", "ca"]
    assert [container["name"] for container in spec["initContainers"]] == ["wait"]
    operator, proxy = spec["containers"]
    assert operator["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "ca", "mountPath": "/etc/ca", "readOnly": True},
    ]
    assert proxy == {"name": "proxy", "image": "proxy"}


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"extraVolumes": [{"name": "tmp", "emptyDir": {}}]}, "use another name"),
        ({"extraVolumeMounts": [{"name": "x", "mountPath": "/tmp"}]}, "another path"),
        ({"extraContainers": [{"name": "operator", "image": "x"}]}, "use another"),
    ],
)
def test_what_would_meet_the_operators_own_is_refused(
    chart: Chart, values: dict[str, Any], advice: str
) -> None:
    assert advice in chart.refusal(values)


def test_one_registry_and_secret_serve_all_images(chart: Chart) -> None:
    rendered = chart.render(
        {
            "global": {
                "imageRegistry": "r.example:5000/mirror",
                "imagePullSecrets": ["all", {"name": "more"}],
            },
            "image": {"digest": DIGEST},
            "servingImage": {"repository": "other.example/serving", "tag": "1"},
            "imagePullSecrets": [{"name": "own"}, {"name": "all"}],
            "workloads": {"imagePullSecrets": ["theirs"]},
        }
    )
    container, version = (
        rendered.container(),
        rendered.one("Deployment")["metadata"]["labels"]["app.kubernetes.io/version"],
    )
    assert container["image"] == f"r.example:5000/mirror/modelwright-operator:{version}@{DIGEST}"
    assert argument(rendered, "--serving-image") == "other.example/serving:1"
    assert argument(rendered, "--training-image") == f"r.example:5000/mirror/modelwright-training:{version}"
    names = [secret["name"] for secret in rendered.pod()["spec"]["imagePullSecrets"]]
    assert names == ["all", "more", "own"]
    theirs = [each for each in container["args"] if each.startswith("--image-pull-secret=")]
    assert theirs == [f"--image-pull-secret={name}" for name in ("all", "more", "theirs")]


@pytest.mark.parametrize("repository", ["localhost/modelwright-operator", "r.example/x", "r:5000/x"])
def test_a_registry_of_a_repository_counts_more_than_that_of_all(chart: Chart, repository: str) -> None:
    values = {"global": {"imageRegistry": "mirror.example"}, "image": {"repository": repository, "tag": "1"}}
    assert chart.render(values).container()["image"] == f"{repository}:1"


SPEC: dict[str, Any] = {
    "runtimeClassName": "gvisor",
    "schedulerName": "other",
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["prometheus.corp"]}],
}


@pytest.mark.parametrize("key", SPEC)
def test_fields_of_the_pods_are_passed_on(chart: Chart, default: Rendered, key: str) -> None:
    assert chart.render({key: SPEC[key]}).pod()["spec"][key] == SPEC[key]
    assert key not in default.pod()["spec"]


def test_fields_of_the_deployment_are_passed_on(chart: Chart, default: Rendered) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "0%"}}
    deployment = chart.render(
        {"strategy": strategy, "revisionHistoryLimit": 0, "deploymentAnnotations": {"a/b": "c"}}
    ).one("Deployment")
    assert deployment["spec"]["strategy"] == strategy
    assert deployment["spec"]["revisionHistoryLimit"] == 0
    assert deployment["metadata"]["annotations"] == {"a/b": "c"}
    assert "strategy" not in default.one("Deployment")["spec"]
    assert "annotations" not in default.one("Deployment")["metadata"]


def test_an_annotation_of_the_pods_may_replace_the_charts_own(chart: Chart) -> None:
    key = "kubectl.kubernetes.io/default-container"
    assert chart.render({"podAnnotations": {key: "proxy"}}).pod()["metadata"]["annotations"] == {key: "proxy"}


def test_pods_of_users_are_by_default_what_they_are_without_the_values(default: Rendered) -> None:
    arguments = default.container()["args"]
    without = [each for each in arguments if not each.startswith("--pod-template=")]
    assert len(without) == len(arguments) - 1
    assert parse(arguments).settings == parse(without).settings


def test_pods_of_users_get_the_templates_of_the_values(chart: Chart) -> None:
    rendered = chart.render(
        {
            "workloads": {
                "podTemplate": {
                    "metadata": {"labels": {"team": "ml"}},
                    "spec": {
                        "securityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": 1000640000}
                    },
                },
                "training": {"podTemplate": {"spec": {"priorityClassName": "batch"}}},
                "serving": {"podTemplate": {"spec": {"nodeSelector": {"pool": "serving"}}}},
            }
        }
    )
    assert json.loads(str(argument(rendered, "--pod-template"))) == {
        "metadata": {"labels": {"team": "ml"}},
        "spec": {"securityContext": {"fsGroup": 1000640000, "fsGroupChangePolicy": "OnRootMismatch"}},
    }
    assert argument(rendered, "--training-pod-template") == '{"spec":{"priorityClassName":"batch"}}'
    assert argument(rendered, "--serving-pod-template") == '{"spec":{"nodeSelector":{"pool":"serving"}}}'
    assert parse(rendered.container()["args"]).settings != parse(chart.render().container()["args"]).settings


@pytest.mark.parametrize(
    ("values", "template"),
    [
        ({"podTemplate": {"spec": {"securityContext": None}}}, '{"spec":{}}'),
        ({"podTemplate": None}, "{}"),
    ],
)
def test_null_leaves_users_and_groups_of_all_pods_to_the_cluster(
    chart: Chart, values: Manifest, template: str
) -> None:
    rendered = chart.render({"workloads": values})
    assert argument(rendered, "--pod-template") == template
    assert parse(rendered.container()["args"]).settings != parse(chart.render().container()["args"]).settings


@pytest.mark.parametrize(
    "template",
    [
        {"spec": {"securityContext": {"runAsUser": 0}}},
        {"spec": {"securityContext": {"runAsNonRoot": False}}},
        {"spec": {"hostNetwork": True}},
        {"spec": {"containers": []}},
        {"labels": {"a": "b"}},
    ],
    ids=json.dumps,
)
def test_a_template_holds_nothing_that_restricted_pods_may_not_have(chart: Chart, template: Manifest) -> None:
    refused = chart.refusal({"workloads": {"podTemplate": template}})
    assert "/workloads/podTemplate" in refused


def test_a_parent_chart_sets_and_drops_values_as_well(chart: Chart, tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "modelwright").symlink_to(chart.folder)
    (parent / "Chart.yaml").write_text(
        "apiVersion: v2\nname: parent\nversion: 1.0.0\n"
        "dependencies: [{name: modelwright, version: 0.x.x, condition: modelwright.enabled}]\n"
    )
    own = {"enabled": True, "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    values = {"global": {"imageRegistry": "r.example", "other": 1}, "modelwright": own}
    (parent / "values.yaml").write_text(yaml.safe_dump(values))
    command = [chart.helm, "template", "parent", str(parent), "--kube-version", KUBERNETES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rendered = Rendered(tuple(loaded(done.stdout)))
    assert rendered.container()["image"].startswith("r.example/modelwright-operator:")
    assert rendered.pod()["spec"]["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}


def test_on_openshift_neither_the_operator_nor_users_pods_name_a_user_or_a_group(chart: Chart) -> None:
    values = yaml.safe_load((chart.source / "charts" / "openshift.yaml").read_text())
    rendered = chart.render(values)
    pinned = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "fsGroupChangePolicy"}
    others = [each for each in rendered.manifests if each["kind"] != "CustomResourceDefinition"]
    assert not [field for field in pinned if f'"{field}"' in json.dumps(others)]
    template = json.loads(str(argument(rendered, "--pod-template")))
    assert template == {"spec": {"securityContext": {}}}
    assert rendered.pod()["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert rendered.container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}
