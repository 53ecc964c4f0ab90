"""The chart on a real cluster: it installs where only restricted pods may run, and drifts nowhere."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.combinations import combinations
from support.kubectl import KUBECONFIG, ROOT, Kubectl, KubectlError, Object, program

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts/modelwright"
EXAMPLES = ROOT / "examples"
OWN_GROUP = "modelwright.dev"
# A release of its own beside the one that other tests use: it watches its namespace alone.
RELEASE = "scoped"
OPERATOR = "scoped-modelwright-operator"


@dataclass(frozen=True)
class Helm:
    """Helm in a namespace."""

    namespace: str

    def run(self, *words: str, values: Object | None = None) -> str:
        """Runs a command with these values; what it printed."""
        command = [program("helm"), f"--kubeconfig={KUBECONFIG}", f"--namespace={self.namespace}", *words]
        given = (*command, "--values", "-") if values is not None else command
        done = subprocess.run(
            given, input=json.dumps(values), capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}"
        return done.stdout

    def upgrade(self, values: Object, *flags: str, release: str = RELEASE, chart: Path = CHART) -> str:
        """Installs or upgrades a release."""
        return self.run("upgrade", "--install", release, str(chart), *flags, values=values)

    def manifests(self, release: str = RELEASE) -> list[Object]:
        """What a release holds."""
        return [each for each in yaml.safe_load_all(self.run("get", "manifest", release)) if each]


@pytest.fixture(scope="module")
def values(shared: Kubectl) -> Object:
    """Values of a release that watches its own namespace and leaves the CRDs alone."""
    images: Object = yaml.safe_load((ROOT / ".cluster/images.yaml").read_text())
    scope = {"scope": {"namespace": shared.namespace}, "crds": {"enabled": False}}
    return {**images, **scope, "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}}


@pytest.fixture(scope="module")
def release(shared: Kubectl, values: Object) -> Iterator[Helm]:
    """The release, installed in a namespace that enforces the restricted standard."""
    helm = Helm(shared.namespace)
    helm.upgrade(values)
    ready = ("rollout", "status", f"deployment/{OPERATOR}", "--timeout=180s")
    try:
        shared.run(*ready, timeout=200)
    except KubectlError as error:
        pytest.fail(
            f"{error}\n{shared.run('get', 'pods,events')}\n{shared.run('logs', f'deployment/{OPERATOR}')}"
        )
    yield helm
    helm.run("uninstall", RELEASE, "--wait")


def pods(kubectl: Kubectl) -> list[Object]:
    """The operator's pods."""
    return kubectl.all("pods", "app.kubernetes.io/component=operator")


def state(kubectl: Kubectl, helm: Helm) -> dict[str, Any]:
    """Everything of the release as the API server stores it, without what controllers report."""
    found = {}
    for manifest in helm.manifests():
        stored = kubectl.get(manifest["kind"], manifest["metadata"]["name"])
        del stored["metadata"]["resourceVersion"]
        stored.pop("status", None)
        found[f"{manifest['kind']}/{manifest['metadata']['name']}"] = stored
    return found


def test_two_replicas_become_ready_where_only_restricted_pods_may_run(shared: Kubectl, release: Helm) -> None:
    namespace = shared.get("namespace", shared.namespace)
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert shared.get("deployment", OPERATOR)["status"]["readyReplicas"] == 2
    assert [s["restartCount"] for pod in pods(shared) for s in pod["status"]["containerStatuses"]] == [0, 0]


def test_an_upgrade_that_changes_nothing_restarts_nothing(
    shared: Kubectl, release: Helm, values: Object
) -> None:
    before, running = state(shared, release), {pod["metadata"]["uid"] for pod in pods(shared)}
    release.upgrade(values, "--wait", "--timeout", "3m")
    assert state(shared, release) == before
    assert {pod["metadata"]["uid"] for pod in pods(shared)} == running


def test_what_the_notes_say_to_type_can_be_typed(shared: Kubectl, release: Helm) -> None:
    notes = release.run("get", "notes", RELEASE)
    assert f"\nkubectl -n {shared.namespace} apply -f - <<EOF\n" in notes
    manifests = notes.split("<<EOF\n")[1].split("\nEOF\n")[0]
    told = shared.run("apply", "--server-side", "--dry-run=server", "-o", "name", "-f", "-", given=manifests)
    assert told.split() == [
        "trainingjob.modelwright.dev/breast-cancer",
        "inferenceservice.modelwright.dev/breast-cancer",
    ]


def test_the_budget_lets_one_replica_go_at_a_time(shared: Kubectl, release: Helm) -> None:
    budget = shared.wait(
        "poddisruptionbudget", OPERATOR, lambda found: found["status"].get("currentHealthy") == 2
    )
    assert budget["status"]["disruptionsAllowed"] == 1


def allowed(kubectl: Kubectl, verb: str, resource: str, namespace: str) -> bool:
    """Whether the operator's account may do this."""
    account = f"system:serviceaccount:{kubectl.namespace}:{OPERATOR}"
    command = Kubectl(namespace).command("auth", "can-i", verb, *resource.split(), f"--as={account}")
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "yes"


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("list", f"trainingjobs.{OWN_GROUP}"),
        ("patch", f"inferenceservices.{OWN_GROUP} --subresource=status"),
        ("create", "jobs.batch"),
        ("patch", "deployments.apps"),
        ("create", "events"),
    ],
)
def test_the_operator_may_do_its_work_in_its_namespace_only(
    shared: Kubectl, release: Helm, verb: str, resource: str
) -> None:
    assert allowed(shared, verb, resource, shared.namespace)
    assert not allowed(shared, verb, resource, "default")


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("get", "secrets"),
        ("create", "pods --subresource=exec"),
        ("create", "pods"),
        ("patch", f"trainingjobs.{OWN_GROUP}"),
        ("update", f"inferenceservices.{OWN_GROUP}"),
        ("patch", f"modelversions.{OWN_GROUP}"),
        ("delete", "persistentvolumeclaims"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("get", "leases.coordination.k8s.io/other"),
    ],
)
def test_the_operator_may_not_do_what_is_not_its_work(
    shared: Kubectl, release: Helm, verb: str, resource: str
) -> None:
    assert not allowed(shared, verb, resource, shared.namespace)


def test_all_combinations_of_values_give_objects_that_the_api_server_takes(shared: Kubectl) -> None:
    found = combinations(shared.namespace)
    assert len(found) > 70
    with ThreadPoolExecutor(4) as pool:
        rendered = list(pool.map(lambda values: templated(shared.namespace, values), found.values()))
    known = shared.run("api-resources", "--output=name").split()
    kinds = {"ServiceMonitor", "PodMonitor", "PrometheusRule"} - {
        kind
        for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
        if f"{kind.lower()}s.monitoring.coreos.com" in known
    }
    # Most objects are the same in many combinations.
    different = {json.dumps(each, sort_keys=True) for manifests in rendered for each in manifests}
    items = [each for each in map(json.loads, sorted(different)) if each["kind"] not in kinds]
    assert len(items) > 150
    by_namespace: dict[str, list[Object]] = {}
    for each in items:
        by_namespace.setdefault(each["metadata"].get("namespace", shared.namespace), []).append(each)
    flags = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-o", "name")
    for namespace, manifests in by_namespace.items():
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        taken = Kubectl(namespace).run("apply", *flags, "-f", "-", given=given, timeout=180)
        assert len(taken.split()) == len(manifests)


def templated(namespace: str, values: Object) -> list[Object]:
    """What a release with these values would install."""
    helm = Helm(namespace)
    said = helm.run("template", "matrix", str(CHART), "--kube-version=1.35.0", values=values)
    # The parser in C: the resource definitions are long.
    return [each for each in yaml.load_all(said, Loader=yaml.CSafeLoader) if each]


@pytest.fixture
def group(kubectl: Kubectl) -> Iterator[str]:
    """An API group of the test's own, of which no definition is left behind."""
    group = f"{kubectl.namespace}.{OWN_GROUP}"
    yield group
    for plural in definitions(kubectl, group):
        kubectl.delete("crd", f"{plural}.{group}")


@pytest.fixture
def other_chart(tmp_path: Path, group: str) -> Path:
    """The chart with its definitions in another API group, so that removing them takes nothing from anybody."""
    chart = shutil.copytree(CHART, tmp_path / "modelwright")
    for path in (chart / "files" / "crds").iterdir():
        path.write_text(path.read_text().replace(OWN_GROUP, group))
    return chart


def definitions(kubectl: Kubectl, group: str) -> set[str]:
    """The definitions of a group that the cluster holds and does not delete."""
    found = [crd for crd in kubectl.all("crd") if crd["spec"]["group"] == group]
    return {crd["spec"]["names"]["plural"] for crd in found if "deletionTimestamp" not in crd["metadata"]}


@pytest.mark.parametrize("keep", [True, False])
def test_definitions_outlive_the_release_if_they_are_to_be_kept(
    kubectl: Kubectl, group: str, other_chart: Path, keep: bool
) -> None:
    helm = Helm(kubectl.namespace)
    values = {"scope": {"namespace": kubectl.namespace}, "replicas": 0, "crds": {"keep": keep}}
    helm.upgrade(values, release="definitions", chart=other_chart)
    installed = definitions(kubectl, group)
    assert installed == {"trainingjobs", "modelversions", "inferenceservices"}
    helm.run("uninstall", "definitions", "--wait")
    assert definitions(kubectl, group) == (installed if keep else set())


def within(part: Any, whole: Any) -> bool:
    """Whether everything that `part` says stands in `whole` too."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and within(part[key], whole[key]) for key in part)
    return bool(part == whole)


def with_encoded_texts(manifest: Object) -> Object:
    """The manifest with the texts of a Secret as the API server stores them."""
    texts = manifest.get("stringData") or {}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {key: value for key, value in manifest.items() if key != "stringData"} | (
        {"data": data} if data else {}
    )


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_an_example_is_stored_as_it_is_written(shared: Kubectl, path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        told = shared.run(
            "apply", "--server-side", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(manifest)
        )
        stored = json.loads(told)
        assert within(with_encoded_texts(manifest), stored)
        if manifest["apiVersion"].startswith(OWN_GROUP):
            assert stored["spec"] == manifest["spec"]
