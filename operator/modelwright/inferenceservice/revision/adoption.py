"""Recovers the stable revision from the Service and the Deployments when the status has lost it. Pure.

A status can be lost: backup tools leave it out, and people remove it. The Service's selector names the revision that
has the traffic, and the Deployment of that revision holds everything that the status held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.api.base import ResourceRequirements
from modelwright.api.inferenceservice import InferenceServiceStatus, ServerOptions, StableRevision
from modelwright.api.monitoring import FeedbackKeys
from modelwright.api.stores import Artifact
from modelwright.common.reading import read_valid
from modelwright.common.resources import REVISION
from modelwright.engine.objects import Body, controller, created, deleting, labels
from modelwright.inferenceservice.revision.revisions import FEEDBACK_VOLUME, is_kept
from modelwright.workload.podtemplate import said_in, template_in
from modelwright.workload.stores import kept_store

# The reason of Available until the first revision is stable.
NOT_DEPLOYED = "NotDeployed"


def recovered(
    status: InferenceServiceStatus, service: Body | None, deployments: Sequence[Body]
) -> StableRevision | None:
    """Returns the stable revision that the status should hold and does not: the one that the Service selects, or else
    the one with the most ready pods. None if the status has one, or nothing can be recovered."""
    if status.stable is not None:
        return None
    running = [
        deployment for deployment in deployments if not deleting(deployment) and not is_kept(deployment)
    ]
    if _has_never_had_one(status):
        # Only Deployments without an owner: a backup tool may restore them after the InferenceService.
        running, named = [deployment for deployment in running if controller(deployment) is None], None
    else:
        named = None if service is None else (service["spec"].get("selector") or {}).get(REVISION)
    selected = [deployment for deployment in running if labels(deployment).get(REVISION) == named]
    ready = sorted(filter(_ready_pods, running), key=_ready_pods, reverse=True)
    revisions = (_revision(deployment) for deployment in (*selected, *ready))
    return next((revision for revision in revisions if revision is not None), None)


def _has_never_had_one(status: InferenceServiceStatus) -> bool:
    """True if the status still has its conditions, and they state that no revision was stable yet."""
    available = next((condition for condition in status.conditions if condition.type == "Available"), None)
    return available is not None and available.reason == NOT_DEPLOYED


def _ready_pods(deployment: Body) -> int:
    return int((deployment.get("status") or {}).get("readyReplicas", 0))


def _revision(deployment: Body) -> StableRevision | None:
    """The revision that a Deployment runs, read from its pod template; None if this operator did not make it."""
    pod = deployment["spec"]["template"]["spec"]
    containers = {
        container["name"]: container for container in (*pod.get("initContainers", ()), *pod["containers"])
    }
    pull, server = containers.get("pull", {}), containers.get("server", {})
    try:
        return StableRevision(
            revision=labels(deployment)[REVISION],
            version=_argument(server, "--model-version"),
            artifact=Artifact(
                uri=_argument(pull, "--uri"),
                digest=_argument(server, "--model-digest"),
                store=kept_store(pod, "pull"),
            ),
            image=server["image"],
            resources=read_valid(ResourceRequirements, server.get("resources") or {}),
            server=_server_options(server),
            feedback=_feedback(pod, server),
            pod_template=said_in(deployment),
            merged_pod_template=template_in(deployment),
            since=created(deployment),
        )
    except (LookupError, ValueError):
        return None


def _server_options(server: Mapping[str, Any]) -> ServerOptions | None:
    """The options of the spec in the server's command; None without any."""
    given = {
        "run_seconds": _argument(server, "--run-seconds", ""),
        "row_sharing": _argument(server, "--row-sharing", "").capitalize(),
        "max_rows": _argument(server, "--max-rows", ""),
    }
    options = {field: value for field, value in given.items() if value}
    return ServerOptions.model_validate(options) if options else None


def _feedback(pod: Mapping[str, Any], server: Mapping[str, Any]) -> FeedbackKeys | None:
    """The keys for feedback that the server's pod mounts; None if it takes no feedback."""
    if _argument(server, "--feedback-keys", "") == "":
        return None
    (volume,) = (volume for volume in pod.get("volumes", ()) if volume["name"] == FEEDBACK_VOLUME)
    age = _argument(server, "--feedback-max-age-seconds", "")
    return FeedbackKeys(secret=volume["secret"]["secretName"], max_age_seconds=int(age) if age else None)


def _argument(container: Mapping[str, Any], option: str, default: str | None = None) -> str:
    """The value of an option of the container's command. Raises ValueError if it has none and there is no default."""
    command = list(container["command"] or ())
    if default is not None and option not in command:
        return default
    return str(command[command.index(option) + 1])
