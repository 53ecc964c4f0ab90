"""The record of the checks holds what people need, and is seldom written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from unit.given.crds import defects

from modelwright.api.checks import Check
from modelwright.checks.against_stable import Predicted
from modelwright.checks.evidence import Interval
from modelwright.checks.verdict import Result, Verdict
from modelwright.inferenceservice.analysis.checks_record import LEVELS, level, recorded, word
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, Reading

SINCE = "2026-01-01T00:00:00Z"


def verdict(samples: int, result: Result = "Pass", reason: str = "Fine", **more: Any) -> Verdict:
    return Verdict(result, more.pop("metric", "errorRate"), reason, samples, **more)


def undecided(samples: int, **more: Any) -> Verdict:
    """The verdict of a check that is undecided."""
    return verdict(samples, "Inconclusive", **more)


def writes(looks: Iterable[list[Verdict]]) -> int:
    """How often the record changes in a row of looks, the first one included."""
    found, before = 0, None
    for verdicts in looks:
        now = recorded(verdicts, None, before)
        found += now != before
        before = now
    return found


def test_the_record_holds_the_numbers_with_four_digits() -> None:
    unclear = Verdict(
        "Inconclusive", "p99Seconds", "LatencyUnclear", 412, 0.123456, 0.25, Interval(0.100049, inf), 12345
    )
    assert recorded([unclear], None, None) == [
        Check(
            name="p99Seconds",
            result="Inconclusive",
            reason="LatencyUnclear",
            value=0.1235,
            low=0.1,
            high=None,
            threshold=0.25,
            samples=412,
            samples_needed=13000,
        )
    ]


def test_it_is_a_status_that_the_api_server_accepts() -> None:
    bad = Verdict("Inconclusive", "p99Seconds", "Slow", 1, inf, float("nan"), Interval(-inf, inf), 9)
    found = recorded([bad, verdict(3)], None, None)
    assert found is not None
    entries = [check.model_dump(mode="json", by_alias=True, exclude_none=True) for check in found]
    assert entries[0] == {
        "name": "p99Seconds", "result": "Inconclusive", "reason": "Slow", "samples": 1, "samplesNeeded": 9,
    }  # fmt: skip
    canary = {
        "revision": "a", "version": "b", "state": "Shifting", "since": SINCE, "generation": 1, "image": "i",
        "artifact": {"uri": "pvc://a/b", "digest": f"sha256:{'0' * 64}"}, "checks": entries,
    }  # fmt: skip
    assert defects("inferenceservices", "status", {"canary": canary}) == []


def test_how_many_samples_are_asked_for_is_exact_and_an_estimate_is_rounded_up() -> None:
    few = verdict(3, "Inconclusive", "TooFewSamples", samples_needed=12345)
    unclear = verdict(3, "Inconclusive", "Unclear", metric="p99Seconds", samples_needed=12345)
    passed = verdict(3, metric="agreement", samples_needed=12345)
    found = recorded([few, unclear, passed], None, None) or []
    assert [check.samples_needed for check in found] == [12345, 13000, None]


def test_a_query_with_the_name_of_a_check_is_an_entry_of_its_own() -> None:
    found = recorded([verdict(1), verdict(2), verdict(3, metric="other")], None, None) or []
    assert [check.name for check in found] == ["errorRate", "query.errorRate", "other"]


def test_without_verdicts_there_is_no_record() -> None:
    assert recorded([], None, None) is None


@pytest.mark.parametrize(
    ("samples", "expected"), [(0, 0), (1, 1), (9, 9), (10, 10), (13, 12), (999, 900), (1119, 1100), (10**6, 10**6)]
)  # fmt: skip
def test_a_level_is_at_or_below_the_samples(samples: int, expected: int) -> None:
    assert level("Inconclusive", samples) == ("Inconclusive", expected)


@pytest.mark.parametrize(("samples", "expected"), [(0, 0), (1, 1), (2, 2), (3, 2), (1023, 512), (1024, 1024)])
def test_a_check_that_has_passed_has_a_level_for_each_doubling(samples: int, expected: int) -> None:
    assert level("Pass", samples) == ("Pass", expected)


def test_from_one_level_to_the_next_it_is_a_sixth_or_less() -> None:
    assert max(after / before for before, after in pairwise([*LEVELS, 100])) <= 7 / 6
    assert len(LEVELS) == 20


@pytest.mark.parametrize(
    "changed",
    [
        verdict(100, "Pass"),
        undecided(100, reason="Other"),
        undecided(110),
        undecided(90),
        undecided(100, metric="agreement"),
    ],
)
def test_a_result_a_reason_or_a_level_changes_it(changed: Verdict) -> None:
    before = recorded([undecided(100)], None, None)
    found = recorded([changed], None, before) or []
    assert (found[0].name, found[0].samples) == (changed.metric, changed.samples)


def test_other_numbers_do_not_change_it() -> None:
    before = recorded([undecided(100, value=0.1, threshold=0.2, interval=Interval(0, 1))], None, None)
    after = undecided(109, value=0.3, threshold=0.1, interval=Interval(0.2, 0.4), samples_needed=7)
    assert recorded([after], None, before) == before


def test_once_it_changes_all_of_it_is_of_that_moment() -> None:
    before = recorded([verdict(100), undecided(100, metric="agreement")], None, None)
    found = recorded([verdict(101), undecided(110, metric="agreement")], None, before)
    assert [check.samples for check in found or []] == [101, 110]


def test_a_check_that_has_passed_changes_it_when_its_samples_have_doubled() -> None:
    before = recorded([verdict(70)], None, None)
    assert recorded([verdict(127)], None, before) == before
    assert recorded([verdict(128)], None, before) != before


def test_a_step_without_new_samples_writes_nothing() -> None:
    assert writes([[verdict(100)]] * 50) == 1


@pytest.mark.parametrize(
    ("result", "streams", "most"),
    [
        ("Inconclusive", [lambda look: look], 111),
        ("Pass", [lambda look: look], 21),
        ("Inconclusive", [lambda look: look] * 6, 111),
        (
            "Inconclusive",
            [lambda look: look, lambda look: look // 7, lambda look: look // 100],
            111 + 94 + 71,
        ),
    ],
    ids=["one check", "that passes", "six checks of the same requests", "three checks of different requests"],
)
def test_a_million_samples_cost_few_writes(
    result: Result, streams: list[Callable[[int], int]], most: int
) -> None:
    """Each look brings a thousandth more, from one sample on: the worst rate for a look every two seconds."""
    looks, samples = [0], 0
    while samples < 10**6:
        samples += max(1, samples // 1000)
        looks.append(min(samples, 10**6))
    checks = ([verdict(s(look), result, metric=f"m{i}") for i, s in enumerate(streams)] for look in looks)
    assert writes(checks) <= most


def test_why_nothing_was_compared_is_part_of_it() -> None:
    few = verdict(0, "Inconclusive", "TooFewSamples", metric="agreement", samples_needed=100)
    for counts, message in (
        (StepCounts(SINCE), "no request was copied"),
        (StepCounts(SINCE, shadowed={"Compared": 3}), None),
        (StepCounts(SINCE, uncompared={"TooLarge": 2, "OtherClasses": 1}), "not compared: OtherClasses, TooLarge"),
        (None, None),
    ):  # fmt: skip
        found = recorded([few], counts, None) or []
        assert found[0].message == message
    before = recorded([few], None, None)
    assert recorded([few], StepCounts(SINCE), before) != before


@pytest.mark.parametrize(
    ("metric", "counts", "message"),
    [
        ("scoreDrop", StepCounts(SINCE), "no label has come back for its predictions"),
        ("scoreDrop", StepCounts(SINCE, labels={"labels": 3}), "no label has come back for the stable one"),
        ("predictionShift", StepCounts(SINCE), "nothing that it predicted is counted"),
        ("predictionShift", StepCounts(SINCE, predicted=Predicted(rows=5)), None),
    ],
)
def test_why_there_is_no_score_is_part_of_it(metric: str, counts: StepCounts, message: str | None) -> None:
    few = verdict(0, "Inconclusive", "TooFewSamples", metric=metric, samples_needed=100)
    assert (recorded([few], counts, None) or [])[0].message == message


def test_a_check_that_passes_or_needs_no_comparison_gives_no_such_reason() -> None:
    counts = StepCounts(SINCE, delegated={"Answered": 1}, uncompared={"TooLarge": 2})
    for other in (
        verdict(1, metric="agreement"),
        verdict(1, "Inconclusive", "TooFewSamples"),
        verdict(1, "Inconclusive", "AgreementUnclear", metric="agreement"),
    ):
        assert (recorded([other], counts, None) or [])[0].message is None


def test_a_query_without_a_value_says_why() -> None:
    asked = {"complaints": Reading("up", NoValue("NoData", "no series matches it" + 600 * "!"))}
    silent = verdict(0, "Inconclusive", "NoData", metric="complaints")
    other = verdict(0, "Inconclusive", "QueryNotAsked", metric="complaints")
    found = recorded([silent], StepCounts(SINCE, queries=asked), None) or []
    assert (found[0].message or "").startswith("no series matches it")
    assert (recorded([other], StepCounts(SINCE, queries=asked), None) or [])[0].message is None


@pytest.mark.parametrize(
    ("overall", "expected"),
    [
        (verdict(1), "Passing"),
        (verdict(1, "Inconclusive", "TooFewSamples"), "CollectingSamples"),
        (verdict(1, "Inconclusive", "LatencyUnclear"), "LatencyUnclear"),
        (verdict(1, "Fail", "TooSlow"), "TooSlow"),
    ],
)
def test_kubectl_shows_whether_it_passes_collects_or_why_not(overall: Verdict, expected: str) -> None:
    assert word(overall) == expected


def test_a_canary_that_requests_do_not_reach_says_why() -> None:
    few = verdict(0, "Inconclusive", "TooFewSamples")
    found = recorded([few], StepCounts(SINCE), None) or []
    assert found[0].message == "no request has come"
    failed = verdict(9, "Fail", "ErrorRateTooHigh")
    found = recorded([failed], StepCounts(SINCE, delegated={"Unreachable": 9}), None) or []
    assert "NetworkPolicies" in (found[0].message or "")
