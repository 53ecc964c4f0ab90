"""`make schedules`: ten years of schedules in all zones of tzdata, at each change of a clock and each day.

Zones whose clocks change at the same moments in the same way are counted once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from modelwright.trainingjob.triggers.schedule import parsed
from schedules.life import SCHEDULES, around, transitions

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def kinds(years: int) -> dict[tuple[object, ...], str]:
    """One zone of each kind."""
    found: dict[tuple[object, ...], str] = {}
    for zone in sorted(available_timezones() - {"localtime"}):
        changes = transitions(zone, BEGIN, years)
        offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (BEGIN, *changes)]
        found.setdefault((tuple(changes), tuple(offsets)), zone)
    return found


def checked(zone: str, years: int) -> tuple[int, list[str]]:
    """How many times of schedules were checked in a zone, and what is wrong with them."""
    changes = transitions(zone, BEGIN, years)
    count, wrong = 0, []
    for fields, is_daily in SCHEDULES:
        for moment in changes or [BEGIN + timedelta(days=1)]:
            found, shown = around(fields, zone, moment)
            count += len(shown)
            if found != shown:
                wrong.append(f"{zone} {fields} at {moment}: {found} instead of {shown}")
        if is_daily:
            days = list(_days(fields, zone, years))
            count += len(days)
            if len(set(days)) != len(days) or days != sorted(days):
                wrong.append(f"{zone} {fields}: twice on a day")
            if fields.endswith("* * *") and len(days) < years * 365:
                wrong.append(f"{zone} {fields}: {len(days)} days in {years} years")
    return count, wrong


def _days(fields: str, zone: str, years: int) -> Iterator[date]:
    """The local days on which a schedule has a time. A time that is skipped at the end of a day comes at midnight."""
    schedule, local, now = parsed(fields, zone), ZoneInfo(zone), BEGIN
    end = BEGIN + timedelta(days=years * 365 + years // 4 + 1)
    while (following := schedule.after(now)) is not None and following < end:
        yield (following - timedelta(minutes=1)).astimezone(local).date()
        now = following


def main() -> int:
    """Runs all; 1 if anything is wrong."""
    options = argparse.ArgumentParser("make schedules")
    options.add_argument("--years", type=int, default=10)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    begun, zones = time.perf_counter(), kinds(given.years)
    with ProcessPoolExecutor(given.processes) as pool:
        results = list(pool.map(checked, zones.values(), [given.years] * len(zones)))
    wrong = [line for _, lines in results for line in lines]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(
        f"{len(available_timezones()):,} zones of {len(zones)} kinds, {len(SCHEDULES)} schedules, {given.years} years: "
        f"{sum(count for count, _ in results):,} times, {len(wrong)} wrong, {time.perf_counter() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
