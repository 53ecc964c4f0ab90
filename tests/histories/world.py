"""One InferenceService in a world of plain data: pods that start and end, numbers that are measured, people who ask.

What a planner would write is remembered, or lost in a crash; nothing here judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from modelwright.api.base import ResourceRequirements
from modelwright.api.inferenceservice import (
    InferenceServiceSpec,
    InferenceServiceStatus,
    Revision,
    ServedModel,
)
from modelwright.api.requests import ANNOTATION
from modelwright.api.stores import Artifact
from modelwright.common.primary import Primary
from modelwright.common.resources import INFERENCE_SERVICE, REVISION
from modelwright.common.times import to_timestamp
from modelwright.engine.objects import Body
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.manifests.names import canary_name
from modelwright.inferenceservice.manifests.traffic_rule import EARLIER_FILE, rules
from modelwright.inferenceservice.observed import Observed
from modelwright.inferenceservice.revision.revisions import KEPT, Revisions
from modelwright.inferenceservice.revision.target import Unresolved
from modelwright.inferenceservice.rollout import standin
from modelwright.inferenceservice.rollout.machine import advance
from modelwright.inferenceservice.status import record

START = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = 4


def revision(number: int, shape: int = 0) -> Revision:
    """The revision that serves a version in a shape of pod."""
    letter = "abcd"[number]
    artifact = Artifact(uri=f"pvc://models/{letter}.onnx", digest=f"sha256:{letter * 64}")
    name = f"{letter * 9}{shape}"
    resources = ResourceRequirements(limits={"memory": f"{shape + 1}Gi"})
    return Revision(
        revision=name, version=f"churn-{number}", artifact=artifact, image="server:1", resources=resources
    )


SHAPES = 2
REVISIONS = [revision(number, shape) for number in range(VERSIONS) for shape in range(SHAPES)]


@dataclass
class Pods:
    """A Deployment: how many pods are asked for, how many are ready, how often containers have ended."""

    asked: int
    ready: int = 0
    restarts: int = 0
    crashed: datetime | None = None
    born: datetime = START
    kept: bool = False

    def body(self, name: str) -> Body:
        """As the API server has it."""
        counts = dict.fromkeys(("updatedReplicas", "readyReplicas", "availableReplicas"), self.ready)
        return {
            "metadata": {
                "name": f"churn-{name}",
                "namespace": "team",
                "uid": name,
                "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {REVISION: name, INFERENCE_SERVICE: "churn"},
                "annotations": {KEPT: "true"} if self.kept else {},
            },
            "spec": {"replicas": self.asked},
            "status": {"observedGeneration": 1, "replicas": self.ready, **counts},
        }

    def pods(self, name: str) -> tuple[Body, ...]:
        """One pod tells of all restarts."""
        meta = {
            "name": f"churn-{name}-1",
            "uid": f"{name}-pod",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {REVISION: name},
        }
        ended = {"exitCode": 1, "reason": "Error", "finishedAt": to_timestamp(self.crashed or self.born)}
        container = {"name": "server", "restartCount": self.restarts, "state": {}}
        if self.crashed is not None:
            container["lastState"] = {"terminated": ended}
        status = {"containerStatuses": [container]}
        return ({"metadata": meta, "status": status},)


@dataclass
class World:
    """What there is, and the clock."""

    spec: InferenceServiceSpec
    newest: int = 0
    shape: int = 0
    now: datetime = START
    generation: int = 1
    # How often anything but the number of pods has changed.
    changed: int = 1
    status: InferenceServiceStatus = field(default_factory=InferenceServiceStatus)
    deployments: dict[str, Pods] = field(default_factory=dict)
    measured: StepCounts | None = None
    asked: str | None = None
    # Which revision the canary's Service leads to, and the traffic rules: as they are, while changes are refused.
    led_to: str | None = None
    rules: dict[str, str] = field(default_factory=dict)
    refused: bool = False

    def observed(self) -> Observed:
        """As a planner sees it."""
        body = {
            "metadata": {
                "name": "churn",
                "namespace": "team",
                "uid": "churn",
                "generation": self.generation,
                "annotations": {} if self.asked is None else {ANNOTATION: self.asked},
            },
            # What is compared of a spec is whether it has changed in anything but its number of pods.
            "spec": {"replicas": self.spec.replicas, "changed": self.changed},
        }
        found = Observed(
            body,
            self.status,
            versions=(),
            deployments=tuple(pods.body(name) for name, pods in self.deployments.items()),
            pods=tuple(pod for name, pods in self.deployments.items() for pod in pods.pods(name)),
            service=None,
            services=self._services(canary_name(Primary(body))),
            configs=tuple(
                {"metadata": {"name": f"churn-{name}"}, "data": {EARLIER_FILE: rule}}
                for name, rule in self.rules.items()
            ),
            measured=self.measured,
        )
        # It is read from the body once; here it is known already, and reading is what takes the time.
        found.__dict__.update(spec=self.spec)
        return found

    def _services(self, canary: str) -> tuple[Body, ...]:
        if self.led_to is None:
            return ()
        return ({"metadata": {"name": canary}, "spec": {"selector": {REVISION: self.led_to}}},)

    @property
    def target(self) -> Revision | Unresolved:
        """What the spec asks for: a version by its name, or the newest of the family that is not passed over."""
        named = self.spec.model.version
        if named is not None:
            return revision(int(named.removeprefix("churn-")), self.shape)
        rejected = {each.digest for each in self.status.rejected or () if each.scope == "Model"}
        serving = self.status.stable.version if self.status.stable is not None else None
        for number in range(self.newest, -1, -1):
            found = revision(number, self.shape)
            if found.artifact.digest not in rejected or found.version == serving:
                return found
        return Unresolved("ModelQuarantined", "every ModelVersion was rejected")

    def decide(self) -> tuple[Observed, Revisions]:
        """What is seen, and what follows from it."""
        observed = self.observed()
        return observed, advance(observed, self.target, self.now)

    def remember(self, observed: Observed, revisions: Revisions) -> None:
        """The status is written, and what follows from it, unless the API server refuses it."""
        self.status = record(observed, revisions)
        self._deploy(self.observed(), revisions)
        if not self.refused:
            canary = revisions.starting if revisions.stable is not None else None
            self.led_to = None if canary is None else canary.revision
            self.rules = rules(observed, revisions)

    def _deploy(self, observed: Observed, revisions: Revisions) -> None:
        wanted: dict[str, int] = {}
        if revisions.starting is not None:
            pods = standin.pods(revisions.starting, revisions.stable, observed)
            wanted[revisions.starting.revision] = pods
            left = self.deployments.get(revisions.starting.revision)
            if left is not None and left.kept and not left.ready:
                del self.deployments[revisions.starting.revision]
        kept = revisions.kept.revision if revisions.kept is not None else None
        if kept in self.deployments:
            wanted[kept] = min(1, self.spec.replicas)
        if revisions.stable is not None:
            wanted[revisions.stable.revision] = self.spec.replicas
        if revisions.retired is not None and revisions.retired.revision in self.deployments:
            wanted.setdefault(revisions.retired.revision, self.spec.replicas)
        for name, count in wanted.items():
            known = self.deployments.setdefault(name, Pods(count, born=self.now))
            known.asked, known.ready, known.kept = count, min(known.ready, count), name == kept
        stays = revisions.running | {kept}
        self.deployments = {name: pods for name, pods in self.deployments.items() if name in stays}

    def since(self) -> tuple[str | None, bool]:
        """Since when pods are asked for numbers, and whether they speak of what has taken over."""
        canary, stable = self.status.canary, self.status.stable
        if canary is not None and canary.state in {"Shifting", "Completing"}:
            return canary.step_since, False
        if stable is not None and stable.bake_until is not None:
            return stable.since, True
        return None, False

    def measure(self, look: int, **counts: Any) -> None:
        """The pods say this of what is under way."""
        since, direct = self.since()
        if since is not None:
            self.measured = StepCounts(since=since, look=look, direct=direct, **counts)

    def after(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def names(self, number: int | None) -> None:
        """A user names a version, or follows the family."""
        version = None if number is None else f"churn-{number}"
        model = ServedModel.model_construct(version=version, name=None if version else "churn", track=None)
        self.spec = self.spec.model_copy(update={"model": model})
        self._is_another()

    def reshapes(self, shape: int) -> None:
        """A user changes the resources, or an administrator the image."""
        self.shape = shape
        self._is_another()

    def edit(self, **changes: Any) -> None:
        """A user changes how revisions take over."""
        rollout = self.spec.rollout.model_copy(update=changes)
        self.spec = self.spec.model_copy(update={"rollout": rollout})
        self._is_another()

    def _is_another(self) -> None:
        """The spec has changed in more than its number of pods."""
        self.generation += 1
        self.changed += 1

    def scales(self, replicas: int) -> None:
        """An autoscaler asks for another number of pods."""
        self.spec = self.spec.model_copy(update={"replicas": replicas})
        self.generation += 1

    def asks(self, action: str, random: Random) -> None:
        """Somebody asks for something, of the revision that has that part or of another one."""
        part = self.status.stable if action == "undo" else self.status.canary
        known = [each.revision for each in self.status.rejected or ()]
        about = (
            part.revision
            if part is not None and random.random() < 0.8
            else random.choice((*known, random.choice(REVISIONS).revision))
        )
        self.asked = f"{action}@{about}#{random.randrange(10**6)}"

    def all_ready(self) -> None:
        """Every pod that is asked for is ready."""
        for name, pods in self.deployments.items():
            self.deployments[name] = replace(pods, ready=pods.asked)
