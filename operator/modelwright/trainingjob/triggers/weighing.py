"""The triggers of a TrainingJob at one moment: what calls for a run, the decision, and what the status keeps. Pure.

The decision and the run that it starts are one write of the status. What the status keeps follows from the causes
of runs too, which are in Jobs and ModelVersions: so a lost status starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeVar

from modelwright.api.runrequests import ANNOTATION, pending
from modelwright.api.trainingjob import Run
from modelwright.api.triggers import (
    CAUSES,
    TOKENS,
    Brakes,
    Decision,
    Evidence,
    Triggers,
    TriggerStatus,
)
from modelwright.common.conditions import Aspect, true_condition
from modelwright.common.reading import read_valid
from modelwright.common.settings import Settings
from modelwright.common.standing import AWAITING_APPROVAL, GATE_INCONCLUSIVE, standing
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.engine.plan import Effect, Event
from modelwright.trainingjob.observed import Observed
from modelwright.trainingjob.runs import TERMINAL
from modelwright.trainingjob.triggers.brakes import (
    DAY,
    MOST_AHEAD,
    Brake,
    begun,
    phrase,
    remembered,
    suspends_after,
)
from modelwright.trainingjob.triggers.decision import (
    Choice,
    Situation,
    decide,
    event_of,
    failures_phrase,
    recorded,
    started,
)
from modelwright.trainingjob.triggers.probing import look
from modelwright.trainingjob.triggers.schedule import InvalidSchedule, Schedule, next_time, parsed
from modelwright.trainingjob.triggers.signals import (
    Signal,
    Trouble,
    by_data,
    by_drift,
    by_schedule,
    by_score,
    handled_by,
)

T = TypeVar("T")
TRIGGERS_ACTIVE = "TriggersActive"
# The reason when some triggers work and others do not.
PARTLY = "PartlyActive"
SIGNALS = frozenset(("Schedule", "DataChange", "Drift", "Score"))


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


@dataclass
class _Weighing:
    """The status while it is computed."""

    observed: Observed
    run: Run | None
    now: datetime
    triggers: Triggers
    brakes: Brakes
    status: TriggerStatus
    troubles: list[Trouble] = field(default_factory=list)
    news: list[Decision] = field(default_factory=list)
    times: list[datetime | None] = field(default_factory=list)

    def update(self, **parts: object) -> None:
        """Changes parts of the status."""
        self.status = self.status.model_copy(update=parts)

    def record(self, decision: Decision) -> None:
        """Records a decision."""
        self.status, is_news = recorded(self.status, decision)
        if is_news:
            self.news.append(decision)


def weigh(
    observed: Observed, run: Run | None, previous: Run | None, settings: Settings, now: datetime
) -> Weighed:
    """Returns what becomes of the triggers now.

    `run`, `previous`: the newest run, and the one before it if that ends with this plan, without what the triggers do.
    """
    spec = observed.spec
    written = observed.triggers
    known = _remembered(written, observed)
    if not (spec.get("triggers") or spec.get("brakes") or pending(observed.body, ()) or written):
        return Weighed(None)
    weighing = _Weighing(
        observed,
        run,
        now,
        read_valid(Triggers, spec.get("triggers") or {}),
        read_valid(Brakes, spec.get("brakes") or {}),
        known,
    )
    _account(weighing, previous)
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


def _remembered(written: TriggerStatus | None, observed: Observed) -> TriggerStatus:
    """The status as written, with what the causes of the known runs add to it."""
    status = written or TriggerStatus()
    runs = [run for run in (observed.run, *observed.memory.history) if run is not None]
    causes = [run.cause for run in runs if run.cause is not None]
    evidence = [(cause.trigger, cause.evidence) for cause in causes if cause.evidence is not None]
    tokens = [found.token for _, found in evidence if found.token is not None]
    windows = (handled_by(found, trigger) for trigger, found in evidence)
    markers = (run.data.marker for run in runs if run.data is not None and run.data.marker is not None)
    ticks = [found.schedule_time for _, found in evidence if found.schedule_time is not None]
    # A request that is seen with the object itself is fulfilled by its first run, or by the runs that it has had.
    is_new = written is None and not observed.written_status.get("run")
    seen = pending(observed.body, ()) if is_new else None
    status = status.model_copy(
        update={
            "tokens": _joined((*(status.tokens or ()), *tokens, *((seen.token,) if seen else ())), TOKENS),
            "handled": _joined((*(status.handled or ()), *(each for each in windows if each)), CAUSES),
        }
    )
    if written is not None:
        return status
    # It is lost, or nothing has been asked for before.
    since = max(ticks, key=from_timestamp, default=None)
    return status.model_copy(update={"marker": next(markers, None), "schedule_since": since})


def _joined(items: Iterable[T], most: int) -> list[T] | None:
    """The items, each once, the first ones of them; None if there are none."""
    distinct: list[T] = []
    for item in items:
        if item not in distinct:
            distinct.append(item)
    return distinct[:most] or None


def _account(weighing: _Weighing, previous: Run | None) -> None:
    """Takes in what has become of the runs since the status was written."""
    before, run = weighing.observed.run, weighing.run
    seen = weighing.observed.written_status.get("observedGeneration")
    if seen not in (None, -1, weighing.observed.generation):
        weighing.update(failures_in_a_row=None)
    if previous is not None:
        recent = remembered(weighing.status.recent or (), previous, weighing.now)
        weighing.update(recent=recent or None)
    if run is None:
        return
    if before is None or run.number != before.number:
        _began(weighing, run)
    elif run.state in TERMINAL and before.state not in TERMINAL:
        _ended(weighing, run)
    _note_quarantine(weighing, run)


def _began(weighing: _Weighing, run: Run) -> None:
    """A change of the recipe has started a run: what is known of the data and of failures is of another recipe."""
    weighing.update(failures_in_a_row=None, marker=None, probe=None)
    if run.cause is not None:
        weighing.record(started(run.cause, run.number, "the recipe has changed"))


def _ended(weighing: _Weighing, run: Run) -> None:
    failures = weighing.status.failures_in_a_row or 0
    evidence = run.cause.evidence if run.cause is not None else None
    called = evidence.marker if evidence is not None else None
    if run.state == "Succeeded":
        seen = run.data.marker if run.data is not None else None
        weighing.update(failures_in_a_row=None, marker=seen or called or weighing.status.marker)
    elif run.state == "Skipped":
        weighing.update(marker=called or weighing.status.marker)
    elif run.state == "Failed" and run.cause is not None and run.cause.trigger in SIGNALS:
        weighing.update(failures_in_a_row=failures + 1)


def _note_quarantine(weighing: _Weighing, run: Run) -> None:
    """Records that the model of a run is not served, because it is a file that has been rolled back."""
    version, cause = weighing.observed.version, run.cause
    mark = None if version is None else true_condition(version, "Quarantined")
    if mark is None or cause is None or run.state != "Succeeded" or run.model_version is None:
        return
    decisions = (weighing.status.last_decision, *(weighing.status.history or ()))
    if any(
        each is not None and each.reason == "Quarantined" and each.run == run.number for each in decisions
    ):
        return
    message = f"the model of run {run.number} is not served: {mark.get('message')}"
    weighing.record(
        Decision(
            at=to_timestamp(weighing.now),
            trigger=cause.trigger,
            outcome="Skipped",
            reason="Quarantined",
            message=message[:512],
            run=run.number,
            evidence=cause.evidence,
        )
    )


def _is_settled(weighing: _Weighing, run: Run) -> bool:
    """True if the newest run stands as the status has it, and is not about to end well."""
    before, job = weighing.observed.run, weighing.observed.job
    if before is None or (run.number, run.state in TERMINAL) != (before.number, before.state in TERMINAL):
        return False
    return run.state in TERMINAL or job is None or true_condition(job, "Complete") is None


def _scheduled(weighing: _Weighing) -> Schedule | None:
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


def _plan_schedule(weighing: _Weighing, schedule: Schedule | None) -> None:
    """Notes when the schedule comes next."""
    since = weighing.status.schedule_since
    if schedule is None or since is None:
        return
    following = next_time(schedule, from_timestamp(since))
    weighing.update(next_schedule_time=None if following is None else to_timestamp(following))
    weighing.times.append(following)


def _due(weighing: _Weighing, schedule: Schedule | None) -> datetime | None:
    """The last time of the schedule that has not been decided on; None if there is none."""
    since = weighing.status.schedule_since
    if schedule is None or since is None:
        return None
    known = from_timestamp(since)
    first = next_time(schedule, known)
    if first is None or first > weighing.now:
        return None
    return schedule.last(known, weighing.now)


def _decided(weighing: _Weighing, run: Run, schedule: Schedule | None) -> Choice:
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
    _use_up(weighing, used)
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


def _use_up(weighing: _Weighing, signals: Iterable[Signal]) -> None:
    """Notes the signals that a run has been started for, or that have been refused for good."""
    status = weighing.status
    for signal in signals:
        evidence: Evidence = signal.evidence
        window = handled_by(evidence, signal.trigger)
        if window is not None:
            status = status.model_copy(update={"handled": _joined((window, *(status.handled or ())), CAUSES)})
        if evidence.token is not None:
            status = status.model_copy(
                update={"tokens": _joined((evidence.token, *(status.tokens or ())), TOKENS)}
            )
    weighing.status = status


def _signals(weighing: _Weighing, due: datetime | None) -> Iterator[Signal]:
    """All that calls for a run now."""
    observed, triggers, status = weighing.observed, weighing.triggers, weighing.status
    request = pending(observed.body, status.tokens or ())
    if request is not None:
        by = Evidence(requested_by=request.requested_by, token=request.token)
        malformed = (
            "MalformedRequest",
            f"the annotation {ANNOTATION} has to be a token of letters and digits",
        )
        who = request.requested_by or "an unknown caller"
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


def _of_services(weighing: _Weighing) -> Iterator[Signal]:
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


def _in_time(weighing: _Weighing, due: datetime) -> Signal:
    """The signal of a time of the schedule, which may have come too late."""
    signal, most = by_schedule(due), weighing.triggers.starting_deadline_seconds
    if most is None or (weighing.now - due).total_seconds() <= most:
        return signal
    late = ("StartingDeadlineExceeded", f"that was more than startingDeadlineSeconds ago, {phrase(most)}")
    return Signal("Schedule", signal.evidence, signal.message, hold=late)


def _is_suspended(weighing: _Weighing) -> bool:
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


def _aspects(weighing: _Weighing) -> tuple[Aspect, ...]:
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
