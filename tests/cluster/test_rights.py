"""What the policies of the chart let through: specs by what they name, the operator by what it has made."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.kubectl import ROOT, Kubectl, KubectlError, Object, program
from support.manifests import inference_service, model_version, training_job
from support.people import Person

pytestmark = pytest.mark.cluster

POLICIES = ("specspolicy", "operatorpolicy")
LISTS = {
    "images": ["registry.corp/ml/*", "busybox:1"],
    "sources": ["s3://lake/*", "https://data.corp/*", "configmap://churn/*", "pvc://data/*"],
    "stores": ["s3://models/*", "https://s3.corp:9000"],
    "secrets": ["lake"],
    "serviceAccounts": ["trainers"],
}
DIGEST = f"sha256:{'a' * 64}"
NODE_RIGHTS = "asks for what no pod of Modelwright has"
FOREIGN = "is not of Modelwright"


@pytest.fixture(scope="module")
def ruled(shared: Kubectl) -> Iterator[Kubectl]:
    """A namespace for which policies of its own are in force, as if a release was installed in it."""
    values = {
        "fullnameOverride": shared.namespace[:30].strip("-"),
        "serviceAccount": {"name": "operator"},
        "policies": {
            "operator": {"apiAudiences": ["https://issuer.corp"]},
            "trainingJobs": {
                "enabled": True,
                **LISTS,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": shared.namespace}},
            },
        },
    }
    chart = (program("helm"), "template", "rights", str(ROOT / "charts/modelwright"))
    shown = [part for name in POLICIES for part in ("--show-only", f"templates/{name}.yaml")]
    rendered = subprocess.run(
        [*chart, "--namespace", shared.namespace, *shown, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shared.run("apply", "--server-side", "-f", "-", given=rendered)
    shared.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}, *_rights(), a_pod()
    )
    _in_force(shared)
    yield shared
    for policy in (each for each in yaml.safe_load_all(rendered) if each):
        shared.delete(policy["kind"], policy["metadata"]["name"])


def _rights() -> list[Object]:
    """All that a role can give in the namespace: what is refused is refused by the policy."""
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"}
    subject = {"kind": "ServiceAccount", "name": "operator"}
    group = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": group, "kind": "Role", "metadata": {"name": "all"}, "rules": [rule]},
        {
            "apiVersion": group,
            "kind": "RoleBinding",
            "metadata": {"name": "all"},
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _in_force(kubectl: Kubectl) -> None:
    """Waits until the API server has loaded both policies."""
    for _ in range(100):
        try:
            kubectl.apply(job(trainer={"image": "evil/trainer:1"}), dry_run=True)
        except KubectlError:
            try:
                account(kubectl).apply(config_map("probe"), dry_run=True)
            except KubectlError:
                return
        time.sleep(0.1)
    raise AssertionError("the policies are not in force")


def account(kubectl: Kubectl) -> Person:
    """kubectl as the operator's account of the release."""
    return Person(kubectl.namespace, f"system:serviceaccount:{kubectl.namespace}:operator")


def job(**spec: Any) -> Object:
    """A TrainingJob of what is allowed, but for what a test says."""
    image = {"image": "registry.corp/ml/trainer:1"}
    artifacts = {"uri": "s3://models/churn"}
    allowed = {**data(), "trainer": image, "artifacts": artifacts}
    return training_job("churn", **{**allowed, **spec})


def data(**fields: Any) -> Object:
    return {"data": {"uri": "s3://lake/churn.csv", "target": "churned", **fields}}


def trainer(**fields: Any) -> Object:
    return {"trainer": {"image": "busybox:1", **fields}}


def mounted(**volume: Any) -> Object:
    return trainer(volumes=[{"name": "v", **volume}], volumeMounts=[{"name": "v", "mountPath": "/opt/extra"}])


def from_env(**source: Any) -> Object:
    return trainer(env=[{"name": "A", "valueFrom": source}])


def pods_as(name: str) -> Object:
    return {"podTemplate": {"spec": {"serviceAccountName": name}}}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        trainer(),
        data(store={"endpoint": "https://s3.corp:9000", "secretRef": {"name": "lake"}}),
        data(uri="configmap://churn/customers.csv"),
        data(holdout={"uri": "https://data.corp/holdout.csv"}),
        mounted(persistentVolumeClaim={"claimName": "data"}),
        mounted(secret={"secretName": "lake"}),
        from_env(configMapKeyRef={"name": "churn", "key": "a"}),
        pods_as("trainers"),
    ],
)
def test_what_the_lists_hold_is_taken(ruled: Kubectl, spec: Object) -> None:
    ruled.apply(job(**spec), dry_run=True)


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"trainer": {"image": "evil/trainer:1"}}, "the image evil/trainer:1,"),
        ({"trainer": {"image": "registry.corp/mlevil:1"}}, "the image registry.corp/mlevil:1,"),
        ({"trainer": {"image": "evil/registry.corp/ml/a:1"}}, "the image evil/registry.corp/ml/a:1,"),
        ({"trainer": {"image": "registryXcorp/ml/a:1"}}, "the image registryXcorp/ml/a:1,"),
        ({"data": {"source": {"image": "evil:1"}, "target": "churned"}}, "the image evil:1,"),
        (data(uri="s3://lake-of-others/churn.csv"), "the source s3://lake-of-others/churn.csv,"),
        (data(uri="https://data.corp.evil/churn.csv"), "the source https://data.corp.evil/churn.csv,"),
        (data(uri="https://data.corp/a/../../b.csv"), "the source https://data.corp/a/../../b.csv,"),
        (data(uri="https://data.corp/a/%2E./b.csv"), "the source https://data.corp/a/%2E./b.csv,"),
        (data(uri="https://data.corp/a/..#b"), "the source https://data.corp/a/..#b,"),
        (data(uri="https://data.corp@evil/b.csv"), "the source https://data.corp@evil/b.csv,"),
        (data(uri="configmap://other/a.csv"), "the source configmap://other/a.csv,"),
        (
            {"data": {"configMapRef": {"name": "other", "key": "a.csv"}, "target": "churned"}},
            "the source configmap://other/a.csv,",
        ),
        (data(holdout={"uri": "https://evil/holdout.csv"}), "the source https://evil/holdout.csv,"),
        (data(store={"endpoint": "https://evil:9000"}), "the store https://evil:9000,"),
        (
            data(store={"identity": {"roleArn": "arn:aws:iam::1:role/a", "stsEndpoint": "https://evil"}}),
            "the store https://evil,",
        ),
        (data(store={"secretRef": {"name": "other"}}), "the Secret other,"),
        ({"artifacts": {"uri": "s3://others/churn"}}, "the store s3://others/churn,"),
        ({"artifacts": {"uri": "oci://registry.evil/models"}}, "the store oci://registry.evil/models,"),
        (
            {"artifacts": {"uri": "s3://models/a", "store": {"endpoint": "http://evil"}}},
            "the store http://evil,",
        ),
        ({"signing": {"keySecretRef": {"name": "other", "key": "key"}}}, "the Secret other,"),
        (mounted(secret={"secretName": "other"}), "the Secret other,"),
        (mounted(configMap={"name": "other"}), "the source configmap://other/,"),
        (mounted(persistentVolumeClaim={"claimName": "database"}), "the source pvc://database/,"),
        (from_env(secretKeyRef={"name": "other", "key": "a"}), "the Secret other,"),
        (from_env(configMapKeyRef={"name": "other", "key": "a"}), "the source configmap://other/a,"),
        (trainer(envFrom=[{"secretRef": {"name": "other"}}]), "the Secret other,"),
        (trainer(envFrom=[{"configMapRef": {"name": "other"}}]), "the source configmap://other/,"),
        (pods_as("deployer"), "the service account deployer,"),
        ({"podTemplate": {"spec": {"imagePullSecrets": [{"name": "other"}]}}}, "the Secret other,"),
    ],
)
def test_what_the_lists_do_not_hold_is_refused_by_name(ruled: Kubectl, spec: Object, refusal: str) -> None:
    answer = ruled.refuses({**job(**spec), "metadata": {"name": "refused"}})
    assert f"TrainingJob refused names {refusal} which is not allowed here" in answer, answer
    assert (
        "may be named; choose one of them, or ask the administrator for another (policies.trainingJobs."
        in answer
    )


def test_an_object_of_before_keeps_its_spec_and_a_new_spec_is_judged(ruled: Kubectl) -> None:
    ruled.apply(job())
    bad = {"spec": {"trainer": {"image": "evil:1"}}}
    with pytest.raises(KubectlError, match="the image evil:1"):
        ruled.patch("trainingjob", "churn", bad)
    ruled.run("annotate", "trainingjob", "churn", "note=1")
    ruled.delete("trainingjob", "churn")


@pytest.mark.parametrize(
    ("artifact", "refusal"),
    [
        ({"uri": "https://evil/model.onnx"}, "the store https://evil/model.onnx,"),
        ({"uri": "s3://models/a.onnx", "store": {"endpoint": "https://evil"}}, "the store https://evil,"),
        ({"uri": "s3://models/a.onnx", "store": {"secretRef": {"name": "other"}}}, "the Secret other,"),
    ],
)
def test_a_model_by_hand_is_taken_from_places_of_the_list_only(
    ruled: Kubectl, artifact: Object, refusal: str
) -> None:
    manifest = model_version("churn-1", artifact["uri"], DIGEST)
    manifest["spec"]["artifact"].update(artifact)
    assert f"ModelVersion churn-1 names {refusal}" in ruled.refuses(manifest)


def test_a_service_names_accounts_and_secrets_of_the_list_only(ruled: Kubectl) -> None:
    service = inference_service("churn", version="churn-1", **pods_as("deployer"))
    assert "InferenceService churn names the service account deployer," in ruled.refuses(service)
    ruled.apply(inference_service("churn", version="churn-1", **pods_as("trainers")), dry_run=True)


def a_pod() -> Object:
    """A pod as the operator's Deployments make them, which no node takes."""
    container = {
        "name": "c",
        "image": "registry.invalid/none:1",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "schedulerName": "none",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {"app.kubernetes.io/managed-by": "modelwright"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "ours", "labels": labels, "annotations": {"kept": "yes"}},
        "spec": spec,
    }


def config_map(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


def ours(name: str) -> Object:
    return config_map(name, **{"app.kubernetes.io/managed-by": "modelwright"})


def a_deployment(**pod: Any) -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {**a_pod()["spec"], **pod}}
    labels = {"app.kubernetes.io/managed-by": "modelwright"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


def test_the_operator_annotates_its_pods_and_changes_nothing_else_of_them(ruled: Kubectl) -> None:
    operator = account(ruled)
    through = ("patch", "pod", "ours", "--subresource=status", "--type=merge", "-p")
    evil = {"spec": {"containers": [{"name": "c", "image": "evil:1"}]}}
    operator.run(*through, json.dumps({"metadata": {"annotations": {"modelwright.dev/a": "1"}}, **evil}))
    seen = ruled.get("pod", "ours")
    assert seen["metadata"]["annotations"] == {"kept": "yes", "modelwright.dev/a": "1"}
    assert seen["spec"]["containers"][0]["image"] == "registry.invalid/none:1"

    for change in (
        {"metadata": {"annotations": {"other": "1"}}},
        {"metadata": {"annotations": {"kept": "no"}}},
        {"metadata": {"annotations": {"kept": None}}},
        {"metadata": {"labels": {"app": "another"}}},
        {"metadata": {"finalizers": ["modelwright.dev/held"]}},
        {"status": {"phase": "Succeeded"}},
    ):
        refused = operator.refused(*through, json.dumps(change))
        assert "the operator changes nothing of Pod ours but its annotations modelwright.dev/*" in refused
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil:1"}]
    for words in (
        ("patch", "pod", "ours", "--type=json", "-p", json.dumps(image)),
        ("delete", "pod", "ours"),
    ):
        assert "changes nothing of Pod ours" in operator.refused(*words)
    assert ruled.get("pod", "ours")["metadata"]["labels"] == a_pod()["metadata"]["labels"]


def test_the_operator_writes_only_what_it_has_made(ruled: Kubectl) -> None:
    operator = account(ruled)
    ruled.apply(config_map("foreign"))
    assert FOREIGN in operator.refuses(config_map("new"))
    assert FOREIGN in operator.refuses({**ours("foreign"), "data": {"a": "1"}})
    assert FOREIGN in operator.refused("delete", "configmap", "foreign")
    assert FOREIGN in operator.refused(
        "label", "configmap", "foreign", "app.kubernetes.io/managed-by=modelwright"
    )
    operator.apply(ours("mine"))
    operator.apply({**ours("mine"), "data": {"a": "1"}})
    # The label is taken away: the owner counts.
    ruled.run("label", "configmap", "mine", "app.kubernetes.io/managed-by-")
    assert FOREIGN in operator.refused("delete", "configmap", "mine")
    ruled.apply(model_version("owner", "s3://models/a.onnx", DIGEST))
    owner = ruled.get("modelversion", "owner")
    reference = {name: owner[name] for name in ("apiVersion", "kind")}
    reference |= {name: owner["metadata"][name] for name in ("name", "uid")}
    ruled.patch("configmap", "mine", {"metadata": {"ownerReferences": [reference]}})
    operator.run("delete", "configmap", "mine", "--dry-run=server")


TOKEN = "a token or a certificate for the API server"
PROJECTED = "a projected token for the API server"
OF_NODE = "a namespace, a port or an address of the node, or a volume"
RESTRICTED = "root, a privilege, a capability, or a profile"


def with_container(kind: str = "containers", **fields: Any) -> Object:
    """A pod with a container of these fields beside what every one has."""
    whole = {"name": "other", "image": "a:1", "securityContext": context()}
    return {kind: [*(a_pod()["spec"]["containers"] if kind == "containers" else ()), {**whole, **fields}]}


def context(**fields: Any) -> Object:
    """The security of a container, as far as restricted asks for it."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, **fields}


def secured(kind: str = "containers", **fields: Any) -> Object:
    return with_container(kind, securityContext=context(**fields))


def of_pod(**fields: Any) -> Object:
    return {"securityContext": {**a_pod()["spec"]["securityContext"], **fields}}


def volume(**kind: Any) -> Object:
    return {"volumes": [{"name": "v", **kind}]}


def projected(**source: Any) -> Object:
    return volume(projected={"sources": [source]})


def token(**fields: Any) -> Object:
    return projected(serviceAccountToken={"path": "token", **fields})


NOT_OURS: list[tuple[str, Object]] = [
    (TOKEN, {"automountServiceAccountToken": True}),
    (TOKEN, {"automountServiceAccountToken": None}),
    (PROJECTED, token()),
    (PROJECTED, token(audience="https://kubernetes.default.svc.cluster.local")),
    (PROJECTED, token(audience="https://issuer.corp")),
    (OF_NODE, {"hostNetwork": True}),
    (OF_NODE, {"hostPID": True}),
    (OF_NODE, {"hostIPC": True}),
    (OF_NODE, volume(hostPath={"path": "/"})),
    (OF_NODE, volume(csi={"driver": "a.example"})),
    (OF_NODE, volume(nfs={"server": "a", "path": "/"})),
    (OF_NODE, volume(iscsi={"targetPortal": "a", "iqn": "iqn.2026-11.a:b", "lun": 0})),
    (OF_NODE, volume(flexVolume={"driver": "a/b"})),
    (OF_NODE, with_container(ports=[{"containerPort": 80, "hostPort": 80}])),
    (OF_NODE, with_container(livenessProbe={"httpGet": {"port": 80, "host": "127.0.0.1"}})),
    (OF_NODE, with_container(lifecycle={"preStop": {"httpGet": {"port": 80, "host": "10.0.0.1"}}})),
    (RESTRICTED, with_container(securityContext=None)),
    (RESTRICTED, secured(privileged=True, allowPrivilegeEscalation=True)),
    (RESTRICTED, secured("initContainers", allowPrivilegeEscalation=True)),
    (RESTRICTED, secured(allowPrivilegeEscalation=None)),
    (RESTRICTED, secured(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    (RESTRICTED, secured(capabilities={"drop": ["NET_RAW"]})),
    (RESTRICTED, secured(runAsUser=0)),
    (RESTRICTED, secured(runAsNonRoot=False)),
    (RESTRICTED, secured(seccompProfile={"type": "Unconfined"})),
    (RESTRICTED, secured(appArmorProfile={"type": "Unconfined"})),
    (RESTRICTED, secured(seLinuxOptions={"type": "spc_t"})),
    (RESTRICTED, of_pod(runAsUser=0)),
    (RESTRICTED, of_pod(runAsNonRoot=None)),
    (RESTRICTED, of_pod(seccompProfile=None)),
    (RESTRICTED, of_pod(appArmorProfile={"type": "Unconfined"})),
    (RESTRICTED, of_pod(seLinuxOptions={"user": "system_u"})),
    (RESTRICTED, of_pod(sysctls=[{"name": "kernel.msgmax", "value": "1"}])),
    (RESTRICTED, {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}}),
    (RESTRICTED, {"annotations": {"io.kubernetes.cri-o.Devices": "/dev/sda"}}),
]
OURS: list[Object] = [
    {},
    {"annotations": {"container.apparmor.security.beta.kubernetes.io/c": "runtime/default"}},
    token(audience="sts.amazonaws.com"),
    projected(secret={"name": "a"}),
    volume(image={"reference": "a:1"}),
    volume(persistentVolumeClaim={"claimName": "a"}),
    volume(emptyDir={"medium": "Memory"}),
    secured(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
    secured("initContainers", seccompProfile={"type": "Localhost", "localhostProfile": "a.json"}),
    with_container(livenessProbe={"httpGet": {"port": 80}}, lifecycle={"preStop": {"sleep": {"seconds": 1}}}),
    of_pod(runAsUser=1000650000, fsGroup=0, seLinuxOptions={"level": "s0:c1,c2", "type": "container_t"}),
]


def made(kind: str, number: int, pod: Object) -> Object:
    """A Deployment or a Job with the number in its name, whose pods have these fields."""
    fields = {"automountServiceAccountToken": False, **pod}
    annotations = fields.pop("annotations", {})
    found = a_deployment(**fields)
    found["metadata"]["name"] = f"{kind.lower()}-{number}"
    found["spec"]["template"]["metadata"]["annotations"] = annotations
    if kind == "Job":
        template = found["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        found |= {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template, "suspend": True}}
    return found


def test_the_operator_makes_the_pods_that_it_needs(ruled: Kubectl) -> None:
    account(ruled).apply(*(made("Deployment", *each) for each in enumerate(OURS)), dry_run=True)
    account(ruled).apply(made("Job", 0, token(audience="sts.amazonaws.com")), dry_run=True)


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_the_operator_makes_no_pods_with_rights_of_the_node_or_of_the_cluster(
    ruled: Kubectl, kind: str
) -> None:
    operator = account(ruled)
    cases = [made(kind, number, pod) for number, (_, pod) in enumerate(NOT_OURS)]
    with pytest.raises(KubectlError) as refusal:
        operator.apply(*cases, dry_run=True)
    answer = str(refusal.value)
    expected = [
        f"{kind} {kind.lower()}-{number} {NODE_RIGHTS}: {said}" for number, (said, _) in enumerate(NOT_OURS)
    ]
    assert [words for words in expected if words not in answer] == [], answer


def test_the_policies_bind_nobody_else(ruled: Kubectl) -> None:
    ruled.apply(a_deployment(automountServiceAccountToken=True), dry_run=True)
    ruled.run("annotate", "pod", "ours", "by-hand=1", "--dry-run=server")
