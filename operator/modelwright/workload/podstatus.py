"""Reads pods: what a step reported when it ended, why a pod does not start, in messages without counters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelwright.common.conditions import standing
from modelwright.engine.objects import Body, created

# sysexits.h: EX_DATAERR. The contract's code for an input that cannot work.
PERMANENT = 65
UNPULLABLE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
UNSTARTABLE = {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
NEVER_STARTABLE = {"InvalidImageName"}
# Failures of a step whose input is not there: it may come, and then the same spec works.
NOT_THERE = {("fetch", "DataNotFound"), ("verify", "ArtifactNotFound"), ("pull", "ArtifactNotFound")}
# Exit codes that blame the cluster: EX_TEMPFAIL of sysexits.h, by the contract, and the kubelet's after a node restart.
OUTSIDE = {75, 255}
LOG_LENGTH = 600
REASON_LENGTH = 64


@dataclass(frozen=True)
class Problem:
    """Something that keeps a pod from doing its work.

    `permanent`: the same would happen again. `missing`: its input is not there, which is the one case of it that can
    pass without a change of the spec. `own`: a container ended by itself, whatever the cluster did.
    """

    reason: str
    message: str
    permanent: bool = False
    missing: bool = False
    own: bool = False


def newest_first(pods: Iterable[Body]) -> list[Body]:
    """Pods by age, the youngest first."""
    return sorted(pods, key=created, reverse=True)


def container_statuses(pod: Body) -> Iterator[Mapping[str, Any]]:
    """The states of the pod's containers in the order in which they run."""
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def terminated(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How the container ended, now or the last time before it was started again."""
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    return ended if isinstance(ended, Mapping) else None


def report_of(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON object that the container left as its termination message; empty when it left none."""
    ended = terminated(container)
    try:
        report = json.loads(ended.get("message") or "null") if ended else None
    except ValueError:
        return {}
    return report if isinstance(report, dict) else {}


def step_result(pod: Body, step: str) -> Mapping[str, Any] | None:
    """What a step found, if it ended well; empty when it reported nothing (a user's own image need not)."""
    for container in container_statuses(pod):
        ended = container.get("state", {}).get("terminated")
        if container.get("name") == step and ended and ended.get("exitCode") == 0:
            result = report_of(container).get("result")
            return result if isinstance(result, dict) else {}
    return None


def running_step(pod: Body) -> str | None:
    """The container that runs now."""
    running = (c for c in container_statuses(pod) if "running" in c.get("state", {}))
    return next((str(c["name"]) for c in running), None)


def has_begun(pod: Body) -> bool:
    """Whether a container of the pod has ever run."""
    return any("running" in c.get("state", {}) or terminated(c) for c in container_statuses(pod))


def disrupted(pod: Body) -> bool:
    """Whether the cluster ended the pod (a drained node, preemption): a Job of ours does not count it."""
    return standing(pod, "DisruptionTarget") is not None


def failure(pod: Body) -> Problem | None:
    """Why a container of the pod failed; the first one that did."""
    for container in container_statuses(pod):
        ended = terminated(container)
        if ended is not None and ended.get("exitCode") != 0:
            return _ended_badly(str(container["name"]), ended, report_of(container))
    if pod.get("status", {}).get("phase") == "Failed":
        status = pod["status"]
        reason = _word(status.get("reason"), "PodFailed")
        return Problem(reason, f"the pod failed: {status.get('message') or reason}")
    return None


def _ended_badly(name: str, ended: Mapping[str, Any], report: Mapping[str, Any]) -> Problem:
    permanent, own = ended.get("exitCode") == PERMANENT, ended.get("exitCode") not in OUTSIDE
    error = report.get("error")
    if isinstance(error, dict) and error.get("reason"):
        reason = _word(error["reason"], "StepFailed")
        missing = permanent and (name, reason) in NOT_THERE
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


def _word(reason: object, otherwise: str) -> str:
    """A reason of any form as one word that a condition may hold."""
    word = re.sub(r"[^A-Za-z0-9]", "", str(reason or ""))[:REASON_LENGTH]
    return word[0].upper() + word[1:] if word[:1].isalpha() else otherwise


def obstacle(pod: Body) -> Problem | None:
    """Why a container cannot start, or the pod cannot be placed."""
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
    return _unplaced(pod)


def _unplaced(pod: Body) -> Problem | None:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            why = _without_counts(str(condition.get("message", "")))
            return Problem(
                "Unschedulable", f"no node takes the pod: {why}" if why else "no node takes the pod"
            )
    return None


def _without_counts(message: str) -> str:
    """The scheduler's message without its numbers of nodes, which change all the time."""
    message = message.split("preemption:", maxsplit=1)[0]
    message = re.sub(r"^\d+/\d+ nodes are available: ", "", message.strip())
    message = re.sub(r"\b\d+ (?=[A-Za-z])", "", message).strip().rstrip(".,")
    # Where no preemption could help the scheduler adds a sentence of its own: `claim "x" not found. not found`.
    return message.removesuffix(". not found")
