"""One life of a schedule: an operator that looks at times of its own, and what it started.

The operator is its pure rule, with what it has written before. The true times come from a count of minutes that shares
no code with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from modelwright.trainingjob.triggers.schedule import Schedule, next_time, parsed

# Names, so that what is tried is a schedule that people write. `daily`: at most once a day.
SCHEDULES: tuple[tuple[str, bool], ...] = (
    ("30 2 * * *", True),
    ("0 0 * * *", True),
    ("15 1 * * *", True),
    ("59 23 * * *", True),
    ("0 3 * * 1", True),
    ("30 2 1 * *", True),
    ("0 12 29 2 *", True),
    ("30 1,2,3 * * *", False),
    ("0 */6 * * *", False),
    ("30 * * * *", False),
    ("*/15 * * * *", False),
    ("*/20 0-4 * * 0", False),
)


@dataclass
class Operator:
    """What decides on the times of a schedule. `since` is all that it keeps, in the status."""

    schedule: Schedule
    since: datetime
    started: list[datetime] = field(default_factory=list)

    def looks(self, now: datetime) -> datetime | None:
        """One look at a time of its clock; the time of the schedule that it starts a run for."""
        following = next_time(self.schedule, self.since)
        if following is None or following > now:
            return None
        due = self.schedule.last(self.since, now)
        assert due is not None, "a time that has come is found again"
        self.since = due
        self.started.append(due)
        return due


def transitions(zone: str, begin: datetime, years: int) -> list[datetime]:
    """When the offset of a zone changes, to the minute."""
    local, found = ZoneInfo(zone), []
    day, offset = begin, begin.astimezone(local).utcoffset()
    for _ in range(years * 366):
        later = day + timedelta(days=1)
        if (after := later.astimezone(local).utcoffset()) != offset:
            found.append(_minute(local, day, later))
            offset = after
        day = later
    return found


def _minute(local: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute with the new offset."""
    offset = before.astimezone(local).utcoffset()
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) // 2
        middle = middle.replace(second=0, microsecond=0)
        if middle == before:
            break
        if middle.astimezone(local).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def by_minutes(fields: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """The times of a schedule in a span, by a look at each minute: what a clock on the wall shows.

    A time that is skipped comes when the clock has been put forward, and one that is repeated comes once, unless the
    minute or the hour begins with `*`.
    """
    local, found = ZoneInfo(zone), []
    wild = any(field.startswith("*") for field in fields.split()[:2])
    seen: set[datetime] = set()
    before = (begin - timedelta(minutes=1)).astimezone(local).replace(tzinfo=None)
    for moment in _minutes(begin, end):
        shown = moment.astimezone(local).replace(tzinfo=None)
        if wild:
            if matches(fields, shown):
                found.append(moment)
        else:
            # All that the clock has passed since the minute before, of what it has not shown yet.
            skipped = [each for each in _walls(before, shown) if matches(fields, each) and each not in seen]
            seen.update(skipped)
            if skipped:
                found.append(moment)
        before = shown
    return found


def _minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += timedelta(minutes=1)


def _walls(before: datetime, shown: datetime) -> Iterator[datetime]:
    """The minutes on the wall after one and up to another; this one alone if the clock was put back."""
    if shown <= before:
        yield shown
        return
    while before < shown:
        before += timedelta(minutes=1)
        yield before


def matches(fields: str, wall: datetime) -> bool:
    """True if a minute on the wall fits the five fields."""
    minute, hour, day, month, weekday = fields.split()
    days = _in(day, wall.day, 1, 31), _in(weekday, wall.isoweekday() % 7, 0, 6)
    both = day.startswith("*") or weekday.startswith("*")
    return (
        _in(minute, wall.minute, 0, 59)
        and _in(hour, wall.hour, 0, 23)
        and _in(month, wall.month, 1, 12)
        and (all(days) if both else any(days))
    )


def _in(field: str, value: int, low: int, high: int) -> bool:
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin, end = (low, high) if span == "*" else (int(first), int(last or first))
        if begin <= value <= end and (value - begin) % int(step or 1) == 0:
            return True
    return False


def around(fields: str, zone: str, moment: datetime, hours: int = 4) -> tuple[list[datetime], list[datetime]]:
    """The times of a schedule within hours of a moment: those of the operator, and those on the wall."""
    begin, end = moment - timedelta(hours=hours), moment + timedelta(hours=hours)
    schedule, found, time = parsed(fields, zone), [], begin
    while (following := schedule.after(time)) is not None and following < end:
        found.append(following)
        time = following
    return found, by_minutes(fields, zone, begin + timedelta(minutes=1), end)
