"""Reads the status of pods: the results of steps, and why a pod failed or does not start.

Messages hold no counters, so that an unchanged state gives an unchanged message. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.api.stepdocument import step_document
from modelwright.common.conditions import true_condition
from modelwright.engine.objects import Body, created

# EX_DATAERR of sysexits.h: by the contract, the exit code of a step that would fail again with the same input.
PERMANENT = 65
UNPULLABLE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
UNSTARTABLE = {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
NEVER_STARTABLE = {"InvalidImageName"}
# What a person mends outside the spec: Secrets, rights, stores, certificates, networks, clocks; and what may end by
# itself. A step tries again by itself first, and says with its exit code whether it did: both are waited for.
STORE_REASONS = (
    "SecretNotFound",
    "SecretIncomplete",
    "CertificatesNotFound",
    "NoCredentials",
    "CredentialsRefused",
    "CredentialsExpired",
    "IdentityRefused",
    "AccessDenied",
    "BucketNotFound",
    "WrongRegion",
    "ClockSkewed",
    "CertificateNotTrusted",
    "AddressRefused",
    "StoreAnswerInvalid",
    "StoreUnavailable",
    "FileChanged",
)
# Step and reason of failures because of missing input, or of a store. The same spec works once that is mended.
NOT_THERE = {
    ("fetch", "DataNotFound"),
    ("fetch", "DvcFileNotFound"),
    ("fetch", "DvcFileInvalid"),
    ("fetch", "DvcPathUnknown"),
    ("fetch", "SourceWroteNothing"),
    ("fetch", "ArtifactNotFound"),
    ("verify", "ArtifactNotFound"),
    ("verify", "SignatureMissing"),
    ("verify", "KeyNotFound"),
    ("verify", "KeyUnreadable"),
    ("pull", "ArtifactNotFound"),
    *(
        (step, reason)
        for step in ("fetch", "publish", "verify", "delete", "pull")
        for reason in STORE_REASONS
    ),
}
# Exit codes with a cause outside the container: EX_TEMPFAIL of sysexits.h, by the contract, and the kubelet's 255 after
# a restart of the node.
OUTSIDE = {75, 255}
LOG_LENGTH = 600
REASON_LENGTH = 64


@dataclass(frozen=True)
class Problem:
    """Something that keeps a pod from doing its work.

    `permanent`: another try would fail the same way.
    `missing`: the input does not exist, or a store cannot be used. The same spec works once that is mended.
    `own`: a container failed by itself, not because of the cluster.
    """

    reason: str
    message: str
    permanent: bool = False
    missing: bool = False
    own: bool = False


def newest_first(pods: Iterable[Body]) -> list[Body]:
    """Returns the pods by age, the newest first."""
    return sorted(pods, key=created, reverse=True)


def container_statuses(pod: Body) -> Iterator[Mapping[str, Any]]:
    """Yields the status of each container, in the order in which they run."""
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def terminated(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How the container ended: its present state, or the last one before a restart. None if it has not ended."""
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    return ended if isinstance(ended, Mapping) else None


def report_of(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """The step document in the container's termination message; empty if there is none that can be read."""
    ended = terminated(container)
    return step_document(ended.get("message") or "") if ended else {}


def step_result(pod: Body, step: str) -> Mapping[str, Any] | None:
    """The result of a step that succeeded; None if it has not.

    Empty if it reported nothing: a user's own image need not.
    """
    for container in container_statuses(pod):
        ended = container.get("state", {}).get("terminated")
        if container.get("name") == step and ended and ended.get("exitCode") == 0:
            result = report_of(container).get("result")
            return result if isinstance(result, dict) else {}
    return None


def running_step(pod: Body) -> str | None:
    """The name of the container that runs now; None if none does."""
    running = (c for c in container_statuses(pod) if "running" in c.get("state", {}))
    return next((str(c["name"]) for c in running), None)


def has_started(pod: Body, name: str) -> bool:
    """True if the container of this name runs, and its startup probe has succeeded since it began."""
    return any(
        c.get("name") == name and "running" in c.get("state", {}) and c.get("started") is True
        for c in container_statuses(pod)
    )


def has_begun(pod: Body) -> bool:
    """True if a container of the pod has ever run."""
    return any("running" in c.get("state", {}) or terminated(c) for c in container_statuses(pod))


def disrupted(pod: Body) -> bool:
    """True if the cluster ended the pod (a drained node, preemption). A Job does not count it as a failure."""
    return true_condition(pod, "DisruptionTarget") is not None


def failure(pod: Body) -> Problem | None:
    """Why the first failed container of the pod failed, or the pod as a whole; None if nothing failed."""
    for container in container_statuses(pod):
        ended = terminated(container)
        if ended is not None and ended.get("exitCode") != 0:
            return _container_failure(str(container["name"]), ended, report_of(container))
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]
        reason = _reason(status.get("reason"), "PodFailed")
        return Problem(reason, f"the pod failed: {status.get('message') or reason}")
    return None


def _container_failure(name: str, ended: Mapping[str, Any], report: Mapping[str, Any]) -> Problem:
    """Why a container failed, given its terminated state and its report."""
    permanent, own = ended.get("exitCode") == PERMANENT, ended.get("exitCode") not in OUTSIDE
    error = report.get("error")
    if isinstance(error, dict) and error.get("reason"):
        reason = _reason(error["reason"], "StepFailed")
        missing = (permanent or reason in STORE_REASONS) and (name, reason) in NOT_THERE
        return Problem(
            reason, f"{name}: {error.get('message', reason)}", permanent, missing, own=own and not missing
        )
    if ended.get("reason") == "OOMKilled":
        message = f"{name} used more memory than its limit: raise resources.limits.memory, or use less data"
        return Problem("OutOfMemory", message, own=True)
    log = (ended.get("message") or "").strip()[-LOG_LENGTH:]
    output = f": {log}" if log else " and left no output"
    return Problem(
        f"{name.capitalize()}Failed",
        f"{name} ended with exit code {ended.get('exitCode')}{output}",
        permanent,
        own=own,
    )


def _reason(reason: object, otherwise: str) -> str:
    """The reason in CamelCase, as conditions require it; `otherwise` if that is not possible."""
    word = re.sub(r"[^A-Za-z0-9]", "", str(reason or ""))[:REASON_LENGTH]
    return word[0].upper() + word[1:] if word[:1].isalpha() else otherwise


def obstacle(pod: Body) -> Problem | None:
    """Why a container cannot start, or the pod cannot be scheduled; None if nothing is known."""
    for container in container_statuses(pod):
        waiting = container.get("state", {}).get("waiting") or {}
        reason = waiting.get("reason")
        image = container.get("image", "")
        if reason in UNPULLABLE:
            return Problem(
                "ImagePullFailed",
                f"{container['name']}: image {image} cannot be pulled; check its name and its pull secret",
            )
        if reason in UNSTARTABLE:
            permanent = reason in NEVER_STARTABLE
            return Problem(str(reason), f"{container['name']}: {waiting.get('message', reason)}", permanent)
    return _unschedulable(pod)


def _unschedulable(pod: Body) -> Problem | None:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            why = _without_counts(str(condition.get("message", "")))
            return Problem(
                "Unschedulable", f"no node takes the pod: {why}" if why else "no node takes the pod"
            )
    return None


def _without_counts(message: str) -> str:
    """The scheduler's message without its numbers of nodes, which change often."""
    message = message.split("preemption:", maxsplit=1)[0]
    message = re.sub(r"^\d+/\d+ nodes are available: ", "", message.strip())
    message = re.sub(r"\b\d+ (?=[A-Za-z])", "", message).strip().rstrip(".,")
    # If preemption cannot help, the scheduler appends sentences of its own: `claim "x" not found. not found`.
    return message.removesuffix(". not found").removesuffix(". no new claims to deallocate")
