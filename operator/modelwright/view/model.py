"""A lenient model of an InferenceService, for showing it to people. Pure.

The program may be older than the operator. So it accepts any string as a state or a verdict, ignores unknown fields,
and requires few.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from modelwright.api.base import Model
from modelwright.api.requests import ANNOTATION

Object = Mapping[str, Any]


class Unreadable(ValueError):  # noqa: N818 - it describes the object
    """The object does not fit this model; the message names the field."""


class Check(Model):
    """A check of a revision, as it was when the operator wrote it last."""

    name: str
    result: str
    reason: str = ""
    message: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    samples: int = 0
    samples_needed: int | None = None


class Revision(Model):
    """A version in one shape of pod, which has pods or had them."""

    revision: str
    version: str
    replicas: int | None = None
    ready_replicas: int | None = None


class Stable(Revision):
    """The revision that has the traffic."""

    since: str | None = None
    bake_until: str | None = None
    checks: tuple[Check, ...] = ()


class Canary(Revision):
    """The revision that is being rolled out."""

    state: str
    since: str | None = None
    step: int | None = None
    step_since: str | None = None
    weight: int | None = None
    paused: bool | None = None
    verdict: str | None = None
    checks: tuple[Check, ...] = ()
    failed_looks: int | None = None
    url: str | None = None
    reason: str | None = None
    message: str | None = None
    stand_in_since: str | None = None
    retry_at: str | None = None


class Retired(Revision):
    """The revision that had the traffic before and still has pods."""

    until: str
    undone: bool | None = None


class Decision(Model):
    """What was decided about a revision, and the number behind it."""

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
    """A revision that was rolled back, aborted or undone. The operator does not start it again by itself."""

    at: str
    revision: str
    version: str
    digest: str
    reason: str
    requested_by: str | None = None


class Condition(Model):
    """A condition of the status."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class Step(Model):
    """A step of the rollout: a share of the traffic, and how long it is held."""

    weight: int
    mirror: int = 0
    hold_seconds: int = 60
    approval: bool | None = None


class Header(Model):
    """A header whose requests go to the canary."""

    name: str
    value: str


class Traffic(Model):
    """Which requests go to the canary."""

    headers: tuple[Header, ...] = ()
    sticky: str | None = None


class Rollout(Model):
    """How a revision takes over. The analysis is kept as written."""

    strategy: str = "Replace"
    steps: tuple[Step, ...] = ()
    analysis: Mapping[str, Any] = Field(default_factory=dict)
    traffic: Traffic = Traffic()
    paused: bool | None = None
    approved_revision: str | None = None
    scale_down_delay_seconds: int | None = None


class Spec(Model):
    """The part of the spec about rollouts."""

    rollout: Rollout = Rollout()


class DriftedFeature(Model):
    """How far something is from the hold-out."""

    feature: str
    statistic: str
    value: float
    threshold: float
    cell: str | None = None
    share: float | None = None
    expected: float | None = None


class Estimated(Model):
    """Scores without labels."""

    accuracy: float | None = None


class Score(Model):
    """A score by the labels of callers."""

    name: str
    verdict: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    min: float | None = None
    max: float | None = None


class Feedback(Model):
    """What became of labels."""

    state: str | None = None
    duplicate: int = 0
    forged: int = 0
    expired: int = 0
    unknown_label: int = 0


class Monitoring(Model):
    """What was found of requests."""

    window_start: str | None = None
    window_seconds: int = 0
    rows: int = 0
    verdict: str | None = None
    reason: str | None = None
    in_a_row: int = 0
    worst: tuple[DriftedFeature, ...] = ()
    estimated: Estimated | None = None
    scores: tuple[Score, ...] = ()
    feedback: Feedback | None = None


class Status(Model):
    """The status."""

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
    monitoring: Monitoring | None = None


class Metadata(Model):
    """The metadata."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 0
    deletion_timestamp: str | None = None
    annotations: Mapping[str, str] = Field(default_factory=dict)


class InferenceService(Model):
    """An InferenceService."""

    metadata: Metadata
    spec: Spec
    status: Status = Status()

    @property
    def name(self) -> str:
        """The name of the object."""
        return self.metadata.name

    @property
    def canary(self) -> Canary | None:
        """The revision that is being rolled out, if there is one."""
        return self.status.canary

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of a rollout. Blue-green without steps has one, of weight 0."""
        rollout = self.spec.rollout
        side_by_side = rollout.strategy == "BlueGreen" and not rollout.steps
        return (Step(weight=0, hold_seconds=0),) if side_by_side else rollout.steps

    @property
    def is_current(self) -> bool:
        """True if the operator has observed the present generation of the spec."""
        return self.status.observed_generation == self.metadata.generation

    @property
    def is_paused(self) -> bool:
        """True if the spec or a request keeps the canary at its step."""
        return bool(self.spec.rollout.paused or (self.canary is not None and self.canary.paused))

    @property
    def request(self) -> str | None:
        """The request in the annotation about the rollout, if there is one."""
        return self.metadata.annotations.get(ANNOTATION)

    @property
    def decisions(self) -> list[Decision]:
        """All decisions in the status, the newest first."""
        last = self.status.last_decision
        return [] if last is None else [last, *self.status.history]

    @property
    def compared(self) -> list[str]:
        """The versions that a rollout compares, the earlier one first; all of one name count once."""
        status = self.status
        before, after = (status.stable, status.canary) if status.canary else (status.retired, status.stable)
        return list(dict.fromkeys(each.version for each in (before, after) if each is not None))

    @property
    def way_back(self) -> Retired | None:
        """The revision that `undo` switches to: the one before, or the newer one after an undo."""
        retired = self.status.retired
        if retired is None or not retired.undone:
            return retired
        return retired if self.undone(retired.revision) is not None else None

    def undone(self, revision: str) -> Rejection | None:
        """The record that a revision was undone; None if it was not."""
        undone = (each for each in self.status.rejected if each.reason == "Undone")
        return next((each for each in undone if each.revision == revision), None)

    def condition(self, name: str) -> Condition | None:
        """The condition of this type."""
        return next((each for each in self.status.conditions if each.type == name), None)

    def holds(self, name: str) -> bool:
        """True if the condition of this type is True for the present generation of the spec."""
        condition = self.condition(name)
        return (
            condition is not None
            and condition.status == "True"
            and condition.observed_generation == self.metadata.generation
        )


class Metric(Model):
    """A number that was measured when a version was made or verified."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    positive_class: str | None = None
    source: str = ""


class _VersionStatus(Model):
    metrics: tuple[Metric, ...] = ()


class _Version(Model):
    status: _VersionStatus = _VersionStatus()


def read_metrics(body: object) -> tuple[Metric, ...]:
    """Returns the metrics of a ModelVersion; none if the object does not fit this model."""
    try:
        return _Version.model_validate(body).status.metrics
    except ValidationError:
        return ()


def read(body: object) -> InferenceService:
    """Returns the model of an object as the API server returns it; Unreadable if it does not fit."""
    try:
        return InferenceService.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(
            f"the InferenceService cannot be read: {where}: {first['msg']}. "
            "Is this program as old, or as new, as the operator? `modelwright --version` says which it is"
        ) from error
