"""What holds triggers back, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.api.trainingjob import Run
from modelwright.api.triggers import RECENT, Brakes, Cause, RecentRuns, Trigger
from modelwright.common.times import from_timestamp, to_timestamp
from modelwright.trainingjob.triggers.brakes import brake, phrase, remembered

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def ago(hours: float) -> str:
    """A time before now."""
    return to_timestamp(NOW - timedelta(hours=hours))


def a_run(hours: float, took: int = 60, number: int = 7) -> Run:
    """A run that began so many hours ago."""
    end = from_timestamp(ago(hours)) + timedelta(seconds=took)
    return Run(
        number=number, generation=1, state="Succeeded", job=f"churn-{number}",
        cause=Cause(trigger="Schedule", at=ago(hours)), start_time=ago(hours), completion_time=to_timestamp(end),
    )  # fmt: skip


def earlier(*hours: float, seconds: int = 60) -> list[RecentRuns]:
    """Runs that are over."""
    return [RecentRuns(at=ago(each), runs=1, seconds=seconds) for each in hours]


@pytest.mark.parametrize(
    ("trigger", "brakes", "run", "recent", "reason", "until"),
    [
        ("Schedule", {}, a_run(0), earlier(*range(20)), None, None),
        ("Drift", {}, a_run(0.5), [], "Cooldown", 0.5),
        ("Score", {}, a_run(0.5), [], "Cooldown", 0.5),
        ("DataChange", {}, a_run(0.5), [], None, None),
        ("Drift", {"cooldownSeconds": 0}, a_run(0), [], None, None),
        ("Schedule", {"cooldownSeconds": 7200}, a_run(1.5), [], "Cooldown", 0.5),
        ("Schedule", {"cooldownSeconds": 7200}, a_run(2), [], None, None),
        ("Schedule", {"cooldownSeconds": 7200}, a_run(-500), [], None, None),
        ("Schedule", {"maxRunsPerDay": 3}, a_run(1), earlier(20, 5), "MaxRunsPerDay", 4),
        ("Schedule", {"maxRunsPerDay": 3}, a_run(1), earlier(24.1, 5), None, None),
        ("Schedule", {"maxRunsPerDay": 1}, a_run(1), earlier(20, 5), "MaxRunsPerDay", 23),
        ("Schedule", {"budgetSeconds": 180}, a_run(1), earlier(20, 5), "BudgetSpent", 4),
        ("Schedule", {"budgetSeconds": 181}, a_run(1), earlier(20, 5), None, None),
        ("Schedule", {"budgetSeconds": 180}, a_run(1), earlier(24.5, 5), None, None),
    ],
)
def test_what_holds_a_trigger_back_and_until_when(
    trigger: Trigger, brakes: Any, run: Run, recent: list[RecentRuns], reason: str | None, until: float | None
) -> None:
    found = brake(trigger, Brakes.model_validate(brakes), run, recent, NOW)

    assert (None if found is None else found.reason) == reason
    if found is not None and until is not None:
        assert found.until == NOW + timedelta(hours=until)
        assert brake(trigger, Brakes.model_validate(brakes), run, recent, found.until) is None


@given(st.lists(st.tuples(st.integers(1, 1800), st.integers(0, 4000)), min_size=1, max_size=300))
def test_bounded_memory_counts_runs_longer_rather_than_shorter(runs: list[tuple[int, int]]) -> None:
    """No sum over the last 24 hours is below the true one, and none is of runs that are older than that by far."""
    now, kept, true = NOW, list[RecentRuns](), list[tuple[datetime, int]]()
    for number, (pause, seconds) in enumerate(runs, start=1):
        now += timedelta(seconds=pause)
        cause = Cause(trigger="Schedule", at=to_timestamp(now))
        end = now + timedelta(seconds=seconds)
        run = Run(
            number=number, generation=1, state="Failed", job="churn-1", cause=cause,
            start_time=to_timestamp(now), completion_time=to_timestamp(end),
        )  # fmt: skip
        kept = remembered(kept, run, now)
        true.append((now, seconds))

        assert len(kept) <= RECENT
        recent = [(at, seconds) for at, seconds in true if at > now - timedelta(hours=24)]
        assert sum(each.runs for each in kept) >= len(recent)
        assert sum(each.seconds for each in kept) >= sum(seconds for _, seconds in recent)
        if len(true) <= RECENT:
            assert sum(each.runs for each in kept) == len(recent)


@pytest.mark.parametrize(
    ("seconds", "said"), [(86400, "24 h"), (5400, "90 min"), (90, "90 s"), (1, "1 s"), (3600, "1 h")]
)
def test_lengths_of_time_are_said_in_whole_units(seconds: int, said: str) -> None:
    assert phrase(seconds) == said
