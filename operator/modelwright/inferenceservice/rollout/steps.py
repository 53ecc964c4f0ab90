"""The steps of a canary: its share of the traffic, and when a step ends. Pure.

The record of each decision is made in `decision_log`. Pods come before traffic: a step's weight takes effect once the
pods that the step needs are ready.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Literal

from modelwright.api.inferenceservice import Analysis, CanaryRevision, InferenceServiceSpec, Step
from modelwright.checks.verdict import Verdict, overall, verdict_text
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.inferenceservice.analysis import judge
from modelwright.inferenceservice.analysis.checks_record import recorded, word
from modelwright.inferenceservice.analysis.counts import StepCounts, counted_since
from modelwright.inferenceservice.analysis.judge import Measurement
from modelwright.workload.podstatus import Problem

Outcome = Literal["Advance", "Promote", "Pause", "Resume", "Retry", "Rollback"]
# The states of a canary whose pods have a share of the traffic.
SHIFTING = frozenset(("Shifting", "Completing"))
# The verdict of a canary that rests before its pods were ready, and the reason of the decision that lets a version take
# over which arrives while spec.replicas is 0.
SCALED_TO_ZERO = "ScaledToZero"
# Resets the count of failed checks: when a step begins, and after a check that did not fail.
_NO_FAILURES: Mapping[str, None] = {"failed_looks": None, "last_look": None}


@dataclass(frozen=True)
class Judged:
    """What a verdict leads to."""

    outcome: Outcome
    verdict: Verdict
    # The verdict is evidence about the model, not about the cluster or the pods.
    blames_model: bool = False


@dataclass(frozen=True)
class Move:
    """A change of a canary: some fields, or why it is given up (`problem`); empty if nothing changes."""

    update: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    decision: Judged | None = None


def planned(spec: InferenceServiceSpec) -> list[Step]:
    """The steps that a new revision goes through; empty if it takes over as soon as it is ready."""
    if spec.rollout.strategy == "BlueGreen":
        return spec.rollout.steps or [Step(weight=0, hold_seconds=0)]
    return spec.rollout.steps or []


def current(canary: CanaryRevision, spec: InferenceServiceSpec) -> Step | None:
    """The canary's present step; the last one if the spec has fewer steps by now."""
    steps = planned(spec)
    return steps[min(canary.step or 0, len(steps) - 1)] if steps else None


def analysis_of(spec: InferenceServiceSpec) -> Analysis:
    """The analysis of the spec, or its defaults."""
    return spec.rollout.analysis or Analysis()


def replicas(canary: CanaryRevision, spec: InferenceServiceSpec, *, beside: bool) -> int:
    """How many pods a canary needs: its share of spec.replicas, at least one; all of them when it is about to take
    over, or stands in for the stable revision.

    `beside`: there is a stable revision. Without one the canary needs all pods.
    """
    step = current(canary, spec)
    if step is None or not beside or canary.state == "Completing" or spec.replicas == 0:
        return spec.replicas
    if spec.rollout.strategy == "BlueGreen" or canary.stand_in_since is not None:
        return spec.replicas
    weight = max(step.weight, canary.weight or 0)
    return min(spec.replicas, max(1, ceil(spec.replicas * weight / 100)))


def rests(canary: CanaryRevision) -> bool:
    """True if spec.replicas was 0 before the canary's pods were ready, or while it was at a step: it has no pods before
    the stable revision has some again, and no share of the traffic before its own are ready."""
    if canary.state == "Progressing":
        return canary.verdict == SCALED_TO_ZERO
    return canary.state == "Shifting" and canary.weight is None


def untried(canary: CanaryRevision, now: datetime | None) -> CanaryRevision:
    """The canary whose first pods are awaited, at rest; with a time, no longer: its deadline begins then."""
    verdict, since = (SCALED_TO_ZERO, None) if now is None else (None, to_timestamp(now))
    return canary.model_copy(update={"verdict": verdict, "waiting_since": since})


def at_rest(canary: CanaryRevision) -> CanaryRevision:
    """The canary at a step, without a share and without a measurement, as nothing runs that could be measured.

    Its step begins again with the first pods (`enter`): neither its hold nor the wait for data goes on without them.
    """
    return canary.model_copy(
        update={"weight": None, "waiting_since": None, "verdict": None, "checks": None, **_NO_FAILURES}
    )


def measurement(canary: CanaryRevision, spec: InferenceServiceSpec) -> Measurement:
    """The present measurement of a canary. A status of an earlier release has no number, and gets the step's."""
    step = current(canary, spec)
    return Measurement(
        number=canary.measurement or (canary.step or 0) + 1,
        mirrors=step is not None and step.mirror > 0,
        gateway=spec.gateway is not None,
        answers=step is not None and (step.weight > 0 or _has_chosen_callers(spec)),
    )


def begun(canary: CanaryRevision, now: datetime) -> dict[str, Any]:
    """The fields that change when a measurement begins, from nothing: its time, and its number in this rollout.

    Each measurement has a share of the rollout's budget of false alarms, also when a step is measured again.
    """
    number = (canary.measurement or 0) + 1
    return {"step_since": to_timestamp(now), "measurement": number, "checks": None, **_NO_FAILURES}


def move(
    canary: CanaryRevision,
    spec: InferenceServiceSpec,
    measured: StepCounts | None,
    restarts: int,
    now: datetime,
    *,
    has_share: bool = True,
) -> Move:
    """Returns what follows from the analysis of a canary.

    `restarts`: how often the containers of one of its pods ended by themselves since the measurement began.
    `has_share`: it really has its step's share of the traffic. Without that the step can fail, but not pass.
    """
    step = current(canary, spec)
    if step is None or canary.step_since is None:
        return Move()
    analysis, counted = analysis_of(spec), counted_since(measured, canary.step_since)
    if crashed := judge.pods(analysis, restarts):
        return _back(crashed)
    this = measurement(canary, spec)
    met = reaches_canary(step, spec)
    verdicts = judge.checks(analysis, counted, this) if met else judge.unmet(analysis, counted)
    verdict = overall(verdicts)
    # Otherwise it waits for pods or routing, not for samples.
    measures = canary.state != "Completing" and canary.weight == step.weight and has_share
    checks = recorded(verdicts, counted, canary.checks) if measures else None
    noted = {**_noted(canary, verdict, counted), "checks": checks}
    if verdict.result == "Fail":
        if noted.get("failed_looks", 0) < analysis.consecutive_failures:
            return Move(noted)
        return _back(verdict, blames_model=judge.blames_model(verdict, analysis, counted, this))
    moved = _after_its_time(canary, step, spec, verdicts, now) if has_share else Move()
    return replace(moved, update={**noted, **moved.update})


def _after_its_time(
    canary: CanaryRevision, step: Step, spec: InferenceServiceSpec, verdicts: list[Verdict], now: datetime
) -> Move:
    """What follows from verdicts other than Fail: nothing before the step's hold time is over."""
    if canary.state == "Completing" or canary.weight != step.weight or is_paused(canary, spec):
        return Move()
    held = from_timestamp(canary.step_since or canary.since) + timedelta(seconds=step.hold_seconds)
    if now < held:
        return Move()
    verdict = overall(verdicts)
    if verdict.result == "Inconclusive":
        return _without_verdict(canary, spec, verdicts, now) if now >= held + no_data(spec) else Move()
    return Move() if awaits_approval(canary, spec) else _on(canary, spec, verdict, now)


def awaits_approval(canary: CanaryRevision, spec: InferenceServiceSpec) -> bool:
    """True if the canary's step needs an approval that it does not have."""
    step = current(canary, spec)
    return step is not None and bool(step.approval) and spec.rollout.approved_revision != canary.revision


def reaches_canary(step: Step, spec: InferenceServiceSpec) -> bool:
    """True if the step lets any request reach the canary, so that there is something to measure."""
    return step.weight > 0 or step.mirror > 0 or _has_chosen_callers(spec)


def _has_chosen_callers(spec: InferenceServiceSpec) -> bool:
    """True if some callers always go to the canary, by a header."""
    return spec.rollout.traffic is not None and bool(spec.rollout.traffic.headers)


def _noted(canary: CanaryRevision, verdict: Verdict, measured: StepCounts | None) -> dict[str, Any]:
    """The fields that record a check: its verdict, and how many checks in a row have failed.

    A new number of the counts, or of the query's answer, makes a new check; the same number is not counted twice.
    """
    counted = 0 if measured is None else measured.look
    look = counted if verdict.look is None else verdict.look
    noted: dict[str, Any] = {"verdict": word(verdict)}
    if verdict.result != "Fail":
        return {**noted, **_NO_FAILURES}
    failed = canary.failed_looks or 0
    if canary.last_look == look:
        return {**noted, "failed_looks": failed}
    return {**noted, "failed_looks": failed + 1, "last_look": look}


def enter(
    canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime, *, complete: bool
) -> dict[str, Any]:
    """The fields that change when a step's weight takes effect: at once if it is lower, else when its pods are ready.
    A canary that rests has no share before that.

    `complete`: the pods that the step needs are ready.
    """
    step = current(canary, spec)
    if step is None or canary.state != "Shifting" or canary.weight == step.weight:
        return {}
    if not complete and (canary.weight is None or step.weight > canary.weight):
        return {}
    return {"weight": step.weight, **begun(canary, now)}


def times_of(canary: CanaryRevision, spec: InferenceServiceSpec) -> list[datetime]:
    """The times at which a step may end without an event: after its hold time, and when its data is overdue."""
    step = current(canary, spec)
    if step is None or canary.step_since is None or canary.state != "Shifting" or rests(canary):
        return []
    held = from_timestamp(canary.step_since) + timedelta(seconds=step.hold_seconds)
    return [held, held + no_data(spec)]


def no_data(spec: InferenceServiceSpec) -> timedelta:
    """How long after its hold time a step waits for a verdict other than Inconclusive."""
    return timedelta(seconds=analysis_of(spec).no_data_seconds)


def is_paused(canary: CanaryRevision, spec: InferenceServiceSpec) -> bool:
    """True if the spec or a request pauses the canary at its step."""
    return bool(spec.rollout.paused or canary.paused)


def promoted(
    canary: CanaryRevision, spec: InferenceServiceSpec, now: datetime, *, fully: bool
) -> tuple[CanaryRevision, Outcome]:
    """The canary after a promotion by request: by one step, or past all of them (`fully`)."""
    on = _on(canary, spec, Verdict("Pass", "request", "Requested", 0), now)
    update = {"state": "Completing"} if fully else dict(on.update)
    outcome: Outcome = "Promote" if update.get("state") == "Completing" else "Advance"
    return canary.model_copy(update={**update, "paused": None}), outcome


def _without_verdict(
    canary: CanaryRevision, spec: InferenceServiceSpec, verdicts: list[Verdict], now: datetime
) -> Move:
    """What spec.rollout.analysis.onNoData has happen, once data is overdue."""
    verdict = overall(verdicts)
    match analysis_of(spec).on_no_data:
        case "Wait":
            return Move()
        case "Pause":
            return Move({"paused": True}, decision=Judged("Pause", verdict))
        case "Rollback":
            return _back(verdict)
        case "Promote":
            # A number that is beyond its limit is data, though it proves nothing yet.
            waits = awaits_approval(canary, spec) or any(each.beyond for each in verdicts)
            return Move() if waits else _on(canary, spec, verdict, now)


def _back(verdict: Verdict, *, blames_model: bool = False) -> Move:
    """The rollback."""
    return Move(problem=problem(verdict), decision=Judged("Rollback", verdict, blames_model))


def problem(verdict: Verdict) -> Problem:
    """The verdict as a reason and message, for a revision that is given up."""
    found = verdict.detailed()
    message = verdict_text(found.metric, found.value, found.threshold, found.samples, found.interval)
    return Problem(found.reason, message)


def _on(canary: CanaryRevision, spec: InferenceServiceSpec, verdict: Verdict, now: datetime) -> Move:
    """To the next step; after the last one, to the promotion.

    While the pods of the next step start, the canary keeps its share, and the measurement goes on: it ends when the
    next share takes effect (`enter`).
    """
    following, steps = (canary.step or 0) + 1, planned(spec)
    if following >= len(steps):
        return Move({"state": "Completing", "checks": None}, decision=Judged("Promote", verdict))
    update: dict[str, Any] = {"step": following, "checks": None}
    if steps[following].weight == canary.weight:
        update |= begun(canary, now)
    return Move(update, decision=Judged("Advance", verdict))
