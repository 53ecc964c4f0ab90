"""The times of schedules, against a clock on the wall; and operators that are away, or whose clock is wrong.

`make schedules` tries all zones.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedules.life import SCHEDULES, Operator, around, by_minutes, transitions

from modelwright.trainingjob.triggers.schedule import NAMED, InvalidSchedule, parsed

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Half an hour, two hours, in the south, in Ramadan, none at all, and a date far from the UTC's.
ZONES = (
    "Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll", "America/Santiago", "Africa/Casablanca",
    "Asia/Kathmandu", "Pacific/Chatham",
)  # fmt: skip
CHANGES = {zone: transitions(zone, BEGIN, 10) or [BEGIN + timedelta(days=1)] for zone in ZONES}
FIELDS = st.sampled_from([fields for fields, _ in SCHEDULES])


@settings(max_examples=150, deadline=None)
@given(FIELDS, st.sampled_from(ZONES), st.integers(0, 100))
def test_a_schedule_is_what_the_clock_on_the_wall_shows(fields: str, zone: str, place: int) -> None:
    found, shown = around(fields, zone, CHANGES[zone][place % len(CHANGES[zone])])

    assert found == shown


@pytest.mark.parametrize(
    ("fields", "night", "found"),
    [
        ("30 2 * * *", "2026-10-25", ["2026-10-25T00:30"]),  # is shown twice, comes once
        ("30 * * * *", "2026-10-25", ["2026-10-25T00:30", "2026-10-25T01:30"]),
        ("30 2 * * *", "2026-03-29", ["2026-03-29T01:00"]),  # is skipped, comes when the clock is put forward
        ("*/30 2 * * *", "2026-03-29", []),
    ],
)
def test_nights_in_berlin(fields: str, night: str, found: list[str]) -> None:
    begin = datetime.fromisoformat(f"{night}T00:00:00+00:00") + timedelta(minutes=5)
    schedule, times = parsed(fields, "Europe/Berlin"), []
    while (begin := schedule.after(begin) or begin) < datetime.fromisoformat(f"{night}T02:00:00+00:00"):
        times.append(f"{begin:%Y-%m-%dT%H:%M}")

    assert times == found


# What happens before the next look: it comes in time, after days, by another leader; or the clock jumps for a while.
LOOKS = st.lists(
    st.tuples(
        st.sampled_from(["soon", "late", "days", "leader"]),
        st.sampled_from([0, 0, 0, 60, -60]),
        st.integers(1, 300),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(FIELDS, st.sampled_from(ZONES), st.integers(0, 100), LOOKS)
def test_no_time_is_run_twice_and_of_those_that_were_missed_one_is(
    fields: str, zone: str, place: int, looks: list[tuple[str, int, int]]
) -> None:
    begin = CHANGES[zone][place % len(CHANGES[zone])] - timedelta(hours=2)
    now, operator = begin, Operator(parsed(fields, zone), begin)
    true = set(by_minutes(fields, zone, begin, begin + timedelta(days=2)))

    for kind, wrong, minutes in looks:
        now += {
            "soon": timedelta(minutes=1), "late": timedelta(minutes=minutes), "days": timedelta(days=3),
            "leader": timedelta(0),
        }[kind]  # fmt: skip
        if kind == "leader":  # it knows what the status holds
            operator = Operator(operator.schedule, operator.since, operator.started)
        clock, before = now + timedelta(minutes=wrong), operator.since
        started = operator.looks(clock)
        if started is not None:
            assert before < started <= clock
            following = operator.schedule.after(started)
            assert following is None or following > clock, "it is the last one that has come"
            assert started in true or started >= begin + timedelta(days=2) - timedelta(hours=1)

    assert len(set(operator.started)) == len(operator.started)
    assert operator.started == sorted(operator.started)


@given(FIELDS, st.sampled_from(ZONES), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_an_operator_that_is_always_there_starts_every_time(fields: str, zone: str, place: int) -> None:
    begin = CHANGES[zone][place % len(CHANGES[zone])] - timedelta(hours=4)
    operator = Operator(parsed(fields, zone), begin)

    for minute in range(1, 9 * 60):
        operator.looks(begin + timedelta(minutes=minute, seconds=20))

    end = begin + timedelta(minutes=9 * 60)
    assert operator.started == by_minutes(fields, zone, begin + timedelta(minutes=1), end)


@pytest.mark.parametrize("named", NAMED)
def test_a_named_schedule_is_its_fields(named: str) -> None:
    assert parsed(named, "UTC").fields == NAMED[named]


@pytest.mark.parametrize("zone", ["Europe", "Nowhere/Here", "posixrules/x"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidSchedule, match="there is no time zone"):
        parsed("@daily", zone)


@pytest.mark.parametrize(
    "fields", ["61 * * * *", "* 24 * * *", "0 0 31 2 *", "0 0 0 * *", "a b c d e", "* * * *", "0 0 1 1 1 1"]
)
def test_fields_that_mean_nothing_are_refused(fields: str) -> None:
    with pytest.raises(InvalidSchedule, match="cannot be read"):
        parsed(fields, "UTC")


def test_the_last_time_is_found_however_long_ago_it_was() -> None:
    schedule = parsed("0 0 29 2 *", "UTC")
    leap = datetime(2028, 2, 29, tzinfo=UTC)

    assert schedule.last(BEGIN, datetime(2031, 12, 1, tzinfo=UTC)) == leap
    assert schedule.last(leap, datetime(2031, 12, 1, tzinfo=UTC)) is None
