"""Values of the chart that go together, for a test that asks an API server about what they give."""

from __future__ import annotations

from typing import Any

Values = dict[str, Any]
DIGEST = "sha256:" + "0f" * 32
LABELS = {"team": "ml", "example.com/cost-centre": "42"}
OPENSHIFT: Values = {
    "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    "workloads": {"podTemplate": {"spec": {"securityContext": None}}},
}
MONITORED: Values = {
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "podMonitor": {"enabled": True, "namespaces": ["team-a"]},
        "prometheusRule": {"enabled": True},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Modelwright"}},
    }
}
PLACED: Values = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}],
    "affinity": {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 1,
                    "podAffinityTerm": {
                        "topologyKey": "topology.kubernetes.io/zone",
                        "labelSelector": {"matchLabels": {"a": "b"}},
                    },
                }
            ]
        }
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
        }
    ],
    "priorityClassName": "system-cluster-critical",
    "runtimeClassName": "gvisor",
    "schedulerName": "other",
}
RESOLVED: Values = {
    "dnsPolicy": "None",
    "dnsConfig": {
        "nameservers": ["10.0.0.10"],
        "searches": ["corp.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    },
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["prometheus.corp"]}],
}
WORKLOADS: Values = {
    "workloads": {
        "podTemplate": {"metadata": {"labels": LABELS}, "spec": {"nodeSelector": {"pool": "ml"}}},
        "training": {
            "podTemplate": {"spec": {"priorityClassName": "batch"}},
            "resources": {"limits": {"cpu": 2}},
        },
        "serving": {"podTemplate": {"metadata": {"annotations": {"a/b": "c"}}}, "imagePolicy": "Now"},
        "imagePullSecrets": ["theirs"],
    }
}
MIRRORED: Values = {
    "global": {
        "imageRegistry": "registry.example:5000/mirror",
        "imagePullSecrets": ["all", {"name": "more"}],
    },
    "image": {"digest": DIGEST, "pullPolicy": "Always"},
    "servingImage": {"tag": "2", "digest": DIGEST},
    "imagePullSecrets": [{"name": "own"}],
}
JOINED: Values = {
    "extraVolumes": [
        {"name": "ca", "configMap": {"name": "corp-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
    "extraInitContainers": [{"name": "wait", "image": "tools"}],
    "extraContainers": [{"name": "proxy", "image": "proxy", "ports": [{"containerPort": 9}]}],
    "extraEnv": [
        {"name": "A", "value": "b"},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "d", "key": "e", "optional": True}}},
    ],
    "extraArgs": ["--log-level=debug"],
}
OWN_OBJECTS: Values = {
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "own"},
            "data": {"a": "b"},
        },
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: {{ .Values.logLevel | quote }}}\n",
    ]
}
DEPLOYED: Values = {
    "replicas": 3,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
    "revisionHistoryLimit": 0,
    "deploymentAnnotations": {"a/b": "c"},
    "deploymentLabels": {"d": "e"},
    "podAnnotations": {"f/g": "h"},
    "podLabels": {"i": "j"},
    "terminationGracePeriodSeconds": 60,
}
GUARDED: Values = {
    "networkPolicy": {
        "enabled": True,
        "apiServerPorts": [6443],
        "metricsFrom": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        ],
    },
    "prometheus": {"url": "https://prometheus.example:9090/prom"},
}
SECURED: Values = {
    "podSecurityContext": {
        "runAsUser": 1000640000,
        "supplementalGroups": [7],
        "supplementalGroupsPolicy": "Strict",
        "fsGroupChangePolicy": "OnRootMismatch",
        "seLinuxOptions": {"level": "s0:c1,c2"},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/a.json"},
        "appArmorProfile": {"type": "RuntimeDefault"},
    },
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
}

SINGLE: dict[str, Values] = {
    "default": {},
    "openshift": OPENSHIFT,
    "monitored": MONITORED,
    "placed": PLACED,
    "resolved": RESOLVED,
    "workloads": WORKLOADS,
    "mirrored": MIRRORED,
    "joined": JOINED,
    "own objects": OWN_OBJECTS,
    "deployed": DEPLOYED,
    "guarded": GUARDED,
    "secured": SECURED,
    "queried": {
        "prometheus": {
            "url": "https://mimir.example/prometheus",
            "caConfigMapRef": {"name": "corp-ca", "key": "ca.crt"},
            "tokenSecretRef": {"name": "reader", "key": "token"},
            "tenant": "ml",
            "headers": {"X-Team": "ml"},
        }
    },
    "guarded workloads": {"networkPolicy": {"workloads": {"enabled": True, "namespaces": ["default"]}}},
    "no budgets of services": {"workloads": {"serving": {"podDisruptionBudgets": False}}},
    "allowed": {
        "policies": {
            "trainingJobs": {
                "enabled": True,
                "images": ["registry.example/ml/*"],
                "sources": ["s3://lake/*"],
                "stores": [],
                "serviceAccounts": ["default"],
                "namespaceSelector": {"matchLabels": {"tier": "shared"}},
            }
        }
    },
    "labelled": {"commonLabels": LABELS, "podLabels": {"team": "other"}},
    "no contexts": {"podSecurityContext": None, "securityContext": None},
    "no probes": {"startupProbe": None, "livenessProbe": None, "readinessProbe": None},
    "other probes": {"livenessProbe": {"initialDelaySeconds": 1, "timeoutSeconds": 9}},
    "recreated": {"strategy": {"type": "Recreate"}, "replicas": 0},
    "one replica": {"replicas": 1, "podDisruptionBudget": {"maxUnavailable": "50%"}},
    "no resources": {"resources": {"requests": None, "limits": None}},
    "no budget": {"podDisruptionBudget": {"enabled": False}},
    "other account": {"serviceAccount": {"create": False, "name": "other"}},
    "annotated account": {"serviceAccount": {"annotations": {"role": "arn:x"}}},
    "no roles": {"rbac": {"create": False}},
    "no aggregation": {"rbac": {"aggregate": False}},
    "no policies": {"modelVersions": {"protectServed": False}, "approvals": {"policy": {"enabled": False}}},
    "author": {"approvals": {"author": True, "policy": {"trusted": ["system:serviceaccount:velero:velero"]}}},
    "no service": {"metrics": {"service": {"enabled": False}}},
    "no rules of services": {"metrics": {"serviceRules": {"enabled": False}}},
    "named": {"nameOverride": "mw", "fullnameOverride": "a" * 36},
    "stored": {"artifacts": {"uri": "s3://bucket/models"}, "stores": {"allowedNetworks": ["10.0.0.0/8"]}},
    "claimed": {"artifacts": {"size": "1Ti", "storageClassName": "fast", "accessMode": "ReadWriteMany"}},
    "no definitions": {"crds": {"enabled": False}},
    "definitions that go": {"crds": {"keep": False}, "commonLabels": LABELS},
}
TOGETHER: dict[str, tuple[Values, ...]] = {
    "openshift for all": (OPENSHIFT, MIRRORED, DEPLOYED, GUARDED),
    "enterprise": (MIRRORED, PLACED, RESOLVED, WORKLOADS, JOINED, OWN_OBJECTS, DEPLOYED, GUARDED, MONITORED),
    "secured and joined": (SECURED, JOINED, RESOLVED, SINGLE["labelled"]),
    "without extras": (
        SINGLE["no service"],
        SINGLE["no budget"],
        SINGLE["no policies"],
        SINGLE["no definitions"],
    ),
    "left to administrators": (SINGLE["other account"], SINGLE["no roles"], SINGLE["no definitions"]),
}


def merged(*parts: Values) -> Values:
    """The values of all parts; of the same value the last counts."""
    result: Values = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def combinations(scope: str) -> dict[str, Values]:
    """All of them; each for the whole cluster, and those that can be for one namespace."""
    found = SINGLE | {name: merged(*parts) for name, parts in TOGETHER.items()}
    scoped = {
        f"{name}, one namespace": merged(values, {"scope": {"namespace": scope}})
        for name, values in found.items()
    }
    del scoped["author, one namespace"]
    several = {"several namespaces": merged(MONITORED, {"scope": {"namespaces": [scope, "default"]}})}
    return found | scoped | several
