"""Parts of pod manifests. Every pod of the operator follows the restricted Pod Security Standard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.api.podtemplate import PodTemplate
from modelwright.common.settings import Settings
from modelwright.engine.objects import Body
from modelwright.workload.podstatus import PERMANENT
from modelwright.workload.podtemplate import pod_fields

# Files of Secrets: for the user and the group of the pod.
SECRET_MODE = 0o440
TEMPORARY = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - a mount point inside the container


@dataclass(frozen=True)
class Parts:
    """What a container is given for one purpose: volumes of its pod, and mounts and variables of its own."""

    volumes: tuple[Mapping[str, Any], ...] = ()
    mounts: tuple[Mapping[str, Any], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def container(
    name: str,
    image: str,
    settings: Settings,
    *,
    resources: Mapping[str, Any],
    mounts: Sequence[Mapping[str, Any]],
    env: Mapping[str, str] | None = None,
    scratch: str | None = None,
) -> dict[str, Any]:
    """A container without privileges. If it fails without a termination message, the end of its log becomes one.

    `scratch`: the folder of the volume at /tmp that it sees, where containers of one pod must not share it.
    """
    temporary = TEMPORARY if scratch is None else {**TEMPORARY, "subPath": scratch}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        **({"env": [{"name": key, "value": value} for key, value in env.items()]} if env else {}),
        "resources": dict(resources),
        "volumeMounts": [dict(mount) for mount in (*mounts, temporary)],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


def pod_spec(
    template: PodTemplate, counted: Mapping[str, str], volumes: Sequence[Mapping[str, Any]], **parts: Any
) -> dict[str, Any]:
    """The spec of a pod without a service account token, root or service environment variables.

    `counted`: the labels of the pods among which it is spread, where its template does not say.
    """
    return {
        **pod_fields(template, counted),
        "volumes": _distinct((*volumes, empty_dir("tmp"))),
        **parts,
    }


def _distinct(volumes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The volumes, each once: several containers may use one."""
    return list({volume["name"]: dict(volume) for volume in volumes}.values())


def failure_policy(*steps: str) -> dict[str, Any]:
    """The podFailurePolicy of a Job.

    A step that exits with PERMANENT fails the Job. A pod that the cluster ended (a drained node, preemption) does not
    count as a failure.
    """
    exits = [{"containerName": step, "operator": "In", "values": [PERMANENT]} for step in steps]
    disruption = {"type": "DisruptionTarget", "status": "True"}
    return {
        "rules": [
            *({"action": "FailJob", "onExitCodes": codes} for codes in exits),
            {"action": "Ignore", "onPodConditions": [disruption]},
        ]
    }


def empty_dir(name: str) -> dict[str, Any]:
    """An emptyDir volume, which lives as long as the pod."""
    return {"name": name, "emptyDir": {}}


def annotation_volume(name: str, file: str, annotation: str) -> dict[str, Any]:
    """A volume with a file that holds an annotation of the pod."""
    field = {"fieldPath": f"metadata.annotations['{annotation}']"}
    return {"name": name, "downwardAPI": {"items": [{"path": file, "fieldRef": field}]}}


def claims_of(owner: Body) -> list[str]:
    """The names of the PersistentVolumeClaims that the pods of a Deployment or Job mount."""
    volumes = owner["spec"]["template"]["spec"].get("volumes") or ()
    claims = (volume.get("persistentVolumeClaim") for volume in volumes)
    return [str(claim["claimName"]) for claim in claims if claim]


def claim_volume(name: str, claim: str, *, read_only: bool) -> dict[str, Any]:
    """The volume of a PersistentVolumeClaim."""
    return {
        "name": name,
        "persistentVolumeClaim": {"claimName": claim, **({"readOnly": True} if read_only else {})},
    }


def config_map_volume(name: str, config_map: str) -> dict[str, Any]:
    """The volume of a ConfigMap; empty if there is none, which the step in the pod reports."""
    return {"name": name, "configMap": {"name": config_map, "optional": True}}


def secret_volume(name: str, reference: Mapping[str, Any], file: str, *, optional: bool) -> dict[str, Any]:
    """A volume with one key of a Secret as a file. `optional`: it is empty if there is none; else the pod waits."""
    items = [{"key": reference["key"], "path": file}]
    secret = {"secretName": reference["name"], "items": items, "defaultMode": SECRET_MODE}
    return {"name": name, "secret": {**secret, **({"optional": True} if optional else {})}}


def whole_secret_volume(name: str, secret: str, *, optional: bool = False) -> dict[str, Any]:
    """A volume with all keys of a Secret as files. `optional`: it is empty if there is none; else the pod waits."""
    found = {"secretName": secret, "defaultMode": SECRET_MODE, **({"optional": True} if optional else {})}
    return {"name": name, "secret": found}


def mount(name: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    """A volumeMount of a container."""
    return {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}
