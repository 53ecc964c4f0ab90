"""The stable revision as what runs shows it, for a status that has lost it. Pure.

The status is the operator's memory, and it can be lost: backup tools leave it out, and people remove it. The Service's
selector names the revision that has the traffic, and its Deployment was made of all that the status holds of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.api.base import Artifact, ResourceRequirements
from modelwright.api.inferenceservice import InferenceServiceStatus, StableRevision
from modelwright.common.reading import read_valid
from modelwright.common.resources import REVISION
from modelwright.engine.objects import Body, controller, created, deleting, labels
from modelwright.inferenceservice.revision.revisions import is_kept

# The reason of the condition Available while no revision has ever been stable.
NOT_DEPLOYED = "NotDeployed"


def recovered(
    status: InferenceServiceStatus, service: Body | None, deployments: Sequence[Body]
) -> StableRevision | None:
    """The stable revision, where the status should hold one and does not: the one that the Service selects, or else
    one that is ready. None where there is nothing to recover."""
    if status.stable is not None:
        return None
    running = [found for found in deployments if not deleting(found) and not is_kept(found)]
    if _has_never_had_one(status):
        # What has lost its owner is of an earlier life: a backup tool may restore it after the InferenceService.
        running, wanted = [found for found in running if controller(found) is None], None
    else:
        wanted = None if service is None else (service["spec"].get("selector") or {}).get(REVISION)
    selected = [found for found in running if labels(found).get(REVISION) == wanted]
    ready = sorted(filter(_ready_pods, running), key=_ready_pods, reverse=True)
    revisions = (_revision(deployment) for deployment in (*selected, *ready))
    return next((revision for revision in revisions if revision is not None), None)


def _has_never_had_one(status: InferenceServiceStatus) -> bool:
    known = next((condition for condition in status.conditions if condition.type == "Available"), None)
    return known is not None and known.reason == NOT_DEPLOYED


def _ready_pods(deployment: Body) -> int:
    return int((deployment.get("status") or {}).get("readyReplicas", 0))


def _revision(deployment: Body) -> StableRevision | None:
    """What a Deployment runs, in the words of its pods; None if it is none of this operator's making."""
    pod = deployment["spec"]["template"]["spec"]
    containers = {found["name"]: found for found in (*pod.get("initContainers", ()), *pod["containers"])}
    pull, server = containers.get("pull", {}), containers.get("server", {})
    try:
        return StableRevision(
            revision=labels(deployment)[REVISION],
            version=_argument(server, "--model-version"),
            artifact=Artifact(uri=_argument(pull, "--uri"), digest=_argument(server, "--model-digest")),
            image=server["image"],
            resources=read_valid(ResourceRequirements, server.get("resources") or {}),
            since=created(deployment),
        )
    except (LookupError, ValueError):
        return None


def _argument(container: Mapping[str, Any], option: str) -> str:
    """The value of an option of the container's command. Raises ValueError if it has none."""
    command = list(container["command"] or ())
    return str(command[command.index(option) + 1])
