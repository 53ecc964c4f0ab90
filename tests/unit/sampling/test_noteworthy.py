"""A look costs a plan, so counts that say hardly more than those before make none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from modelwright.inferenceservice.analysis.counts import Silence, StepCounts, has_grown
from modelwright.inferenceservice.analysis.scrape_targets import ScrapeTargets
from modelwright.sampling.pods import OLDEST_COUNTS, NoteworthyAnswers, StepAnswers

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO_TARGETS = cast("ScrapeTargets", None)


class Exact:
    """Answers whose counts are these, one after the other."""

    def __init__(self, *counts: StepCounts) -> None:
        self._counts = iter(counts)

    def fact(self, current: ScrapeTargets, at: datetime) -> StepCounts:
        return next(self._counts)


def counts(look: int, good: int, failed: int = 0, **more: Any) -> StepCounts:
    delegated = {"Answered": good, "Failed": failed} if failed else {"Answered": good}
    return StepCounts("2026", look=look, delegated=delegated, **more)


def seen(*exact: StepCounts, every: float = 2.0) -> list[StepCounts]:
    answers = NoteworthyAnswers(cast("StepAnswers", Exact(*exact)))
    return [answers.fact(NO_TARGETS, NOW + timedelta(seconds=every * number)) for number in range(len(exact))]


@pytest.mark.parametrize(
    ("before", "now", "grown"),
    [
        (counts(1, 100), counts(2, 101), False),
        (counts(1, 100), counts(2, 102), True),
        (counts(1, 0), counts(2, 1), True),
        (counts(1, 10_000), counts(2, 10_001, failed=1), True),
        (counts(1, 10_000, failed=3), counts(2, 10_001, failed=4), True),
        (counts(1, 10_000, non_finite=0), counts(2, 10_000, non_finite=1), True),
        (counts(1, 10_000, rescued=5), counts(2, 10_000, rescued=5), False),
        (counts(1, 10_000, answered={"200": 5}), counts(2, 10_000, answered={"200": 5, "500": 1}), True),
    ],
)
def test_counts_have_grown_when_one_of_them_has(before: StepCounts, now: StepCounts, grown: bool) -> None:
    assert has_grown(before, now, 0.01) is grown


def test_a_few_requests_beside_many_make_no_look() -> None:
    found = seen(counts(1, 10_000), counts(2, 10_010), counts(3, 10_090), counts(4, 10_110))
    assert [each.look for each in found] == [1, 1, 1, 4]


def test_a_failure_is_looked_at_at_once() -> None:
    assert [each.look for each in seen(counts(1, 10_000), counts(2, 10_001, failed=1))] == [1, 2]


def test_what_has_changed_is_looked_at_in_the_end() -> None:
    found = seen(
        counts(1, 10_000), counts(2, 10_001), counts(2, 10_001), every=OLDEST_COUNTS.total_seconds() / 2
    )
    assert [each.look for each in found] == [1, 1, 2]


def test_a_long_step_at_a_steady_rate_makes_few_looks() -> None:
    found = seen(*(counts(number, 200 * number) for number in range(1, 1_801)))
    looks = sum(before.look != after.look for before, after in pairwise(found))
    assert looks < 450


def test_what_is_kept_and_who_is_silent_is_always_the_newest() -> None:
    silent = (Silence("blue", "it does not answer"),)
    found = seen(counts(1, 10_000, kept="old"), counts(2, 10_001, kept="new", silent=silent))
    assert (found[1].look, found[1].kept, found[1].silent) == (1, "new", silent)
