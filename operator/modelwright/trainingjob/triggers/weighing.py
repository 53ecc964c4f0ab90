"""The triggers of a TrainingJob at one moment: what calls for a run, the decision, and what the status keeps. Pure.

The decision and the run that it starts are one write of the status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from modelwright.api.runrequests import ANNOTATION, pending
from modelwright.api.trainingjob import Run
from modelwright.api.triggers import Brakes, Decision, Evidence, Triggers, TriggerStatus
from modelwright.common.conditions import Aspect, true_condition
from modelwright.common.reading import read_valid
from modelwright.common.settings import Settings
from modelwright.common.standing import AWAITING_APPROVAL, GATE_INCONCLUSIVE, standing
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.plan import Effect, Event
from modelwright.trainingjob.observed import Observed
from modelwright.trainingjob.runs import TERMINAL
from modelwright.trainingjob.triggers.account import Weighing, account, known_status, use_up
from modelwright.trainingjob.triggers.brakes import (
    DAY,
    MOST_AHEAD,
    Brake,
    begun,
    phrase,
    remembered,
    suspends_after,
)
from modelwright.trainingjob.triggers.decision import Choice, Situation, decide, event_of, failures_phrase
from modelwright.trainingjob.triggers.probing import look
from modelwright.trainingjob.triggers.schedule import InvalidSchedule, Schedule, next_time, parsed
from modelwright.trainingjob.triggers.signals import Signal, Trouble, by_data, by_drift, by_schedule, by_score

TRIGGERS_ACTIVE = "TriggersActive"
# The reason when some triggers work and others do not.
PARTLY = "PartlyActive"


@dataclass(frozen=True)
class Weighed:
    """What became of the triggers. `choice`: None if nothing was decided."""

    status: TriggerStatus | None
    choice: Choice | None = None
    effects: tuple[Effect, ...] = ()
    events: tuple[Event, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    decisions: tuple[Decision, ...] = ()
    requeue_at: datetime | None = None


def weigh(
    observed: Observed, run: Run | None, previous: Run | None, settings: Settings, now: datetime
) -> Weighed:
    """Returns what becomes of the triggers now.

    `run`, `previous`: the newest run, and the one before it if that ends with this plan, without what the triggers do.
    """
    spec = observed.spec
    written = observed.triggers
    known = known_status(written, observed)
    if not (spec.get("triggers") or spec.get("brakes") or pending(observed.body, ()) or written):
        return Weighed(None)
    weighing = Weighing(
        observed,
        run,
        now,
        read_valid(Triggers, spec.get("triggers") or {}),
        read_valid(Brakes, spec.get("brakes") or {}),
        known,
    )
    account(weighing, previous)
    schedule = _scheduled(weighing)
    choice = None
    if run is not None and _is_settled(weighing, run):
        choice = _decided(weighing, run, schedule)
    else:
        list(_of_services(weighing))  # what keeps triggers from working is said all the time
    looked = look(
        observed, weighing.triggers.on_data_change, weighing.status.probe,
        None if choice is not None and choice.cause is not None else run, settings, now,
    )  # fmt: skip
    weighing.update(probe=looked.probe)
    if looked.problem is not None:
        message = f"onDataChange: {looked.problem.message}"
        weighing.troubles.append(Trouble(looked.problem.reason, message))
    _plan_schedule(weighing, schedule)
    weighing.update(suspended=_is_suspended(weighing) or None)
    aspects = _aspects(weighing)
    times = (each for each in (*weighing.times, looked.requeue_at) if each is not None)
    return Weighed(
        status=weighing.status,
        choice=choice,
        effects=looked.effects,
        events=(*_trouble_events(observed, aspects), *map(event_of, weighing.news)),
        aspects=aspects,
        troubles=tuple(weighing.troubles),
        decisions=tuple(weighing.news),
        requeue_at=min(times, default=None),
    )


def failed_at_once(weighed: Weighed) -> Weighed:
    """The same if the run that was chosen has failed before it could begin."""
    status = weighed.status or TriggerStatus()
    failures = (status.failures_in_a_row or 0) + 1
    return replace(weighed, status=status.model_copy(update={"failures_in_a_row": failures}))


def _is_settled(weighing: Weighing, run: Run) -> bool:
    """True if the newest run stands as the status has it, and is not about to end well."""
    before, job = weighing.observed.run, weighing.observed.job
    if before is None or (run.number, run.state in TERMINAL) != (before.number, before.state in TERMINAL):
        return False
    return run.state in TERMINAL or job is None or true_condition(job, "Complete") is None


def _scheduled(weighing: Weighing) -> Schedule | None:
    """The schedule of the spec; None without one. Its times count from when it was first seen."""
    fields, zone = weighing.triggers.schedule, weighing.triggers.time_zone or "UTC"
    if fields is None:
        weighing.update(schedule=None, schedule_since=None, next_schedule_time=None)
        return None
    try:
        schedule = parsed(fields, zone)
    except InvalidSchedule as error:
        weighing.troubles.append(Trouble("InvalidSchedule", str(error)))
        weighing.update(next_schedule_time=None)
        return None
    said, since = f"{fields} {zone}", weighing.status.schedule_since
    known = from_timestamp(since) if since else None
    if weighing.status.schedule != said or known is None or known > weighing.now + MOST_AHEAD:
        # A lost status may still know the last time that a run was started for.
        begin = max(weighing.now, known) if known and known <= weighing.now + MOST_AHEAD else weighing.now
        weighing.update(schedule=said, schedule_since=to_timestamp(begin))
    return schedule


def _plan_schedule(weighing: Weighing, schedule: Schedule | None) -> None:
    """Notes when the schedule comes next."""
    since = weighing.status.schedule_since
    if schedule is None or since is None:
        return
    following = next_time(schedule, from_timestamp(since))
    weighing.update(next_schedule_time=None if following is None else to_timestamp(following))
    weighing.times.append(following)


def _due(weighing: Weighing, schedule: Schedule | None) -> datetime | None:
    """The last time of the schedule that has not been decided on; None if there is none."""
    since = weighing.status.schedule_since
    if schedule is None or since is None:
        return None
    known = from_timestamp(since)
    first = next_time(schedule, known)
    if first is None or first > weighing.now:
        return None
    return schedule.last(known, weighing.now)


def _decided(weighing: Weighing, run: Run, schedule: Schedule | None) -> Choice:
    due = _due(weighing, schedule)
    signals = list(_signals(weighing, due))
    situation = Situation(
        run=run,
        number=weighing.observed.memory.last_number + 1,
        brakes=weighing.brakes,
        recent=weighing.status.recent or (),
        now=weighing.now,
        suspended=bool(weighing.observed.spec.get("suspend")),
        failures=weighing.status.failures_in_a_row or 0,
        outcome=_outcome(weighing.observed, run, weighing.now),
    )
    choice = decide(signals, situation)
    for decision in choice.decisions:
        weighing.record(decision)
    if due is not None:
        weighing.update(schedule_since=to_timestamp(due), last_schedule_time=to_timestamp(due))
    weighing.times.append(choice.until)
    used = signals if choice.cause is not None else [signal for signal in signals if not signal.lasts]
    use_up(weighing, used)
    if choice.cause is not None:
        recent = remembered(weighing.status.recent or (), run, weighing.now)
        # The run sees the data itself: what the last look has found is no news any more.
        probe = weighing.status.probe and weighing.status.probe.model_copy(update={"marker": None})
        weighing.update(recent=recent or None, probe=probe)
    return choice


def _outcome(observed: Observed, run: Run, now: datetime) -> Brake | None:
    """Why what became of the newest run keeps services from calling for another one, which would end as that did."""
    version, begin = observed.version, begun(run)
    stand = None if version is None else standing(version)
    if (
        run.state == "Succeeded"
        and stand is not None
        and stand.reason in (AWAITING_APPROVAL, GATE_INCONCLUSIVE)
    ):
        return Brake(
            "AwaitingApproval", f"ModelVersion {run.model_version} waits for a person: {stand.reason}"
        )
    if begin is None:
        return None
    until = begin + DAY
    if now >= until:
        return None
    if run.state == "Skipped":
        return Brake(
            "DataUnchanged",
            f"run {run.number} found no other data; the next one starts a day after it",
            until,
        )
    quarantined = version is not None and true_condition(version, "Quarantined") is not None
    if run.state == "Succeeded" and (quarantined or (stand is not None and stand.is_withheld)):
        message = f"the model of run {run.number} is not served; the next run starts a day after that one"
        return Brake("NotServed", message, until)
    return None


def _signals(weighing: Weighing, due: datetime | None) -> Iterator[Signal]:
    """All that calls for a run now."""
    observed, triggers, status = weighing.observed, weighing.triggers, weighing.status
    request = pending(observed.body, status.tokens or ())
    if request is not None:
        by = Evidence(requested_by=request.requested_by, token=request.token)
        malformed = (
            "MalformedRequest",
            f"the annotation {ANNOTATION} has to be a token of letters and digits",
        )
        who = request.requested_by or "an unknown requester"
        yield Signal(
            "Manual", by, f"{who} asks for it", force=True, hold=malformed if request.malformed else None
        )
    if due is not None:
        yield _in_time(weighing, due)
    if triggers.on_data_change is not None:
        probe = status.probe
        if status.marker is None and probe is not None and probe.marker is not None:
            weighing.update(marker=probe.marker)  # the first look only shows what there is
        changed = by_data(probe, weighing.status.marker)
        if changed is not None:
            yield changed
    yield from _of_services(weighing)


def _of_services(weighing: Weighing) -> Iterator[Signal]:
    """What services call for."""
    observed, handled = weighing.observed, weighing.status.handled or ()
    drift, score = weighing.triggers.on_drift, weighing.triggers.on_score
    found: list[Signal | Trouble | None] = []
    if drift is not None:
        found.append(by_drift(observed.watched[drift.service_ref.name], drift, observed.model, handled))
    if score is not None:
        found.append(by_score(observed.watched[score.service_ref.name], score, observed.model, handled))
    weighing.troubles += [each for each in found if isinstance(each, Trouble)]
    yield from (each for each in found if isinstance(each, Signal))


def _in_time(weighing: Weighing, due: datetime) -> Signal:
    """The signal of a time of the schedule, which may have come too late."""
    signal, most = by_schedule(due), weighing.triggers.starting_deadline_seconds
    if most is None or (weighing.now - due).total_seconds() <= most:
        return signal
    late = ("StartingDeadlineExceeded", f"that was more than startingDeadlineSeconds ago, {phrase(most)}")
    return Signal("Schedule", signal.evidence, signal.message, hold=late)


def _is_suspended(weighing: Weighing) -> bool:
    limit = suspends_after(weighing.brakes)
    return limit > 0 and (weighing.status.failures_in_a_row or 0) >= limit


def _trouble_events(observed: Observed, aspects: Iterable[Aspect]) -> Iterator[Event]:
    """The event when triggers can no longer start runs, for each reason."""
    known = {str(each.get("type")): each.get("reason") for each in observed.written_conditions}
    for aspect in aspects:
        works = aspect.status is True and aspect.reason != PARTLY
        if not works and known.get(aspect.type) != aspect.reason:
            kind: Literal["Normal", "Warning"] = "Normal" if aspect.reason == "Suspended" else "Warning"
            yield Event(kind, aspect.reason, aspect.message)


def _aspects(weighing: Weighing) -> tuple[Aspect, ...]:
    """The condition TriggersActive: whether triggers can start runs, and why not; none without triggers."""
    triggers = weighing.triggers
    names = [
        name
        for name, value in (
            ("schedule", triggers.schedule),
            ("onDataChange", triggers.on_data_change),
            ("onDrift", triggers.on_drift),
            ("onScore", triggers.on_score),
        )
        if value is not None
    ]
    if not names:
        return ()
    stopped = []
    if weighing.observed.spec.get("suspend"):
        message = "spec.suspend is true: only a change of the recipe and requests start runs"
        stopped.append(Trouble("Suspended", message))
    if weighing.status.suspended:
        stopped.append(Trouble("FailuresInARow", failures_phrase(weighing.brakes)))
    found = [*stopped, *weighing.troubles]
    said = "; ".join(each.message for each in found)
    if not found:
        return (Aspect(TRIGGERS_ACTIVE, True, "Active", f"runs are started by {', '.join(names)}"),)
    # There is at most one trouble of each trigger.
    if not stopped and len(found) < len(names):
        return (Aspect(TRIGGERS_ACTIVE, True, PARTLY, f"others start runs, but not this: {said}"),)
    return (Aspect(TRIGGERS_ACTIVE, False, found[0].reason, said),)
