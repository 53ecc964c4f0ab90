"""What a cluster does by itself: controllers that make pods and report on them, a kubelet that runs their containers.

As little of each as the operator can tell from the real ones; the API server is `fakes.api`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, get_args

from unit.given import words
from unit.given.world import Clocked
from unit.statemachine.gateway import Controller

from modelwright.common.resources import DEPLOYMENTS, JOBS, PODS, REPLICA_SETS, REVISION
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.objects import (
    Body,
    Key,
    ResourceType,
    labels,
    metadata,
    owner_reference,
    owner_uid,
    uid,
)

NAMESPACE = "team"
LETTERS = "abcdef"
BROKEN = "f"  # a file with this digest is never what it should be
Fate = Literal["ok", "runs", "input", "crash", "memory", "silent", "unpullable", "unplaced"]
FATES: tuple[Fate, ...] = get_args(Fate)
GROUPS = {"initContainers": "initContainerStatuses", "containers": "containerStatuses"}


class Cluster(Clocked):
    """The API server and what works on it."""

    def all(self, resource: ResourceType) -> list[Key]:
        """The objects of a kind, in a fixed order."""
        return sorted(key for key in self.objects if key.resource == resource)

    def pods_of(self, owner: Body) -> list[Key]:
        """The pods that a Job or a Deployment has made."""
        makers = {uid(owner)} | {
            uid(self.objects[key])
            for key in self.all(REPLICA_SETS)
            if owner_uid(self.objects[key]) == uid(owner)
        }
        return [key for key in self.all(PODS) if owner_uid(self.objects[key]) in makers]

    def after(self, seconds: float) -> None:
        """Lets the wall clock go on."""
        self.now += timedelta(seconds=seconds)

    @cached_property
    def gateways(self) -> Controller:
        """Who follows routes."""
        return Controller(self)

    def control(self) -> None:
        """Each controller works once."""
        self.collect_garbage()
        self.gateways.work()
        for key in self.all(JOBS):
            self._control_job(self.objects[key], key)
        for key in self.all(DEPLOYMENTS):
            self._control_deployment(self.objects[key], key)

    def _control_job(self, job: Body, key: Key) -> None:
        if any(c["type"] in {"Complete", "Failed"} for c in job.get("status", {}).get("conditions", ())):
            return
        pods = [self.objects[pod] for pod in self.pods_of(job)]
        born, limit = from_timestamp(metadata(job)["creationTimestamp"]), job["spec"]["activeDeadlineSeconds"]
        failed = [pod for pod in pods if pod["status"]["phase"] == "Failed"]
        if any(pod["status"]["phase"] == "Succeeded" for pod in pods):
            self._end_job(key, "SuccessCriteriaMet", "Complete", "CompletionsReached")
        elif any(65 in _exit_codes(pod) for pod in failed):
            self._end_job(key, "FailureTarget", "Failed", "PodFailurePolicy")
        elif self.now >= born + timedelta(seconds=limit):
            for pod in self.pods_of(job):
                self.drop(pod)
            self._end_job(key, "FailureTarget", "Failed", "DeadlineExceeded")
        elif len(failed) > job["spec"]["backoffLimit"]:
            self._end_job(key, "FailureTarget", "Failed", "BackoffLimitExceeded")
        elif len(failed) == len(pods):
            self._make_pod(job)

    def _end_job(self, key: Key, first: str, last: str, reason: str) -> None:
        now = to_timestamp(self.now)
        said = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": "as it is",
                "lastTransitionTime": now,
            }
            for kind in (first, last)
        ]
        self.edit(key, lambda job: job.update(status={"conditions": said}))

    def _control_deployment(self, deployment: Body, key: Key) -> None:
        wanted, pods = deployment["spec"]["replicas"], self.pods_of(deployment)
        for pod in pods[wanted:]:
            self.drop(pod)
        for _ in range(wanted - len(pods)):
            self._make_pod(deployment)
        pods = self.pods_of(deployment)
        ready = sum(_is_ready(self.objects[pod]) for pod in pods)
        status = {
            "observedGeneration": metadata(deployment)["generation"],
            "replicas": len(pods), "updatedReplicas": len(pods), "readyReplicas": ready, "availableReplicas": ready,
        }  # fmt: skip
        self.edit(key, lambda body: body.update(status=status))

    def _replica_set(self, deployment: Body) -> Body:
        """What a Deployment makes to have pods made."""
        key = Key(REPLICA_SETS, NAMESPACE, f"{metadata(deployment)['name']}-5d4f8c7b9")
        marks = dict(deployment["spec"]["template"]["metadata"]["labels"])
        body = {"metadata": {"labels": marks, "ownerReferences": [owner_reference(deployment)]}}
        return self.objects.get(key) or self.put(key, body)

    def _make_pod(self, owner: Body) -> None:
        maker = self._replica_set(owner) if owner["kind"] == "Deployment" else owner
        template = owner["spec"]["template"]
        spec = template["spec"]
        statuses = {
            group: [
                {"name": c["name"], "image": c["image"], "state": {"waiting": {"reason": "PodInitializing"}}}
                for c in spec.get(part, ())
            ]
            for part, group in GROUPS.items()
        }
        body = {
            "metadata": {
                "labels": dict(template["metadata"]["labels"]),
                "annotations": dict(template["metadata"].get("annotations", {})),
                "ownerReferences": [owner_reference(maker)],
            },
            "spec": spec,
            "status": {"phase": "Pending", **statuses},
        }
        self.put(Key(PODS, NAMESPACE, f"{metadata(owner)['name']}-{self.version}"), body)

    def run(self, pod: Key, fate: Fate) -> None:
        """The kubelet goes one container on, and this is what becomes of it."""
        body = self.objects[pod]
        if REVISION in labels(body):
            self.edit(pod, lambda live: _serve(live, fate))
        elif body["status"]["phase"] not in {"Succeeded", "Failed"}:
            self.edit(pod, lambda live: _step(live, fate))


def _containers(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in GROUPS.values():
        yield from pod["status"][group]


def _exit_codes(pod: Body) -> set[int]:
    return {c["state"]["terminated"]["exitCode"] for c in _containers(pod) if "terminated" in c["state"]}


def _is_ready(pod: Body) -> bool:
    return any(c["name"] == "server" and "running" in c["state"] for c in _containers(pod))


def _ended(code: int, message: str, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def _step(pod: dict[str, Any], fate: Fate) -> None:
    """A step of a run or of a verification."""
    container = next(c for c in _containers(pod) if _exit_codes_of(c) != {0})
    step = container["name"]
    result = words.result(step, _result(pod, step))
    states: dict[Fate, Callable[[], dict[str, Any]]] = {
        "ok": lambda: _ended(0, result, "Completed"),
        "runs": lambda: {"running": {}},
        "input": lambda: _ended(65, words.error(step, "DocumentInvalid")),
        "crash": lambda: _ended(1, "Traceback"),
        "memory": lambda: _ended(137, "", "OOMKilled"),
        "silent": lambda: _ended(0, result[:40], "Completed"),
        "unpullable": lambda: {"waiting": {"reason": "ImagePullBackOff"}},
        "unplaced": lambda: {"waiting": {"reason": "PodInitializing"}},
    }
    container["state"] = states[fate]()
    _place(pod, fate)
    if _exit_codes_of(container) - {0}:
        pod["status"]["phase"] = "Failed"
    elif all(_exit_codes_of(c) == {0} for c in _containers(pod)):
        pod["status"]["phase"] = "Succeeded"


def _exit_codes_of(container: Mapping[str, Any]) -> set[int]:
    ended = container["state"].get("terminated")
    return {ended["exitCode"]} if ended else set()


def _place(pod: dict[str, Any], fate: Fate) -> None:
    message = "0/1 nodes are available: 1 Insufficient cpu."
    missing = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod["status"]["conditions"] = [missing] if fate == "unplaced" else []


def _result(pod: Body, step: str) -> Mapping[str, Any]:
    """What the step found: the seed of the run decides about the model."""
    if step == "verify":
        return words.verified()
    if step == "delete":
        return words.deleted()
    seed = json.loads(metadata(pod)["annotations"]["modelwright.dev/run"])["seed"]
    return words.published(LETTERS[seed % len(LETTERS)]) if step == "publish" else words.RESULTS[step]


def _serve(pod: dict[str, Any], fate: Fate) -> None:
    """The containers of a served revision."""
    pull, server = _containers(pod)
    if BROKEN * 64 in str(pod["spec"]["initContainers"][0]["command"]) and fate in {"ok", "runs", "silent"}:
        fate = "input"
    done, waits = _ended(0, "", "Completed"), {"waiting": {"reason": "CrashLoopBackOff"}}
    said = words.error("pull", "DigestMismatch")
    states: dict[Fate, tuple[dict[str, Any], dict[str, Any]]] = {
        "input": ({**waits, "last": _ended(65, said)}, {"waiting": {"reason": "PodInitializing"}}),
        "crash": (done, {**waits, "last": _ended(1, "Traceback")}),
        "memory": (done, {**waits, "last": _ended(137, "", "OOMKilled")}),
        "unpullable": (
            {"waiting": {"reason": "ImagePullBackOff"}},
            {"waiting": {"reason": "PodInitializing"}},
        ),
        "unplaced": ({"waiting": {"reason": "PodInitializing"}}, {"waiting": {"reason": "PodInitializing"}}),
    }
    for container, state in zip((pull, server), states.get(fate, (done, {"running": {}})), strict=True):
        last = state.get("last")
        container["state"] = {name: value for name, value in state.items() if name != "last"}
        if last:
            container["lastState"] = last
    _place(pod, fate)
