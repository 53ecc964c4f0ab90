"""What holds triggers back: a pause, a number of runs, a budget, failures. Pure.

All of it is computed from the runs of the last 24 hours, which the status keeps in at most `RECENT` entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from modelwright.api.trainingjob import Run
from modelwright.api.triggers import RECENT, SIGNAL_COOLDOWN, SUSPEND_AFTER, Brakes, RecentRuns, Trigger
from modelwright.common.times import from_timestamp, to_timestamp

DAY = timedelta(hours=24)
# A time further ahead was written while the clock was wrong. Half a day and an hour of daylight saving are not.
MOST_AHEAD = timedelta(hours=25)


@dataclass(frozen=True)
class Brake:
    """Why a trigger starts no run now. `until`: when that ends by itself, if it is known."""

    reason: str
    message: str
    until: datetime | None = None


def begun(run: Run) -> datetime | None:
    """When a run was decided on; of one of an earlier release, when its Job was made or when it ended."""
    said = run.cause.at if run.cause else run.start_time or run.completion_time
    return None if said is None else from_timestamp(said)


def counted(run: Run, now: datetime) -> RecentRuns | None:
    """A run, as the brakes count it: the seconds from its first Job to its end, or until now."""
    at = begun(run)
    if at is None:
        return None
    seconds = timedelta(0)
    if run.start_time:
        end = from_timestamp(run.completion_time) if run.completion_time else now
        seconds = max(seconds, end - from_timestamp(run.start_time))
    return RecentRuns(at=to_timestamp(at), runs=1, seconds=int(seconds.total_seconds()))


def remembered(recent: Iterable[RecentRuns], ended: Run | None, now: datetime) -> list[RecentRuns]:
    """The runs of the last 24 hours, with one that has ended, oldest first.

    If they are too many, neighbours with the least time between them are counted together as if the earlier ones had
    been started with the last: the brakes hold longer rather than shorter.
    """
    last = None if ended is None else counted(ended, now)
    kept = [each for each in (*recent, *(() if last is None else (last,))) if _counts(each, now)]
    while len(kept) > RECENT:
        place = min(range(len(kept) - 1), key=lambda place: _gap(kept, place))
        first, second = kept[place : place + 2]
        both = RecentRuns(at=second.at, runs=first.runs + second.runs, seconds=first.seconds + second.seconds)
        kept[place : place + 2] = [both]
    return kept


def _gap(kept: Sequence[RecentRuns], place: int) -> timedelta:
    return abs(from_timestamp(kept[place + 1].at) - from_timestamp(kept[place].at))


def _counts(each: RecentRuns, now: datetime) -> bool:
    return now - DAY < from_timestamp(each.at) <= now + MOST_AHEAD


def brake(
    trigger: Trigger, brakes: Brakes, run: Run | None, recent: Sequence[RecentRuns], now: datetime
) -> Brake | None:
    """Returns what holds a trigger back; None if nothing does. `run`: the newest one, which is not in `recent`."""
    runs = remembered(recent, run, now)
    return _cooldown(trigger, brakes, run, now) or _runs_a_day(brakes, runs) or _budget(brakes, runs)


def _cooldown(trigger: Trigger, brakes: Brakes, run: Run | None, now: datetime) -> Brake | None:
    seconds = brakes.cooldown_seconds
    if seconds is None:
        seconds = SIGNAL_COOLDOWN if trigger in ("Drift", "Score") else 0
    at = begun(run) if run is not None else None
    if run is None or at is None or at > now + MOST_AHEAD:
        return None
    until = at + timedelta(seconds=seconds)
    if now >= until:
        return None
    return Brake(
        "Cooldown",
        f"cooldownSeconds: no run within {phrase(seconds)} of the start of run {run.number}",
        until,
    )


def _runs_a_day(brakes: Brakes, runs: Sequence[RecentRuns]) -> Brake | None:
    most = brakes.max_runs_per_day
    if most is None:
        return None
    until = _until(runs, [each.runs for each in runs], most)
    message = f"maxRunsPerDay: {most} within 24 h, and so many there were"
    return None if until is None else Brake("MaxRunsPerDay", message, until)


def _budget(brakes: Brakes, runs: Sequence[RecentRuns]) -> Brake | None:
    most = brakes.budget_seconds
    if most is None:
        return None
    until = _until(runs, [each.seconds for each in runs], most)
    message = f"budgetSeconds: the runs of 24 h may take {phrase(most)}, and that is spent"
    return None if until is None else Brake("BudgetSpent", message, until)


def _until(runs: Sequence[RecentRuns], amounts: Sequence[int], most: int) -> datetime | None:
    """When so many of the oldest runs are 24 hours old that the others have less than this; None if they have now."""
    left, until = sum(amounts), None
    for each, amount in sorted(zip(runs, amounts, strict=True), key=lambda pair: from_timestamp(pair[0].at)):
        if left < most:
            break
        left -= amount
        until = from_timestamp(each.at) + DAY
    return until


def suspends_after(brakes: Brakes) -> int:
    """After how many failed runs in a row triggers start no more; 0: never."""
    return SUSPEND_AFTER if brakes.suspend_after_failures is None else brakes.suspend_after_failures


def phrase(seconds: int) -> str:
    """A length of time, in its largest whole unit: "36 h", "90 s"."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
