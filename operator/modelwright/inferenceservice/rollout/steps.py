"""The steps of a canary: which share of the traffic it has, and what it takes to go on. Pure.

What became of a step is told by `decisions`.

Pods come before traffic: a step's weight holds from the moment when the pods that it needs are ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal

from modelwright.api.inferenceservice import Analysis, CanaryRevision, InferenceServiceSpec, Step
from modelwright.checks.verdict import Verdict, verdict_text
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.analysis.counts import StepCounts, counted_since
from modelwright.inferenceservice.analysis.gateway_counts import told_by_itself
from modelwright.inferenceservice.analysis.judge import judge, judge_pods, judge_unmet, waiting_for
from modelwright.workload.podstatus import Problem

Outcome = Literal["Advance", "Promote", "Pause", "Resume", "Retry", "Rollback"]
# The states of a canary whose pods have a share of the traffic.
SHIFTING = frozenset(("Shifting", "Completing"))
# No look has failed: at the beginning of a step, and after one that has not.
_NO_FAILURES: Mapping[str, None] = {"failed_looks": None, "last_look": None}


@dataclass(frozen=True)
class Judged:
    """What follows from a verdict."""

    outcome: Outcome
    verdict: Verdict


@dataclass(frozen=True)
class Move:
    """What changes of a canary: nothing, some fields, or that it is given up."""

    update: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    decision: Judged | None = None


def planned(spec: InferenceServiceSpec) -> list[Step]:
    """The steps that a new revision goes through; none where it takes over when it is ready."""
    if spec.rollout.strategy == "BlueGreen":
        return spec.rollout.steps or [Step(weight=0, hold_seconds=0)]
    return spec.rollout.steps or []


def current(canary: CanaryRevision, spec: InferenceServiceSpec) -> Step | None:
    """The step that a canary is at; the last one where the spec has fewer by now."""
    found = planned(spec)
    return found[min(canary.step or 0, len(found) - 1)] if found else None


def asked(spec: InferenceServiceSpec) -> Analysis:
    """What has to hold at each step."""
    return spec.rollout.analysis or Analysis()


def replicas(canary: CanaryRevision, spec: InferenceServiceSpec, *, beside: bool) -> int:
    """The pods that a canary needs: its share of the stable revision's, at least one; all of them in the end, and while
    it answers alone.

    `beside`: there is a stable revision. Without one there is nothing to take a share of.
    """
    step = current(canary, spec)
    if step is None or not beside or canary.state == "Completing" or spec.replicas == 0:
        return spec.replicas
    if spec.rollout.strategy == "BlueGreen" or canary.stand_in_since is not None:
        return spec.replicas
    weight = max(step.weight, canary.weight or 0)
    return min(spec.replicas, max(1, ceil(spec.replicas * weight / 100)))


def move(
    canary: CanaryRevision,
    spec: InferenceServiceSpec,
    measured: StepCounts | None,
    restarts: int,
    now: datetime,
    *,
    has_share: bool = True,
) -> Move:
    """What the analysis says of a canary whose containers have restarted so often; `has_share`: its step's share of the
    traffic holds. Until it does, the step cannot end well."""
    step = current(canary, spec)
    if step is None or canary.step_since is None:
        return Move()
    if crashed := judge_pods(asked(spec), restarts):
        return _back(crashed)
    counted = counted_since(measured, canary.step_since)
    if counted is not None and spec.gateway is not None:
        counted = told_by_itself(counted)
    if reaches_canary(step, spec):
        verdict, needs = judge(asked(spec), counted), waiting_for(asked(spec), counted)
    else:
        verdict, needs = judge_unmet(asked(spec), counted), []
    if (
        canary.state == "Completing" or canary.weight != step.weight or not has_share
    ):  # what it waits for are pods
        needs = []
    noted = {**_noted(canary, verdict, counted), "waiting_for": needs or None}
    if verdict.result == "Fail":
        enough = noted.get("failed_looks", 0) >= asked(spec).consecutive_failures
        return _back(verdict) if enough else Move(noted)
    moved = _after_its_time(canary, step, spec, verdict, now) if has_share else Move()
    return replace(moved, update={**noted, **moved.update})


def _after_its_time(
    canary: CanaryRevision, step: Step, spec: InferenceServiceSpec, verdict: Verdict, now: datetime
) -> Move:
    """What follows from a verdict that is no failure, once the step has lasted long enough."""
    if canary.state == "Completing" or canary.weight != step.weight or is_paused(canary, spec):
        return Move()
    held = from_timestamp(canary.step_since or canary.since) + timedelta(seconds=step.hold_seconds)
    if now < held:
        return Move()
    if verdict.result == "Inconclusive":
        return _without_verdict(canary, spec, verdict, now >= held + no_data(spec), now)
    return Move() if awaits_approval(canary, spec) else _on(canary, spec, verdict, now)


def awaits_approval(canary: CanaryRevision, spec: InferenceServiceSpec) -> bool:
    """Whether the step that the canary is at ends only when somebody says so."""
    step = current(canary, spec)
    return step is not None and bool(step.approval) and spec.rollout.approved_revision != canary.revision


def reaches_canary(step: Step, spec: InferenceServiceSpec) -> bool:
    """Whether a step lets anything reach the canary that could be measured."""
    chosen = spec.rollout.traffic is not None and bool(spec.rollout.traffic.headers)
    return step.weight > 0 or step.mirror > 0 or chosen


def _noted(canary: CanaryRevision, verdict: Verdict, measured: StepCounts | None) -> dict[str, Any]:
    """What is kept of a look: the verdict, and how many looks in a row have failed."""
    counted = 0 if measured is None else measured.look
    look = counted if verdict.look is None else verdict.look
    if verdict.result != "Fail":
        return {"verdict": verdict.reason, **_NO_FAILURES}
    if canary.last_look == look:
        return {"verdict": verdict.reason, "failed_looks": canary.failed_looks or 0}
    return {
        "verdict": verdict.reason,
        "failed_looks": (canary.failed_looks or 0) + 1,
        "last_look": look,
    }


def enter(
    canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime, *, complete: bool
) -> dict[str, Any]:
    """The fields that change when a step's weight begins to hold: at once if it is lower, else when its pods are ready.

    `complete`: the pods that the step needs are ready.
    """
    step = current(canary, spec)
    if step is None or canary.state != "Shifting" or canary.weight == step.weight:
        return {}
    if not complete and step.weight > (canary.weight or 0):
        return {}
    return {"weight": step.weight, "step_since": to_timestamp(now), **_NO_FAILURES}


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


def is_paused(canary: CanaryRevision, spec: InferenceServiceSpec) -> bool:
    """Whether somebody wants it to stay at its step."""
    return bool(spec.rollout.paused or canary.paused)


def promoted(
    canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime, *, fully: bool
) -> tuple[CanaryRevision, Outcome]:
    """The canary after somebody asked to go on without a verdict: by one step, or past all of them."""
    on = _on(canary, spec, Verdict("Pass", "request", "Requested", 0), now)
    update = {"state": "Completing", "step_since": to_timestamp(now)} if fully else dict(on.update)
    outcome: Outcome = "Promote" if update.get("state") == "Completing" else "Advance"
    return canary.model_copy(update={**update, "paused": None}), outcome


def _without_verdict(
    canary: CanaryRevision, spec: InferenceServiceSpec, verdict: Verdict, late: bool, now: datetime
) -> Move:
    if not late:
        return Move()
    match asked(spec).on_no_data:
        case "Wait":
            return Move()
        case "Pause":
            return Move({"paused": True}, decision=Judged("Pause", verdict))
        case "Rollback":
            return _back(verdict)
        case "Promote":
            return Move() if awaits_approval(canary, spec) else _on(canary, spec, verdict, now)


def _back(verdict: Verdict) -> Move:
    return Move(problem=problem(verdict), decision=Judged("Rollback", verdict))


def problem(verdict: Verdict) -> Problem:
    """A verdict as the reason to give a revision up."""
    told = verdict_text(verdict.metric, verdict.value, verdict.threshold, verdict.samples)
    return Problem(verdict.reason, told)


def _on(canary: CanaryRevision, spec: InferenceServiceSpec, verdict: Verdict, now: datetime) -> Move:
    following = (canary.step or 0) + 1
    update: dict[str, Any] = {"step_since": to_timestamp(now), "waiting_for": None, **_NO_FAILURES}
    if following >= len(planned(spec)):
        return Move({"state": "Completing", **update}, decision=Judged("Promote", verdict))
    return Move({"step": following, **update}, decision=Judged("Advance", verdict))
