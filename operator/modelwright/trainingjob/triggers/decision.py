"""One decision on all that calls for a run at a moment, and its record. Pure.

A schedule calls for a moment: if it is held back, that time is lost for good, as with `Forbid` of a CronJob. Data,
drift and scores call as long as they last: they wait. A decision that is the same as before is not recorded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from modelwright.api.trainingjob import Run
from modelwright.api.triggers import (
    DECISIONS,
    MESSAGE_LENGTH,
    Brakes,
    Cause,
    Decision,
    RecentRuns,
    TriggerStatus,
)
from modelwright.common.times import to_timestamp
from modelwright.engine.plan import Count, Event
from modelwright.trainingjob.runs import TERMINAL
from modelwright.trainingjob.triggers.brakes import Brake, brake, suspends_after
from modelwright.trainingjob.triggers.signals import ORDER, Signal


@dataclass(frozen=True)
class Situation:
    """What holds signals back. `run`: the newest run. `number`: that of a run that starts now.

    `suspended`: spec.suspend. `failures`: how many runs that triggers started have failed in a row. `outcome`: why what
    became of the newest run keeps services from calling for another one.
    """

    run: Run
    number: int
    brakes: Brakes
    recent: Sequence[RecentRuns]
    now: datetime
    suspended: bool = False
    failures: int = 0
    outcome: Brake | None = None

    @property
    def is_suspended_by_failures(self) -> bool:
        """True if triggers start no run because too many have failed."""
        limit = suspends_after(self.brakes)
        return limit > 0 and self.failures >= limit


@dataclass(frozen=True)
class Choice:
    """The decision: the run that starts, with its cause, or why none does. `force`: also with the data of the last one.

    `decisions`: what is recorded, the most important one last. `until`: when to decide again.
    """

    decisions: tuple[Decision, ...]
    cause: Cause | None = None
    force: bool = False
    until: datetime | None = None


def decide(signals: Sequence[Signal], situation: Situation) -> Choice:
    """Returns the decision on the signals of a moment. Several of them start one run."""
    ordered = sorted(signals, key=lambda signal: ORDER.index(signal.trigger))
    held = [(signal, held_back(signal, situation)) for signal in ordered]
    free = sorted((signal for signal, why in held if why is None), key=lambda signal: not signal.force)
    if free:
        return _start(free[0], ordered, situation)
    refused = [(signal, why) for signal, why in held if why is not None]
    times = [why.until for signal, why in refused if signal.lasts and why.until is not None]
    decisions = (_refusal(signal, why, situation.now) for signal, why in reversed(refused))
    return Choice(tuple(decisions), until=min(times, default=None))


def _start(signal: Signal, signals: Sequence[Signal], situation: Situation) -> Choice:
    at, run = to_timestamp(situation.now), situation.number
    others = ", ".join(other.trigger for other in signals if other is not signal)
    besides = f"; it is also that of {others}" if others else ""
    decision = Decision(
        at=at,
        trigger=signal.trigger,
        outcome="Started",
        reason=signal.trigger,
        message=f"run {run} starts: {signal.message}{besides}"[:MESSAGE_LENGTH],
        run=run,
        evidence=signal.evidence,
    )
    return Choice((decision,), Cause(trigger=signal.trigger, at=at, evidence=signal.evidence), signal.force)


def _refusal(signal: Signal, why: Brake, now: datetime) -> Decision:
    outcome: Literal["Waiting", "Skipped"] = "Waiting" if signal.lasts else "Skipped"
    what = "a run waits" if signal.lasts else "no run starts"
    return Decision(
        at=to_timestamp(now),
        trigger=signal.trigger,
        outcome=outcome,
        reason=why.reason,
        message=f"{signal.message}, but {what}: {why.message}"[:MESSAGE_LENGTH],
        evidence=signal.evidence,
    )


def held_back(signal: Signal, situation: Situation) -> Brake | None:
    """Returns why a signal starts no run now; None if it does. A request by hand heeds concurrencyPolicy alone."""
    by_hand = signal.trigger == "Manual"
    if not by_hand and (stop := _stopped(situation)) is not None:
        return stop
    if signal.hold is not None:
        return Brake(*signal.hold)
    if situation.run.state not in TERMINAL and (why := _of_other_run(signal, situation)):
        return Brake("ConcurrentRun", f"run {situation.run.number} is under way{why}")
    if by_hand:
        return None
    outcome = _of_outcome(signal, situation)
    if outcome is not None:
        return outcome
    return brake(signal.trigger, situation.brakes, situation.run, situation.recent, situation.now)


def _of_outcome(signal: Signal, situation: Situation) -> Brake | None:
    """Why what became of the newest run keeps a service from calling for another one; None if nothing does.

    What ends by itself goes by the pause that the spec names, if it names one.
    """
    found = situation.outcome if signal.trigger in ("Drift", "Score") else None
    if found is None or (signal.force and found.reason == "DataUnchanged"):
        return None
    return None if found.until is not None and situation.brakes.cooldown_seconds is not None else found


def _stopped(situation: Situation) -> Brake | None:
    """Why triggers start no run at all; None if they do."""
    if situation.suspended:
        return Brake("Suspended", "spec.suspend is true")
    if situation.is_suspended_by_failures:
        return Brake("FailuresInARow", failures_phrase(situation.brakes))
    return None


def _of_other_run(signal: Signal, situation: Situation) -> str | None:
    """Why a run that is under way is not replaced, as the end of a clause; None if it is.

    What lasts never replaces a run, which may be the one that ends it: a long run would never come to its end.
    """
    if situation.brakes.concurrency_policy != "Replace":
        return ", and concurrencyPolicy is Forbid"
    return ", and may end it" if signal.lasts else None


def failures_phrase(brakes: Brakes) -> str:
    """Why triggers start no run after failures, and what to do."""
    return (
        f"suspendAfterFailures: {suspends_after(brakes)} runs that triggers started have failed in a row; change the "
        "spec, or run it by hand once it can succeed"
    )


def started(cause: Cause, run: int, message: str) -> Decision:
    """Returns the record of a run that no signal has started."""
    return Decision(
        at=cause.at,
        trigger=cause.trigger,
        outcome="Started",
        reason=cause.trigger,
        message=f"run {run} starts: {message}",
        run=run,
        evidence=cause.evidence,
    )


def recorded(status: TriggerStatus, decision: Decision) -> tuple[TriggerStatus, bool]:
    """Returns the status with a decision, and whether it is news.

    One that is the same as the last one of this trigger is not recorded if it lasts, and takes the place of that one if
    it is the last decision of all: so a schedule that is held back each minute does not push out all others.
    """
    last, history = status.last_decision, list(status.history or ())
    earlier = [each for each in (last, *history) if each is not None]
    before = next((each for each in earlier if each.trigger == decision.trigger), None)
    repeats = before is not None and _kind(before) == _kind(decision) and decision.outcome != "Started"
    if repeats and decision.outcome == "Waiting":
        return status, False
    if repeats:
        earlier = [each for each in earlier if each is not before]
    kept = status.model_copy(update={"last_decision": decision, "history": earlier[:DECISIONS] or None})
    return kept, not repeats


def _kind(decision: Decision) -> tuple[str, str, int | None]:
    return decision.outcome, decision.reason, decision.run


def count_of(decision: Decision) -> Count:
    """The decision, to be counted."""
    return Count("modelwright_retraining_decisions", (decision.trigger, decision.outcome, decision.reason))


def event_of(decision: Decision) -> Event:
    """The event that reports a decision."""
    return Event("Normal", f"Retraining{decision.outcome}", f"{decision.trigger}: {decision.message}")
