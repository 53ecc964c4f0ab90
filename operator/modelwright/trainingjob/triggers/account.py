"""What the status of the triggers remembers of runs: which began and ended, and which signals they have used up. Pure.

It follows from the causes of runs too, which are in Jobs and ModelVersions: so a lost status starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from modelwright.api.runrequests import pending
from modelwright.api.trainingjob import Run
from modelwright.api.triggers import CAUSES, TOKENS, Brakes, Decision, Evidence, Triggers, TriggerStatus
from modelwright.common.conditions import true_condition
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.trainingjob.observed import Observed
from modelwright.trainingjob.runs import TERMINAL
from modelwright.trainingjob.triggers.brakes import remembered
from modelwright.trainingjob.triggers.decision import recorded, started
from modelwright.trainingjob.triggers.signals import Signal, Trouble, handled_by

T = TypeVar("T")
SIGNALS = frozenset(("Schedule", "DataChange", "Drift", "Score"))


@dataclass
class Weighing:
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


def known_status(written: TriggerStatus | None, observed: Observed) -> TriggerStatus:
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


def account(weighing: Weighing, previous: Run | None) -> None:
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


def _began(weighing: Weighing, run: Run) -> None:
    """A change of the recipe has started a run: what is known of the data and of failures is of another recipe."""
    weighing.update(failures_in_a_row=None, marker=None, probe=None)
    if run.cause is not None:
        weighing.record(started(run.cause, run.number, "the recipe has changed"))


def _ended(weighing: Weighing, run: Run) -> None:
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


def _note_quarantine(weighing: Weighing, run: Run) -> None:
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


def use_up(weighing: Weighing, signals: Iterable[Signal]) -> None:
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
