"""Git tools on a real cluster: what Argo CD's actions write is carried out, nothing drifts, pruning takes no child."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
from support.gitops.tools import Tools
from support.kubectl import ROOT, Kubectl, Object
from support.manifests import API_VERSION
from support.models import valid_model
from support.rollouts import FOR_EVER, GOOD, NAME, decisions, publish, serve, service, waits_for_weight

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

SCRIPTS = ROOT / "docs" / "gitops" / "argo-cd" / "modelwright.dev" / "InferenceService"
PRUNED = "pruned"
HELD = [{"weight": 10, "holdSeconds": FOR_EVER}, {"weight": 50, "holdSeconds": FOR_EVER}]


@pytest.fixture(scope="module")
def tools() -> Iterator[Tools]:
    with Tools() as program:
        yield program


@pytest.fixture(scope="module")
def served(shared: Kubectl) -> Kubectl:
    """Version `one` has the traffic, and `two` is there."""
    publish(shared, one=valid_model(), two=GOOD["two"])
    serve(shared, replicas=1)
    return shared


def presses(kubectl: Kubectl, tools: Tools, action: str) -> Object:
    """A person clicks an action that Argo CD offers; gives the service once the operator has carried it out."""
    body = kubectl.get("mwisvc", NAME)
    offered = tools.actions((SCRIPTS / "actions" / "discovery.lua").read_text(), body)
    assert offered[action]["disabled"] is False, offered
    patch = tools.patch((SCRIPTS / "actions" / action / "action.lua").read_text(), body)
    assert set(patch) == {"metadata"}
    flags = ("--type=merge", "--field-manager=argocd-server")
    kubectl.run("patch", "mwisvc", NAME, *flags, "-p", json.dumps(patch))
    token = patch["metadata"]["annotations"]["modelwright.dev/rollout"].partition("#")[2]

    def handled(found: Object) -> bool:
        return bool(found["status"].get("lastHandledRequest") == token)

    found = kubectl.wait("mwisvc", NAME, handled, within=30, what=f"after {action}")
    assert decisions(found)[0]["requestedBy"] == "argocd-server"
    return found


def health(kubectl: Kubectl, tools: Tools) -> str:
    return tools.health((SCRIPTS / "health.lua").read_text(), kubectl.get("mwisvc", NAME))[0]


def difference(kubectl: Kubectl, manifest: Object, *flags: str) -> str:
    """What `kubectl diff` shows."""
    command = kubectl.command("diff", *flags, "-f", "-")
    done = subprocess.run(command, input=json.dumps(manifest), capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


def test_what_argo_cd_writes_for_a_click_is_carried_out(served: Kubectl, tools: Tools) -> None:
    served.apply(service("two", steps=HELD, scaleDownDelaySeconds=600))
    waits_for_weight(served, 10)
    assert health(served, tools) == "Progressing"

    presses(served, tools, "pause")
    served.condition("mwisvc", NAME, "Reconciling", "True", "CanaryPaused", within=30)
    assert health(served, tools) == "Suspended"
    presses(served, tools, "resume")
    presses(served, tools, "promote")
    waits_for_weight(served, 50)
    presses(served, tools, "abort")
    served.condition("mwisvc", NAME, "Stalled", "True", "RolledBack", within=30)
    assert health(served, tools) == "Degraded"
    presses(served, tools, "retry")
    waits_for_weight(served, 10)
    presses(served, tools, "promote-full")
    served.condition("mwisvc", NAME, "Ready", "True", "Serving", within=90)
    assert (health(served, tools), tools.kstatus(served.get("mwisvc", NAME))) == ("Healthy", "Current")
    found = presses(served, tools, "undo")

    assert found["status"]["stable"]["version"] == "one"
    served.condition("mwisvc", NAME, "Ready", "True", "Undone", within=60)


def test_no_git_tool_sees_a_difference(served: Kubectl) -> None:
    manifest = service("one", strategy="Replace")
    served.apply(manifest)
    served.condition("mwisvc", NAME, "Ready", "True", within=90)

    for manager in ("argocd-controller", "kustomize-controller"):
        assert difference(served, manifest, "--server-side", f"--field-manager={manager}") == ""


def test_pruning_takes_what_git_no_longer_has_and_no_child(served: Kubectl) -> None:
    mark = {"team": "models"}
    manifest = service("one", name=PRUNED, strategy="Replace")
    manifest["metadata"]["labels"] = mark
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "labels": mark}}

    def applies(*items: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})
        kinds = (
            f"{API_VERSION}/InferenceService",
            "core/v1/ConfigMap",
            "core/v1/Service",
            "apps/v1/Deployment",
        )
        allowed = [f"--prune-allowlist={kind}" for kind in kinds]
        served.run("apply", "--prune", "-l", "team=models", *allowed, "-f", "-", given=text)

    of_the_service = f"modelwright.dev/inference-service={PRUNED}"

    def children() -> set[str]:
        return {each["metadata"]["uid"] for each in served.all("deployment,service", of_the_service)}

    applies(manifest, other)
    served.condition("mwisvc", PRUNED, "Ready", "True", within=90)
    before = children()
    assert difference(served, manifest) == "", "client-side apply sees none either"
    applies(manifest, other)
    assert children() == before
    applies(other)

    assert served.find("mwisvc", PRUNED) is None
    served.run("wait", "--for=delete", "deployment", "-l", of_the_service, "--timeout=60s")
    assert served.find("modelversion", "one") is not None


def test_a_service_may_be_applied_before_its_version_and_its_file(kubectl: Kubectl, tools: Tools) -> None:
    kubectl.apply(service("one", strategy="Replace"))
    kubectl.condition("mwisvc", NAME, "Reconciling", "True", "ModelNotFound", within=30)
    assert health(kubectl, tools) == "Progressing"

    publish(kubectl, one=valid_model())

    kubectl.condition("mwisvc", NAME, "Ready", "True", "Serving", within=120)


def test_all_examples_can_be_applied_at_once(kubectl: Kubectl) -> None:
    out = kubectl.run("apply", "-R", "-f", str(ROOT / "examples"), "--dry-run=server")

    assert len(out.splitlines()) >= 25
