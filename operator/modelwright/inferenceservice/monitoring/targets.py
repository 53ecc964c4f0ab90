"""Which pods are asked for what they have counted, and how often. Pure.

Only pods of the stable revision are: those of a canary and of a shadow see other requests. Services without
`spec.monitoring`, or with nothing in it but objectives, have no targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwright.api.monitoring import WINDOW_SECONDS
from modelwright.common.conditions import true_condition
from modelwright.common.indexes import is_monitored
from modelwright.common.resources import (
    DEPLOYMENTS,
    INFERENCE_SERVICE,
    REVISION,
    SERVER,
    controlled,
    orphaned,
    pods_for,
    pods_of_deployments,
)
from modelwright.common.times import from_timestamp
from modelwright.engine.cache import View
from modelwright.engine.objects import Body, Key, deleting, labels, status_of, uid

# How many times pods are asked in a window, and the bounds of the seconds in between.
ASKED_IN_WINDOW = 20
SHORTEST, LONGEST = 1.0, 120.0


@dataclass(frozen=True)
class Pod:
    """A pod that can be asked."""

    uid: str
    address: str
    window_seconds: int


@dataclass(frozen=True)
class MonitorTargets:
    """The pods of the stable revision of a service."""

    about: Key
    uid: str
    revision: str
    window_seconds: int
    targets: tuple[Pod, ...]
    # The uids of the pods that are Ready: these must answer.
    ready: frozenset[str]
    # The uids of all pods, and when the container of one ended last, where one has: seconds since 1970.
    pods: frozenset[str]
    ended_at: Mapping[str, float] = field(default_factory=dict)

    @property
    def subject(self) -> tuple[str, str, int]:
        """Identifies what is counted: reports about anything else do not count."""
        return self.uid, self.revision, self.window_seconds


def interval(window_seconds: int) -> float:
    """Returns the seconds from one question to the next."""
    return min(max(window_seconds / ASKED_IN_WINDOW, SHORTEST), LONGEST)


def window_seconds(monitoring: Mapping[str, Any]) -> int:
    """Returns the length of the windows of a service, from its `spec.monitoring`."""
    return int((monitoring.get("drift") or {}).get("windowSeconds") or WINDOW_SECONDS)


def monitor_targets(view: View, key: Key) -> MonitorTargets | None:
    """Returns the pods to ask for an InferenceService; None if nothing of it is watched."""
    body = view.get(key)
    if body is None or deleting(body) or not is_monitored(body):
        return None
    revision = str(status_of(body)["stable"]["revision"])
    seconds = window_seconds(body["spec"]["monitoring"])
    pods = [pod for pod in _trusted_pods(view, body) if labels(pod).get(REVISION) == revision]
    return MonitorTargets(
        key,
        uid(body),
        revision,
        seconds,
        tuple(Pod(uid(pod), address, seconds) for pod in pods if (address := _address(pod))),
        frozenset(uid(pod) for pod in pods if _is_ready(pod)),
        frozenset(map(uid, pods)),
        {uid(pod): ended for pod in pods if (ended := ended_at(pod)) is not None},
    )


def terminations(pod: Body) -> Iterator[Mapping[str, Any]]:
    """Yields how the server's container in a pod ended: now, and the time before."""
    for container in status_of(pod).get("containerStatuses") or ():
        if container.get("name") == SERVER:
            for state in ("state", "lastState"):
                ended = (container.get(state) or {}).get("terminated")
                if ended:
                    yield ended


def ended_at(pod: Body) -> float | None:
    """Returns when the server's container of a pod ended last: seconds since 1970; None if it never did."""
    times = [str(ended["finishedAt"]) for ended in terminations(pod) if ended.get("finishedAt")]
    return max((from_timestamp(time).timestamp() for time in times), default=None)


def _trusted_pods(view: View, body: Body) -> list[Body]:
    """The pods that belong to the Deployments of a service. Any user can create pods with its labels."""
    deployments = [
        *controlled(view, DEPLOYMENTS, body), *orphaned(view, DEPLOYMENTS, body, INFERENCE_SERVICE)
    ]  # fmt: skip
    return pods_of_deployments(view, body, deployments, pods_for(view, body, deployments))


def _address(pod: Body) -> str | None:
    """The address of a pod whose containers may still run."""
    status = status_of(pod)
    address = status.get("podIP")
    over = status.get("phase") in ("Succeeded", "Failed")
    return address if isinstance(address, str) and address and not over else None


def _is_ready(pod: Body) -> bool:
    return true_condition(pod, "Ready") is not None and not deleting(pod)
