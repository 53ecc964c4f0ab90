"""Pods as the kubelet reports them, told in the words of a test: this step runs, that one ended so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from unit.given import words
from unit.given.world import NAMESPACE, World

from modelwright.common.resources import PODS, REPLICA_SETS, REVISION
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body, Key, metadata, owned_by, owner_reference


class Pod:
    """One pod."""

    def __init__(self, world: World, key: Key) -> None:
        self.world, self.key = world, key

    @classmethod
    def of(cls, world: World, owner: Body) -> Self:
        """The controller of a Job or a Deployment makes a pod."""
        template: Mapping[str, Any] = owner["spec"]["template"]
        maker = _replica_set(world, owner) if owner["kind"] == "Deployment" else owner
        body = {
            "metadata": {
                "labels": dict(template["metadata"]["labels"]),
                "ownerReferences": [owner_reference(maker)],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending", **_all_waiting(template["spec"])},
        }
        key = Key(PODS, NAMESPACE, world.unique("pod"))
        world.api.put(key, body)
        world.watch()
        return cls(world, key)

    @property
    def body(self) -> Body:
        """As it is now."""
        return self.world.api.objects[self.key]

    @property
    def revision(self) -> str:
        """Which revision it serves."""
        return str(metadata(self.body)["labels"][REVISION])

    def runs(self, step: str) -> Self:
        """A container runs."""
        return self._state(step, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})

    def ends(self, step: str, result: Mapping[str, Any] | None = None) -> Self:
        """A container ends well and says what it found."""
        found = words.RESULTS[step] if result is None else result
        return self.exits(step, 0, words.result(step, found), "Completed")

    def fails(self, step: str, reason: str, message: str = "the reason in a sentence") -> Self:
        """A container says that its input cannot work."""
        return self.exits(step, 65, words.error(step, reason, message))

    def exits(self, step: str, code: int, message: str = "", reason: str = "Error") -> Self:
        """A container ends."""
        return self._state(step, {"terminated": {"exitCode": code, "reason": reason, "message": message}})

    def crashes(self, step: str, code: int, message: str = "", reason: str = "Error") -> Self:
        """A container ends now and is about to be started again."""
        at = to_timestamp(self.world.now)
        ended = {"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}}
        return self._state(step, {"waiting": {"reason": "CrashLoopBackOff"}}, ended, restarts=1)

    def waits(self, step: str, reason: str, message: str = "") -> Self:
        """A container cannot start."""
        return self._state(step, {"waiting": {"reason": reason, "message": message}})

    def unschedulable(self, message: str) -> Self:
        """No node takes it."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self.world.edit(self.key, status={"conditions": [condition]})
        return self

    def evicted(self) -> Self:
        """The kubelet throws it out."""
        message = "The node was low on resource: memory. "
        self.world.edit(self.key, status={"phase": "Failed", "reason": "Evicted", "message": message})
        return self

    def finishes(
        self, result: Mapping[str, Any] | None = None, fetched: Mapping[str, Any] | None = None
    ) -> Self:
        """All three steps of a run end well."""
        return self.ends("fetch", fetched).ends("train").ends("publish", result)

    def beside(self, sidecar: str) -> Self:
        """Another controller has put a container into the pod, which runs, and whose status stands first."""
        status = dict(self.body["status"])
        running = {"name": sidecar, "state": {"running": {}}, "started": True, "restartCount": 0}
        self.world.edit(
            self.key, status={**status, "containerStatuses": [running, *status["containerStatuses"]]}
        )
        return self

    def gone(self) -> None:
        """It is deleted."""
        self.world.drop(self.key)

    def _state(
        self, step: str, state: Mapping[str, Any], last: Mapping[str, Any] | None = None, restarts: int = 0
    ) -> Self:
        status = dict(self.body["status"])
        for group in ("initContainerStatuses", "containerStatuses"):
            status[group] = [
                {
                    **c,
                    "state": dict(state),
                    "started": "running" in state,
                    "restartCount": int(c.get("restartCount", 0)) + restarts,
                    **({"lastState": dict(last)} if last else {}),
                }
                if c["name"] == step
                else c
                for c in status[group]
            ]
        assert any(
            c["name"] == step for g in ("initContainerStatuses", "containerStatuses") for c in status[g]
        )
        self.world.edit(self.key, status=status)
        return self


def _replica_set(world: World, deployment: Body) -> Body:
    """What the Deployment makes to have pods made."""
    key = Key(REPLICA_SETS, NAMESPACE, f"{metadata(deployment)['name']}-5d4f8c7b9")
    known = world.api.objects.get(key)
    if known is not None and owned_by(known, deployment):
        return known
    marks = dict(deployment["spec"]["template"]["metadata"]["labels"])
    if known is not None:
        world.api.drop(key)
    return world.api.put(
        key, {"metadata": {"labels": marks, "ownerReferences": [owner_reference(deployment)]}}
    )


def _all_waiting(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What the kubelet reports first."""
    waiting = {"waiting": {"reason": "PodInitializing"}}
    return {
        name: [
            {"name": c["name"], "image": c["image"], "imageID": f"sha256:{c['name']}", "state": waiting}
            for c in spec.get(part, ())
        ]
        for name, part in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers"))
    }
