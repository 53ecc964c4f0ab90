"""The times of a schedule in a time zone. Pure.

As with cron of Debian: a time that daylight saving skips is run when the clock has been put forward, and one that it
repeats is run once, unless the minute or the hour begins with `*`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# No zone puts its clock forward or back by more, but for days that are left out at the date line.
MOST_SHIFT = timedelta(hours=3)
# How far back the last time of a schedule is looked for, step by step: the times of one step are few.
_LOOKS_BACK = tuple(timedelta(hours=hours) for hours in (1, 6, 48, 24 * 32, 24 * 366, 24 * 366 * 9))


class InvalidSchedule(ValueError):  # noqa: N818 - it is the reason that users see
    """The schedule or its time zone means nothing; the message says which, and what to do."""


@dataclass(frozen=True)
class Schedule:
    """Five fields of cron, in the local time of a zone."""

    fields: str
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than this one, in UTC; None if there is none in 50 years."""
        return next(self._times(moment), None)

    def last(self, since: datetime, until: datetime) -> datetime | None:
        """The last time later than `since` and not later than `until`, in UTC; None if there is none."""
        for span in _LOOKS_BACK:
            begin = max(since, until - span)
            found = None
            for time in self._times(begin):
                if time > until:
                    break
                found = time
            if found is not None or begin == since:
                return found
        return None

    def _times(self, moment: datetime) -> Iterator[datetime]:
        """All times later than this one.

        The library only counts on the wall: of a clock that is put forward or back by half an hour it misses times.
        """
        before, waiting = moment, list[datetime]()
        wall = moment.astimezone(self.zone).replace(tzinfo=None) - MOST_SHIFT
        for shown in CronSim(self.fields, wall):
            # Whatever the clock shows later cannot come before these.
            certain = shown.replace(tzinfo=self.zone).astimezone(UTC) - MOST_SHIFT
            while waiting and waiting[0] <= certain:
                if (time := heappop(waiting)) > before:
                    before = time
                    yield time
            for time in self._moments(shown):
                heappush(waiting, time)
        yield from (time for time in sorted(set(waiting)) if time > before)

    def _moments(self, shown: datetime) -> Iterator[datetime]:
        """When the clock on the wall shows this, in UTC."""
        first = shown.replace(tzinfo=self.zone)
        second = first.replace(fold=1)
        if _is_skipped(first):
            if not self._comes_twice:
                yield _first_shown(first)
            return
        yield first.astimezone(UTC)
        if self._comes_twice and second.utcoffset() != first.utcoffset():
            yield second.astimezone(UTC)

    @property
    def _comes_twice(self) -> bool:
        """True if a time that is repeated counts twice, and one that is skipped not at all."""
        return any(field.startswith("*") for field in self.fields.split()[:2])


def _is_skipped(time: datetime) -> bool:
    """True if the clock on the wall never shows this time."""
    return time.astimezone(UTC).astimezone(time.tzinfo).replace(tzinfo=None) != time.replace(tzinfo=None)


def _first_shown(time: datetime) -> datetime:
    """The moment, in UTC, at which the clock is put forward past a time that it skips."""
    while _is_skipped(time):
        time += timedelta(minutes=1)
    return time.astimezone(UTC)


@lru_cache(maxsize=1024)
def parsed(schedule: str, zone: str) -> Schedule:
    """Returns a schedule of five fields, or one of `NAMED`, in a zone of the IANA database.

    Raises InvalidSchedule.
    """
    fields = NAMED.get(schedule, schedule)
    try:
        local = UTC if zone == "UTC" else ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as error:
        raise InvalidSchedule(
            f"there is no time zone {zone}: name one of the IANA database, such as Europe/Berlin"
        ) from error
    if len(fields.split()) != 5:
        raise InvalidSchedule(f"the schedule {schedule} cannot be read: it has to have five fields")
    found = Schedule(fields, local)
    try:
        never = found.after(datetime(2026, 1, 1, tzinfo=UTC)) is None
    except CronSimError as error:
        raise InvalidSchedule(f"the schedule {schedule} cannot be read: {error}") from error
    if never:
        raise InvalidSchedule(f"the schedule {schedule} never comes")
    return found


@lru_cache(maxsize=4096)
def next_time(schedule: Schedule, since: datetime) -> datetime | None:
    """Returns the first time of a schedule later than this one, in UTC. It is computed once."""
    return schedule.after(since)
