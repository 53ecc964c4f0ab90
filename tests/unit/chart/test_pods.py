"""The operator's pods keep to the restricted standard, survive a node, and run with what the values say."""

from __future__ import annotations

from typing import Any

import pytest
from unit.chart.rendering import Chart, Rendered

from modelwright.options import parse

ALLOWED_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir",
    "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
DIGEST = "sha256:" + "0f" * 32
DEFAULT_TEMPLATE = (
    '{"spec":{"securityContext":{"fsGroup":65532,"fsGroupChangePolicy":"OnRootMismatch",'
    '"runAsGroup":65532,"runAsUser":65532}}}'
)


def test_pods_keep_to_the_restricted_pod_security_standard(default: Rendered) -> None:
    spec, container = default.pod()["spec"], default.container()
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert all(volume.keys() - {"name"} <= ALLOWED_VOLUMES for volume in spec["volumes"])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["runAsGroup"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("hostPort" not in port for port in container["ports"])


def test_only_tmp_can_be_written(default: Rendered) -> None:
    assert default.container()["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert [volume["name"] for volume in default.pod()["spec"]["volumes"]] == ["tmp"]


def test_memory_is_bounded_and_cpu_is_not(default: Rendered) -> None:
    resources = default.container()["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_probes_and_metrics_share_the_health_port(default: Rendered) -> None:
    container = default.container()
    assert container["ports"] == [{"name": "health", "containerPort": 8080}]
    assert "--health-port=8080" in container["args"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    (port,) = default.one("Service")["spec"]["ports"]
    assert port["targetPort"] == "health"


@pytest.mark.parametrize(
    "values", [{}, {"scope": {"namespace": "team-a"}, "artifacts": {"uri": "pvc://models"}}]
)
def test_the_operator_understands_its_arguments(chart: Chart, values: dict[str, Any]) -> None:
    container = chart.render(
        {"workloads": {"serving": {"resources": {"limits": {"cpu": 1}}}}, **values}
    ).container()
    options = parse(container["args"])
    assert options.namespaces == tuple(filter(None, [values.get("scope", {}).get("namespace")]))
    assert options.health_port == container["ports"][0]["containerPort"]
    assert options.settings.serving_resources == {"limits": {"cpu": 1}}
    assert options.settings.artifacts_uri == values.get("artifacts", {}).get("uri")


def test_the_arguments_say_what_the_values_say(chart: Chart) -> None:
    container = chart.render(
        {
            "servingImage": {"repository": "local/serving", "tag": "1"},
            "trainingImage": {"repository": "local/training", "tag": "2", "digest": DIGEST},
            "workloads": {
                "imagePullPolicy": "Never",
                "imagePullSecrets": ["one", "two"],
                "training": {"resources": {"limits": {"memory": "3Gi", "cpu": 2}}},
                "serving": {
                    "resources": {"requests": {"cpu": "10m"}},
                    "imagePolicy": "Now",
                    "maxConcurrentRollouts": 2,
                    "podDisruptionBudgets": False,
                    "passHeaders": ["X-Tenant", "baggage"],
                },
            },
            "artifacts": {"size": "1Ti", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
            "logLevel": "debug",
            "extraArgs": ['--extra={"a": "b"}'],
        }
    ).container()
    assert container["args"] == [
        "--lease-namespace=modelwright-system",
        "--lease-name=modelwright-operator",
        "--serving-image=local/serving:1",
        f"--training-image=local/training:2@{DIGEST}",
        "--serving-image-policy=Now",
        "--max-concurrent-rollouts=2",
        "--image-pull-policy=Never",
        "--artifacts-size=1Ti",
        "--artifacts-access-mode=ReadWriteMany",
        "--health-port=8080",
        "--log-level=debug",
        f"--pod-template={DEFAULT_TEMPLATE}",
        "--artifacts-storage-class=fast",
        "--approvals-policy=modelwright-approvals",
        "--no-disruption-budgets",
        '--training-resources={"limits":{"cpu":2,"memory":"3Gi"}}',
        '--serving-resources={"requests":{"cpu":"10m"}}',
        "--pass-headers=X-Tenant,baggage",
        "--image-pull-secret=one",
        "--image-pull-secret=two",
        '--extra={"a": "b"}',
    ]


def test_a_store_that_exists_is_passed_on(chart: Chart) -> None:
    container = chart.render({"artifacts": {"uri": "pvc://models/all"}}).container()
    assert "--artifacts-uri=pvc://models/all" in container["args"]


def test_the_prometheus_that_is_there_is_passed_on_and_let_through(chart: Chart) -> None:
    rendered = chart.render(
        {
            "prometheus": {"url": "https://prometheus.example:8443/prom"},
            "networkPolicy": {"enabled": True, "prometheusPorts": [9091]},
        }
    )
    assert parse(rendered.container()["args"]).prometheus.url == "https://prometheus.example:8443/prom"
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 9091}]} in egress


def test_images_default_to_the_version_of_the_chart(default: Rendered) -> None:
    version = default.one("Deployment")["metadata"]["labels"]["app.kubernetes.io/version"]
    assert default.container()["image"] == f"modelwright-operator:{version}"
    assert f"--serving-image=modelwright-serving:{version}" in default.container()["args"]
    assert f"--training-image=modelwright-training:{version}" in default.container()["args"]


def test_an_image_can_be_pinned_by_digest(chart: Chart) -> None:
    container = chart.render(
        {"image": {"repository": "r.example/mw", "tag": "7", "digest": DIGEST}}
    ).container()
    assert container["image"] == f"r.example/mw:7@{DIGEST}"


def test_two_replicas_are_spread_and_keep_a_disruption_budget(default: Rendered) -> None:
    assert default.one("Deployment")["spec"]["replicas"] == 2
    (spread,) = default.pod()["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"].items() <= default.pod()["metadata"]["labels"].items()
    budget = default.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == default.one("Deployment")["spec"]["selector"]


def test_one_replica_does_not_block_the_drain_of_its_node(chart: Chart) -> None:
    assert not chart.render({"replicas": 1}).of("PodDisruptionBudget")


SETTINGS: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    },
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "system-cluster-critical",
    "imagePullSecrets": [{"name": "regcred"}],
    "terminationGracePeriodSeconds": 45,
}


@pytest.mark.parametrize("key", SETTINGS)
def test_settings_of_pods_reach_the_pods_as_they_are(chart: Chart, key: str) -> None:
    assert chart.render({key: SETTINGS[key]}).pod()["spec"][key] == SETTINGS[key]


def test_labels_annotations_and_environment_are_added(chart: Chart) -> None:
    rendered = chart.render(
        {
            "podLabels": {"team": "ml"},
            "podAnnotations": {"a/b": "true"},
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        }
    )
    metadata = rendered.pod()["metadata"]
    assert metadata["labels"]["team"] == "ml"
    assert metadata["annotations"]["a/b"] == "true"
    assert rendered.container()["env"] == [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]


def test_services_budgets_and_policies_select_the_operators_pods(chart: Chart) -> None:
    rendered = chart.render(
        {"networkPolicy": {"enabled": True}, "nameOverride": "other", "podLabels": {"x": "y"}}
    )
    labels = rendered.pod()["metadata"]["labels"].items()
    selectors = (
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    )
    assert all(selector.items() <= labels for selector in selectors)


def test_the_network_policy_opens_what_the_operator_needs(chart: Chart) -> None:
    policy = chart.render(
        {
            "networkPolicy": {
                "enabled": True,
                "apiServerPorts": [6443],
                "metricsFrom": [{"namespaceSelector": {}}],
            }
        }
    ).one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [
        {"ports": [{"protocol": "TCP", "port": "health"}], "from": [{"namespaceSelector": {}}]}
    ]
    opened = [(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]]
    assert opened == [("UDP", 53), ("TCP", 53), ("TCP", 6443), ("TCP", 9090)]
    (served,) = policy["egress"][-1]["to"]
    assert served["podSelector"]["matchExpressions"] == [
        {"key": "modelwright.dev/inference-service", "operator": "Exists"}
    ]


def test_nothing_optional_is_installed_unasked(default: Rendered) -> None:
    unasked = {"NetworkPolicy", "ServiceMonitor", "PodMonitor", "PrometheusRule", "Secret", "ConfigMap"}
    assert not default.kinds() & unasked


def test_a_service_monitor_finds_the_metrics_service(chart: Chart) -> None:
    rendered = chart.render(
        {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    )
    monitor, service = rendered.one("ServiceMonitor"), rendered.one("Service")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [e["port"] for e in monitor["spec"]["endpoints"]] == [p["name"] for p in service["spec"]["ports"]]


def test_names_stay_within_a_label_however_long_the_release_is_called(chart: Chart) -> None:
    rendered = chart.render({"fullnameOverride": "a" * 36, "scope": {"namespace": "b" * 63}})
    names = [m["metadata"]["name"] for m in rendered.manifests if m["kind"] != "CustomResourceDefinition"]
    assert max(map(len, names)) <= 63
