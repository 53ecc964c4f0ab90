"""A cluster in memory that a planner looks at: real cache, real executor, an API server that holds the objects.

Every plan that is made here is held to `checks`, so each test tests them too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from fakes.api import FakeApi
from unit.given.checks import check_plan
from unit.given.crds import defects, first_status, with_defaults

from modelwright.common.indexes import INDEXES
from modelwright.common.resources import INFERENCE_SERVICES, MODEL_VERSIONS, PODS, TRAINING_JOBS
from modelwright.common.settings import Settings
from modelwright.common.times import to_timestamp
from modelwright.engine.cache import Cache
from modelwright.engine.executor import Executor
from modelwright.engine.objects import Body, Key, ResourceType
from modelwright.engine.plan import Event, Plan, Planner
from modelwright.inferenceservice.monitoring.last_words import last_words
from modelwright.inferenceservice.planner import InferenceServicePlanner
from modelwright.modelversion.planner import ModelVersionPlanner
from modelwright.trainingjob.planner import TrainingJobPlanner

NAMESPACE = "team"
SETTINGS = Settings(serving_image="serving:1", training_image="training:1")
START = datetime(2026, 1, 1, tzinfo=UTC)
MOST_LOOKS = 12
OWN = {TRAINING_JOBS, MODEL_VERSIONS, INFERENCE_SERVICES}
T = TypeVar("T")


def finish(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that never has to wait for anything."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waits for something")


def _planners(settings: Settings) -> dict[ResourceType, Planner]:
    return {
        TRAINING_JOBS: TrainingJobPlanner(settings),
        MODEL_VERSIONS: ModelVersionPlanner(settings),
        INFERENCE_SERVICES: InferenceServicePlanner(settings),
    }


class Told:
    """Keeps what users are told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def record(self, about: Body, event: Event) -> None:
        """Keeps the event."""
        assert about["metadata"]["name"]
        self.events.append(event)


class Clocked(FakeApi):
    """Dates new objects by the world's clock, and gives our own kinds the status that their CRDs begin with."""

    now: datetime = START

    def _store(self, change: Any, key: Key, body: dict[str, Any]) -> dict[str, Any]:
        if change == "ADDED":
            body["metadata"]["creationTimestamp"] = to_timestamp(self.now)
        if key.resource in OWN and "status" not in body:
            body["status"] = first_status(key.resource.plural)
        return super()._store(change, key, body)


class World:
    """The cluster, its clock, and one planner for each kind."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.api = Clocked()
        self.cache = Cache(indexes=INDEXES)
        self.told = Told()
        self.executor = Executor(self.api, self.cache, self.told, clock=self._seconds)
        self.planners = _planners(settings)
        self._seen = 0
        self._made = 0

    def _seconds(self) -> float:
        return self.now.timestamp()

    def restart(self, *, unseen: ResourceType | None = None) -> None:
        """The operator starts anew: it knows what the API server holds, but for a kind whose watch lags."""
        self.cache, self._seen = Cache(indexes=INDEXES), len(self.api.history)
        self.executor = Executor(self.api, self.cache, self.told, clock=self._seconds)
        for key, body in self.api.objects.items():
            if key.resource != unseen:
                self._take(key.resource, body)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.api.now

    def is_upgraded(self, **settings: Any) -> None:
        """Another release of the operator takes over, with other settings."""
        self.planners = _planners(replace(SETTINGS, **settings))

    def unique(self, prefix: str) -> str:
        """A name that nothing else has."""
        self._made += 1
        return f"{prefix}-{self._made}"

    def after(self, seconds: float) -> None:
        """Lets time pass."""
        self.api.now += timedelta(seconds=seconds)

    def make(self, resource: ResourceType, name: str, spec: Mapping[str, Any], **metadata: Any) -> Key:
        """Somebody writes an object."""
        key = Key(resource, NAMESPACE, name)
        custom = resource in self.planners
        whole = with_defaults(resource.plural, spec) if custom else dict(spec)
        if custom:
            assert defects(resource.plural, "spec", whole) == []
        self.api.put(key, {"metadata": metadata, "spec": whole})
        self.watch()
        return key

    def edit(self, key: Key, **parts: Mapping[str, Any]) -> None:
        """Somebody changes parts of an object."""
        self.api.edit(key, lambda body: body.update({k: {**body.get(k, {}), **v} for k, v in parts.items()}))
        self.watch()

    def drop(self, key: Key, *, orphans: bool = False) -> None:
        """Somebody deletes an object, and what it owns goes with it."""
        self.api.drop(key)
        if not orphans:
            self.api.collect_garbage()
        self.watch()

    def watch(self) -> None:
        """Brings the cache up to date."""
        for event in self.api.history[self._seen :]:
            if event.change == "DELETED":
                self.cache.remove(event.resource, event.body)
            else:
                self._take(event.resource, event.body)
        self._seen = len(self.api.history)

    def _take(self, resource: ResourceType, body: Body) -> None:
        """Puts a body into the cache, and notes what has to outlive it, as `Intake` does."""
        self.cache.put(resource, body)
        for key, fact, found in list(last_words(self.cache, body)) if resource == PODS else ():
            self.cache.note(key, fact, found)

    def plan(self, key: Key) -> Plan:
        """What the planner decides now."""
        planner = self.planners[key.resource]
        plan = planner(self.cache, key, self.now)
        assert planner(self.cache, key, self.now) == plan, "equal arguments give an equal plan"
        body = self.cache.get(key)
        if body is not None:
            check_plan(key.resource, body, plan)
        return plan

    def look(self, key: Key) -> bool:
        """One look: the plan is made and carried out. Says whether anything was written."""
        wrote = finish(self.executor.execute(key, self.plan(key)))
        self.watch()
        return wrote

    def settle(self, key: Key) -> None:
        """Looks until there is nothing more to do, and makes sure that it stays that way."""
        for _ in range(MOST_LOOKS):
            if not self.look(key):
                break
        else:
            raise AssertionError(f"{key} does not settle: {self.plan(key)}")
        plan, before = self.plan(key), len(self.api.calls)
        self.after(1)
        if plan.requeue_at is None or plan.requeue_at > self.now:
            assert self.plan(key).status == plan.status, "an unchanged world gives an unchanged status"
        assert finish(self.executor.execute(key, plan)) is False
        assert len(self.api.calls) == before, "a settled object costs no request"
