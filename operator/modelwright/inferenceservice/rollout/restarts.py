"""How often the containers of a revision's pods ended by themselves since a moment. Pure.

Kubernetes counts the restarts of a container over the life of its pod, whatever the cause, and keeps only its last end.
So the counts at the start of a measurement are recorded in the status, and a pod counts if its container's last end was
its own and not before that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from modelwright.api.inferenceservice import PodRestarts
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Body, name

# What runtimes report of a container whose end they did not see: its node went away. With it, or without a reason, they
# report the exit code 255.
UNSEEN_REASONS = frozenset(("Unknown", "ContainerStatusUnknown"))
UNSEEN_CODE = 255
# The most pods that a record holds.
MOST = 1000


def recorded(pods: Iterable[Body]) -> list[PodRestarts] | None:
    """Returns the record of the pods whose containers were restarted before; None if there are none."""
    known = [PodRestarts(pod=name(pod), restarts=count) for pod in pods if (count := _restarts(pod))]
    return known[:MOST] or None


def own_restarts(pods: Iterable[Body], since: str, before: Iterable[PodRestarts]) -> int:
    """Returns how often the containers of one pod ended by themselves since then: the most of all pods.

    `before`: the record of that moment. A pod that it does not name had no restarts, or did not exist.
    """
    earlier = {record.pod: record.restarts for record in before}
    moment = from_timestamp(since)
    counts = (
        _restarts(pod) - earlier.get(name(pod), 0) for pod in pods if any(map(moment.__le__, _own_ends(pod)))
    )
    return max(0, *counts, 0)


def _restarts(pod: Body) -> int:
    """How often containers of a pod were restarted."""
    return sum(int(container.get("restartCount", 0)) for container in _containers(pod))


def _own_ends(pod: Body) -> Iterable[datetime]:
    """When containers of a pod ended last, if they did so by themselves."""
    for container in _containers(pod):
        ended = (container.get("lastState") or {}).get("terminated") or {}
        code, at = ended.get("exitCode", 0), ended.get("finishedAt")
        unseen = code == UNSEEN_CODE or ended.get("reason") in UNSEEN_REASONS
        if at and not unseen and (code != 0 or ended.get("reason") == "OOMKilled"):
            yield from_timestamp(at)


def _containers(pod: Body) -> Iterable[Mapping[str, Any]]:
    return (pod.get("status") or {}).get("containerStatuses") or ()
