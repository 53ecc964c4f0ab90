"""What a person sees of an InferenceService is read from here: a lenient reading of the object. Pure.

The program may be older than the operator. So it takes every word for a state or a verdict, ignores what it does not
know, and needs little to be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from modelwright.api.base import Model
from modelwright.api.requests import ANNOTATION

Object = Mapping[str, Any]


class Unreadable(ValueError):  # noqa: N818 - it says what the object is
    """The object is not as this program knows it; the text says where."""


class Revision(Model):
    """A model that has pods, or had."""

    revision: str
    version: str
    replicas: int | None = None
    ready_replicas: int | None = None


class Stable(Revision):
    """The one that has the traffic."""

    bake_until: str | None = None


class Canary(Revision):
    """The one on its way."""

    state: str
    since: str | None = None
    step: int | None = None
    step_since: str | None = None
    weight: int | None = None
    paused: bool | None = None
    verdict: str | None = None
    waiting_for: tuple[str, ...] = ()
    failed_looks: int | None = None
    url: str | None = None
    reason: str | None = None
    message: str | None = None
    stand_in_since: str | None = None
    retry_at: str | None = None


class Retired(Revision):
    """The one that had the traffic before, and whose pods still run."""

    until: str
    undone: bool | None = None


class Decision(Model):
    """What was decided, and by which number."""

    at: str
    revision: str
    step: int
    verdict: str
    reason: str
    requested_by: str | None = None
    metric: str | None = None
    value: float | None = None
    threshold: float | None = None
    samples: int = 0


class Rejection(Model):
    """What was rolled back, aborted or undone, and is not started again by itself."""

    at: str
    revision: str
    version: str
    digest: str
    reason: str
    requested_by: str | None = None


class Condition(Model):
    """One aspect of the state."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class Step(Model):
    """A share of the traffic."""

    weight: int
    mirror: int = 0
    hold_seconds: int = 60
    approval: bool | None = None


class Header(Model):
    """Requests with it meet the canary."""

    name: str
    value: str


class Traffic(Model):
    """Who meets the canary."""

    headers: tuple[Header, ...] = ()
    sticky: str | None = None


class Rollout(Model):
    """How a revision takes over; the checks are kept as they are written."""

    strategy: str = "Replace"
    steps: tuple[Step, ...] = ()
    analysis: Mapping[str, Any] = Field(default_factory=dict)
    traffic: Traffic = Traffic()
    paused: bool | None = None
    approved_revision: str | None = None
    scale_down_delay_seconds: int | None = None


class Spec(Model):
    """The promise, as far as rollouts go."""

    rollout: Rollout = Rollout()


class Status(Model):
    """How it stands."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()
    url: str | None = None
    stable: Stable | None = None
    canary: Canary | None = None
    retired: Retired | None = None
    rejected: tuple[Rejection, ...] = ()
    last_handled_request: str | None = None
    handled_requests: tuple[str, ...] = ()
    last_decision: Decision | None = None
    history: tuple[Decision, ...] = ()


class Metadata(Model):
    """Which object it is."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 0
    deletion_timestamp: str | None = None
    annotations: Mapping[str, str] = Field(default_factory=dict)


class InferenceService(Model):
    """The object."""

    metadata: Metadata
    spec: Spec
    status: Status = Status()

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def canary(self) -> Canary | None:
        """The revision on its way."""
        return self.status.canary

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of its rollouts; where both run side by side until a switch, that is one."""
        rollout = self.spec.rollout
        side_by_side = rollout.strategy == "BlueGreen" and not rollout.steps
        return (Step(weight=0, hold_seconds=0),) if side_by_side else rollout.steps

    @property
    def is_current(self) -> bool:
        """Whether the operator has seen the spec as it is now."""
        return self.status.observed_generation == self.metadata.generation

    @property
    def is_paused(self) -> bool:
        """Whether somebody keeps the canary at its step."""
        return bool(self.spec.rollout.paused or (self.canary is not None and self.canary.paused))

    @property
    def request(self) -> str | None:
        """The request about its rollout that is written on it."""
        return self.metadata.annotations.get(ANNOTATION)

    @property
    def decisions(self) -> list[Decision]:
        """All that is remembered, the newest first."""
        last = self.status.last_decision
        return [] if last is None else [last, *self.status.history]

    @property
    def way_back(self) -> Retired | None:
        """The revision that `undo` switches to: the one before, or the newer one after an undo."""
        retired = self.status.retired
        if retired is None or not retired.undone:
            return retired
        return retired if self.undone(retired.revision) is not None else None

    def undone(self, revision: str) -> Rejection | None:
        """The record of somebody having undone a revision."""
        found = (each for each in self.status.rejected if each.reason == "Undone")
        return next((each for each in found if each.revision == revision), None)

    def condition(self, aspect: str) -> Condition | None:
        """A condition."""
        return next((each for each in self.status.conditions if each.type == aspect), None)

    def holds(self, aspect: str) -> bool:
        """Whether a condition is true, of the spec as it is now."""
        found = self.condition(aspect)
        return (
            found is not None
            and found.status == "True"
            and found.observed_generation == self.metadata.generation
        )


def read(body: object) -> InferenceService:
    """Reads the object as the API server gives it."""
    try:
        return InferenceService.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"the InferenceService cannot be read: {where}: {first['msg']}. "
            "Is this program as old, or as new, as the operator? `modelwright --version` says which it is"
        ) from error
