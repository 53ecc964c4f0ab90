"""The steps of a canary: which share of the traffic it has, and what it takes to go on. Pure.

Pods come before traffic: a step's weight holds from the moment when the pods that it needs are ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal

from modelwright.api.inferenceservice import Analysis, CanaryRevision, Decision, InferenceServiceSpec, Step
from modelwright.common.podstatus import Problem
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.analysis import Verdict, judge
from modelwright.inferenceservice.measured import Measured


@dataclass(frozen=True)
class Judged:
    """What follows from a verdict."""

    outcome: Literal["Advance", "Promote", "Rollback"]
    verdict: Verdict


@dataclass(frozen=True)
class Move:
    """What changes of a canary: nothing, some fields, or that it is given up."""

    update: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    decision: Judged | None = None


def current(canary: CanaryRevision, spec: InferenceServiceSpec) -> Step | None:
    """The step that a canary is at; the last one where the spec has fewer by now."""
    found = spec.rollout.steps or []
    return found[min(canary.step or 0, len(found) - 1)] if found else None


def asked(spec: InferenceServiceSpec) -> Analysis:
    """What has to hold at each step."""
    return spec.rollout.analysis or Analysis()


def replicas(canary: CanaryRevision, spec: InferenceServiceSpec, *, beside: bool) -> int:
    """The pods that a canary needs: its share of the stable revision's, at least one; all of them in the end.

    `beside`: there is a stable revision. Without one there is nothing to take a share of.
    """
    step = current(canary, spec)
    if step is None or not beside or canary.state == "Completing" or spec.replicas == 0:
        return spec.replicas
    weight = max(step.weight, canary.weight or 0)
    return min(spec.replicas, max(1, ceil(spec.replicas * weight / 100)))


def move(
    canary: CanaryRevision, spec: InferenceServiceSpec, measured: Measured | None, now: datetime
) -> Move:
    """What the analysis says of a canary that has a share of the traffic."""
    step = current(canary, spec)
    if step is None or canary.step_since is None:
        return Move()
    counted = measured if measured is not None and measured.since == canary.step_since else None
    verdict = judge(asked(spec), counted)
    if verdict.result == "Fail":
        return _back(verdict)
    if canary.state == "Completing" or canary.weight != step.weight or is_paused(canary, spec):
        return Move()
    held = from_timestamp(canary.step_since) + timedelta(seconds=step.hold_seconds)
    if now < held:
        return Move()
    if verdict.result == "Inconclusive":
        return _without_verdict(canary, spec, verdict, now >= held + no_data(spec), now)
    return _on(canary, spec, verdict, now)


def enter(canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime) -> dict[str, Any]:
    """What changes when the pods of the canary's step are ready: its weight holds, and its time begins."""
    step = current(canary, spec)
    if step is None or canary.state != "Shifting" or canary.weight == step.weight:
        return {}
    return {"weight": step.weight, "step_since": to_timestamp(now)}


def look_again(canary: CanaryRevision, spec: InferenceServiceSpec) -> list[datetime]:
    """When time alone changes something."""
    step = current(canary, spec)
    if step is None or canary.step_since is None or canary.state != "Shifting":
        return []
    held = from_timestamp(canary.step_since) + timedelta(seconds=step.hold_seconds)
    return [held, held + no_data(spec)]


def no_data(spec: InferenceServiceSpec) -> timedelta:
    """How long a step waits for its verdict."""
    return timedelta(seconds=asked(spec).no_data_seconds)


def decision(canary: CanaryRevision, judged: Judged, now: datetime) -> Decision:
    """The decision for the record."""
    verdict = judged.verdict
    return Decision(
        at=to_timestamp(now),
        revision=canary.revision,
        step=canary.step or 0,
        verdict=judged.outcome,
        reason=verdict.reason,
        metric=verdict.metric,
        value=verdict.value,
        threshold=verdict.threshold,
        samples=verdict.samples,
    )


def is_paused(canary: CanaryRevision, spec: InferenceServiceSpec) -> bool:
    """Whether somebody wants it to stay at its step."""
    return bool(spec.rollout.paused or canary.paused)


def promoted(
    canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime, *, fully: bool
) -> tuple[CanaryRevision, Decision]:
    """The canary after somebody asked to go on without a verdict: by one step, or past all of them."""
    on = _on(canary, spec, Verdict("Pass", "request", "Requested", 0), now)
    update = {"state": "Completing", "step_since": to_timestamp(now)} if fully else dict(on.update)
    verdict: Literal["Advance", "Promote"] = "Promote" if update.get("state") == "Completing" else "Advance"
    told = Decision(
        at=to_timestamp(now),
        revision=canary.revision,
        step=canary.step or 0,
        verdict=verdict,
        reason="Requested",
    )
    return canary.model_copy(update={**update, "paused": None}), told


def given_up(canary: CanaryRevision, reason: str, now: datetime) -> Decision:
    """The decision for the record when it is the pods that fail, and no number."""
    return Decision(
        at=to_timestamp(now),
        revision=canary.revision,
        step=canary.step or 0,
        verdict="Rollback",
        reason=reason,
    )


def _without_verdict(
    canary: CanaryRevision, spec: InferenceServiceSpec, verdict: Verdict, late: bool, now: datetime
) -> Move:
    if not late or asked(spec).on_no_data == "Wait":
        return Move()
    return _back(verdict) if asked(spec).on_no_data == "Rollback" else _on(canary, spec, verdict, now)


def _back(verdict: Verdict) -> Move:
    return Move(problem=Problem(verdict.reason, _sentence(verdict)), decision=Judged("Rollback", verdict))


def _on(canary: CanaryRevision, spec: InferenceServiceSpec, verdict: Verdict, now: datetime) -> Move:
    following = (canary.step or 0) + 1
    since = to_timestamp(now)
    if following >= len(spec.rollout.steps or []):
        return Move({"state": "Completing", "step_since": since}, decision=Judged("Promote", verdict))
    return Move({"step": following, "step_since": since}, decision=Judged("Advance", verdict))


def _sentence(verdict: Verdict) -> str:
    value = "unknown" if verdict.value is None else f"{verdict.value:.4g}"
    limit = "" if verdict.threshold is None else f", the limit {verdict.threshold:.4g}"
    return f"{verdict.metric} is {value}{limit} ({verdict.samples} samples)"
