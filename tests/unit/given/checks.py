"""What holds for everything that a planner decides: statuses that tools understand, manifests that are let in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from unit.given.crds import defects

from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.objects import ROOT_UID, Body, ResourceType, deleting, metadata, owned_by, uid
from modelwright.engine.plan import Annotate, Apply, Confirm, Create, Delete, Effect, Plan

Kstatus = Literal["Current", "InProgress", "Failed", "Terminating"]
# A time, n/m, a hash or uid, a generated pod name: each would make an unchanged state look like a change.
RESTLESS = re.compile(
    r"\d\d:\d\d|\d{4}-\d\d-\d\d|\b\d+/\d+\b|\buid-|[0-9a-f]{8}-[0-9a-f]{4}|\bpod-\d+|\battempt \d"
)


def kstatus(body: Body) -> Kstatus:
    """What kstatus (kubernetes-sigs/cli-utils, pkg/kstatus/status/generic.go) makes of a custom resource."""
    if deleting(body):
        return "Terminating"
    status: Mapping[str, Any] = body.get("status") or {}
    if "observedGeneration" in status and status["observedGeneration"] != metadata(body)["generation"]:
        return "InProgress"
    found = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    if found.get("Reconciling") == "True":
        return "InProgress"
    if found.get("Stalled") == "True":
        return "Failed"
    if "Ready" in found and found["Ready"] != "True":
        return "InProgress"
    return "Current"


def check_plan(resource: ResourceType, body: Body, plan: Plan) -> None:
    """Holds a plan to what every plan must keep to."""
    if plan.status is not None:
        check_status(resource, body, plan.status)
    for event in plan.events:
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]{0,127}", event.reason), event
        assert not RESTLESS.search(event.message), event
    for effect in plan.effects:
        check_effect(body, effect)


def check_status(resource: ResourceType, body: Body, status: Mapping[str, Any]) -> None:
    """Holds a status to its CRD and to what kstatus, Argo CD and `kubectl wait` make of it."""
    assert defects(resource.plural, "status", status) == []
    assert status["observedGeneration"] == metadata(body)["generation"]
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    ready = conditions["Ready"]["status"] == "True"
    under_way, given_up = "Reconciling" in conditions, "Stalled" in conditions
    assert ready + under_way + given_up == 1, f"one of Ready, Reconciling, Stalled: {sorted(conditions)}"
    for condition in conditions.values():
        assert condition["observedGeneration"] == metadata(body)["generation"]
        assert not RESTLESS.search(condition["message"]), condition
        assert condition["message"], condition
    for extra in {"Reconciling", "Stalled"} & set(conditions):
        assert conditions[extra]["status"] == "True", "present only while true"
        assert conditions[extra]["reason"] == conditions["Ready"]["reason"]
    expected = "Current" if ready else "Failed" if given_up else "InProgress"
    assert kstatus({**body, "status": status}) == expected


RIGHTS = "pods may be patched by way of their status alone, and all else not so"


def check_effect(owner: Body, effect: Effect) -> None:
    """Holds an object that is to be made or changed to what every one of ours must be."""
    if isinstance(effect, Delete | Annotate):
        assert effect.uid, "a deletion or a note names the one object that it means"
        by_status = isinstance(effect, Annotate) and effect.by_status
        assert by_status is (isinstance(effect, Annotate) and effect.key.resource.kind == "Pod"), RIGHTS
        return
    if isinstance(effect, Confirm):
        return
    body = effect.body
    meta = metadata(body)
    assert (meta["name"], meta["namespace"]) == (effect.key.name, effect.key.namespace)
    assert (body["apiVersion"], body["kind"]) == (effect.key.resource.api_version, effect.key.resource.kind)
    assert len(meta["name"]) <= 63
    assert all(len(value) <= 63 for value in meta["labels"].values()), meta["labels"]
    assert meta["labels"][MANAGED_BY] == MANAGER
    check_ownership(owner, effect)
    spec = pod_spec_of(body)
    if spec is not None:
        assert restricted_violations(spec) == []
        assert spec["automountServiceAccountToken"] is False
        assert body["spec"]["template"]["metadata"]["labels"][ROOT_UID], "its pods lead back to it"


def check_ownership(owner: Body, effect: Create | Apply) -> None:
    """What a ModelVersion or the claim holds outlives what made it; all else goes with its owner."""
    outlives = effect.key.resource.kind in {"ModelVersion", "PersistentVolumeClaim"}
    if outlives:
        assert "ownerReferences" not in metadata(effect.body)
        return
    assert owned_by(effect.body, owner)
    assert metadata(effect.body)["labels"][ROOT_UID] == uid(owner)


def pod_spec_of(body: Body) -> Mapping[str, Any] | None:
    """The pod that a Job or a Deployment makes."""
    template = body.get("spec", {}).get("template")
    return template["spec"] if template else None


# As in the chart's policy for the operator's account, which lets no other kind through.
VOLUMES = {"configMap", "downwardAPI", "emptyDir", "image", "persistentVolumeClaim", "projected", "secret"}
SOURCES = {"configMap", "downwardAPI", "secret", "serviceAccountToken"}


def restricted_violations(pod: Mapping[str, Any]) -> list[str]:
    """What the Pod Security Standard `restricted`, and the chart's policy for the operator, have against a pod."""
    found = [f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    for volume in pod.get("volumes", ()):
        found += [f"volume {volume['name']}: {kind}" for kind in set(volume) - {"name"} - VOLUMES]
        for source in volume.get("projected", {}).get("sources", ()):
            found += [f"volume {volume['name']}: {kind}" for kind in set(source) - SOURCES]
            if "serviceAccountToken" in source and not source["serviceAccountToken"].get("audience"):
                found.append(f"volume {volume['name']}: a token for the API server")
    whole: Mapping[str, Any] = pod.get("securityContext", {})
    found += [f"pod: {name}" for name in ("seLinuxOptions", "sysctls", "windowsOptions") if whole.get(name)]
    containers = (*pod.get("initContainers", ()), *pod["containers"], *pod.get("ephemeralContainers", ()))
    for container in containers:
        found += [f"{container['name']}: {wrong}" for wrong in _container_violations(container, whole)]
    return found


def _container_violations(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own: Mapping[str, Any] = container.get("securityContext", {})
    both = {**pod, **own}
    capabilities = own.get("capabilities", {})
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "has capabilities"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "may run as root"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "has no seccomp profile"
    if own.get("procMount", "Default") != "Default" or own.get("seLinuxOptions"):
        yield "has a procMount or SELinux options of its own"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "takes a port of the host"
