"""Objects that hold anything at all beside a hundred good ones: nothing ends, and every good one comes to its end.

What is let in by the API server is held to a schema. A body of another release is not, and neither is what others write
into annotations, labels and messages.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.given import words
from unit.given.crds import with_defaults
from unit.given.resources import RECIPE
from unit.given.world import SETTINGS
from unit.statemachine.cluster import NAMESPACE, Cluster
from unit.statemachine.process import Process

from modelwright.api.requests import ANNOTATION
from modelwright.common.resources import (
    INFERENCE_SERVICES,
    MODEL,
    MODEL_VERSIONS,
    PODS,
    TRAINING_JOBS,
)
from modelwright.engine.api import MANAGED_BY, MANAGER
from modelwright.engine.objects import (
    ROOT_UID,
    Body,
    Key,
    ResourceType,
    labels,
    metadata,
    owner_reference,
    uid,
)
from modelwright.wiring import kinds

CUSTOM = (TRAINING_JOBS, MODEL_VERSIONS, INFERENCE_SERVICES)
KINDS = [kind.resource for kind in kinds(SETTINGS)]
JUNK: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 1e308, float("nan"), float("inf"), [], {}, [[]], [{}], {"": {}}),
    *(
        "",
        "x",
        "\x00\x1b[31m\n",
        "💥" * 100,
        "é" * 200_000,
        "9" * 5000,
        "²",
        "NaN",
        "2026-13-45T99:99:99Z",
        "{",
        "a@b#c",
    ),
    *({"name": None}, {"type": "Ready", "status": {}}, [None, 5, "x"], {"a": [{"b": {"c": []}}]}),
)
SLOWEST = 1.0


def junk(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(JUNK))


def spoilt(tree: Any, chance: random.Random) -> Any:
    """The same with junk somewhere in it, or without something."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        name = chance.choice(sorted(tree))
        if chance.random() < 0.15:
            return {other: value for other, value in tree.items() if other != name}
        return {**tree, name: spoilt(tree[name], chance)}
    if isinstance(tree, list) and tree and chance.random() < 0.85:
        where = chance.randrange(len(tree))
        return [spoilt(part, chance) if n == where else part for n, part in enumerate(tree)]
    return junk(chance)


class Crowd:
    """A hundred good objects, and an operator that looks after them."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.cluster, self.elapsed, self.runner = Cluster(), 0.0, runner
        self.versions = [f"by-hand-{number}" for number in range(40)]
        for number, name in enumerate(self.versions):
            artifact = words.artifact(f"family-{number}", "abcde"[number % 5])
            self._write(MODEL_VERSIONS, name, {"model": f"family-{number}", "artifact": artifact})
        for number in range(30):
            self._write(TRAINING_JOBS, f"job-{number}", {**RECIPE, "model": f"trained-{number}"})
            self._write(INFERENCE_SERVICES, f"service-{number}", self._service(number))
        self.good = [key for resource in CUSTOM for key in self.cluster.all(resource)]
        assert len(self.good) == 100
        self.process = Process(self.cluster, runner, lambda: self.elapsed)
        self.slowest = 0.0

    def _service(self, number: int, **rollout: Any) -> dict[str, Any]:
        return {"model": {"version": self.versions[number]}, "replicas": 1, "rollout": rollout}

    def _write(self, resource: ResourceType, name: str, spec: dict[str, Any]) -> None:
        marks = {MODEL: spec["model"]} if resource == MODEL_VERSIONS else {}
        body = {"metadata": {"labels": marks}, "spec": with_defaults(resource.plural, spec)}
        self.cluster.put(Key(resource, NAMESPACE, name), body)

    def rolls_out(self) -> None:
        """Ten of the services get another version, step by step."""
        steps = [{"weight": 50, "holdSeconds": 2}]
        for number in range(10):
            spec = self._service(number + 30, strategy="Canary", steps=steps)
            changes = {"spec": with_defaults("inferenceservices", spec)}
            self.cluster.edit(
                Key(INFERENCE_SERVICES, NAMESPACE, f"service-{number}"), partial(_change, changes)
            )

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.process_time()
        yield
        self.slowest = max(self.slowest, time.process_time() - began)

    def works(self) -> None:
        """Controllers, kubelets and the operator."""
        for _ in range(4):
            self.cluster.control()
            for pod in self.cluster.all(PODS):
                self.cluster.run(pod, "ok")
        self.cluster.control()
        self.process.deliver_all()
        for key in self.good:
            if key.resource == INFERENCE_SERVICES:
                self.process.measure(key, {"delegated": {"Answered": 500}})
        while len(self.process.queue):
            key = self.runner.run(self.process.queue.get())
            with self._timed():
                self.runner.run(self.process.reconciler.handle(key))
            self.process.queue.done(key)
            self.process.deliver_all()
        self.elapsed += 3
        self.cluster.after(3)

    def meets(self, chance: random.Random, count: int) -> None:
        """Hostile objects of every kind arrive, by watches and by lists."""
        for resource in KINDS:
            hostile = [self._hostile(resource, chance, number) for number in range(count)]
            with self._timed():
                for body in hostile[::2]:
                    self.process.intake.put(resource, body)
            kind = self.process._kinds[resource]
            listing = self.runner.run(self.cluster.list(resource, None, selector=kind.selector))
            with self._timed():
                bodies = [*hostile[1::2], *listing.items]
                self.process.intake.replace(resource, bodies, listing.resource_version)

    def _hostile(self, resource: ResourceType, chance: random.Random, number: int) -> Body:
        """A copy of one of ours with something spoilt, that claims to be there for one of the good ones."""
        ours = self.cluster.all(resource)
        body = (
            copy.deepcopy(self.cluster.objects[chance.choice(ours)]) if ours else {"spec": {}, "status": {}}
        )
        self.cluster.version += 1
        root = self.cluster.objects[chance.choice(self.good)]
        meta = {
            **body.get("metadata", {}),
            "name": f"hostile-{number}",
            "namespace": NAMESPACE,
            "uid": f"hostile-{resource.kind}-{number}",
            "resourceVersion": str(self.cluster.version),
            "annotations": {
                ANNOTATION: chance.choice(["x", "promote@" + "é" * 5000, "\x00", "undo@a#b#c", ""])
            },
            "labels": {**labels(body), MANAGED_BY: MANAGER, ROOT_UID: uid(root), MODEL: "x\ny"},
            "ownerReferences": [],
        }
        if chance.random() < 0.5:
            meta["ownerReferences"] = [{**owner_reference(root), "uid": "another"}]
        spoilt_parts = {
            part: spoilt(content, chance)
            for part, content in body.items()
            if part in {"spec", "status", "data"}
        }
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        return {**named, **spoilt_parts, "metadata": meta}

    def ends(self) -> dict[str, Any]:
        """How the good ones stand."""
        return {str(key): self._end(self.cluster.objects[key]) for key in self.good}

    def _end(self, body: Body) -> Any:
        status = body["status"]
        # A service that says that it serves a version is believed.
        found = [c for c in status["conditions"] if c["type"] != "InUse"]
        told = [(c["type"], c["status"], c["reason"], c["message"]) for c in found]
        return told, (status.get("run") or {}).get("state"), (status.get("stable") or {}).get("version")


def _change(changes: dict[str, Any], body: dict[str, Any]) -> None:
    body.update(changes)


def lived(seed: int | None) -> Crowd:
    """A crowd to its end; with a seed, among hostile objects."""
    with asyncio.Runner() as runner:
        crowd, chance = Crowd(runner), random.Random(seed)
        for number in range(9):
            if number == 4:
                crowd.rolls_out()
            if seed is not None:
                crowd.meets(chance, 6)
            crowd.works()
        return crowd


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """How the good ones end among themselves."""
    ends = lived(None).ends()
    assert {state for _, state, _ in ends.values()} == {None, "Succeeded"}
    assert ends[f"InferenceService {NAMESPACE}/service-0"][2] == "by-hand-30"
    return ends


@pytest.mark.parametrize("seed", range(int(os.environ.get("MODELWRIGHT_SOAK", "1"))))
def test_good_objects_come_to_their_end_beside_hostile_ones(alone: dict[str, Any], seed: int) -> None:
    crowd = lived(seed)
    assert crowd.ends() == alone
    assert crowd.slowest < SLOWEST


TREES = st.recursive(
    st.sampled_from([value for value in JUNK if not isinstance(value, dict | list)]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "name", "uid", "type"]), inner)
    ),
    max_leaves=4,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": TREES,
        "kind": TREES,
        "spec": TREES,
        "status": TREES,
        "metadata": TREES
        | st.fixed_dictionaries(
            {"name": TREES | st.just("hostile"), "namespace": TREES | st.just(NAMESPACE)},
            optional=dict.fromkeys(
                ("uid", "resourceVersion", "labels", "annotations", "ownerReferences"), TREES
            ),
        ),
    },
)


@pytest.fixture(scope="module")
def known() -> Iterator[Process]:
    """An operator that knows a good version."""
    with asyncio.Runner() as runner:
        crowd = Crowd(runner)
        yield crowd.process


@given(resource=st.sampled_from(KINDS), bodies=st.lists(PARTS, min_size=1, max_size=3))
def test_any_body_can_be_taken_in_and_hides_no_other(
    known: Process, resource: ResourceType, bodies: list[dict[str, Any]]
) -> None:
    good = next(iter(known.cluster.all(MODEL_VERSIONS)))
    for body in bodies:
        known.intake.put(resource, body)
    listing = [*bodies, *(known.cluster.objects[key] for key in known.cluster.all(resource))]
    known.intake.replace(resource, listing, 10**6)
    for body in bodies:
        known.intake.remove(resource, body)
    assert known.intake.get(good) is not None
    json.dumps(metadata(known.intake.get(good) or {}))
