"""A verdict's numbers in words."""

from __future__ import annotations

from math import inf

import pytest

from modelwright.checks.evidence import Interval
from modelwright.checks.verdict import Details, Result, Verdict, overall, verdict_text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (("errorRate", 0.0215, 0.01, 300), "errorRate is 0.0215, the limit 0.01 (300 samples)"),
        (("errorRate", 1 / 3, 0.01, 300), "errorRate is 0.3333, the limit 0.01 (300 samples)"),
        (("p99Seconds", None, 0.5, 0), "p99Seconds is unknown, the limit 0.5 (0 samples)"),
        (("restarts", 3.0, None, 1), "restarts is 3 (1 sample)"),
        (("rmse", 123456.0, 1e-9, 12), "rmse is 1.235e+05, the limit 1e-09 (12 samples)"),
        (
            ("recall", 0.8, 0.85, 40, Interval(0.65, 0.9), 900),
            "recall is 0.8 (0.65 to 0.9), the limit 0.85 (40 samples, about 900 would decide)",
        ),
        (
            ("p99Seconds", 6.9, 0.1, 189, Interval(1.8, inf), 2400),
            "p99Seconds is 6.9 (1.8 or more), the limit 0.1 (189 samples, about 2,400 would decide)",
        ),
    ],
)
def test_the_numbers_are_told_with_their_limit_and_what_they_are_worth(
    numbers: tuple[str, float | None, float | None, int], said: str
) -> None:
    assert verdict_text(*numbers) == said


def test_a_verdict_needs_no_numbers() -> None:
    found = Verdict("Inconclusive", "complaints", "NoData", 0)
    assert (
        verdict_text(found.metric, found.value, found.threshold, found.samples)
        == "complaints is unknown (0 samples)"
    )


@pytest.mark.parametrize(
    ("results", "decides"),
    [
        (["Pass"], 0),
        (["Pass", "Pass"], 0),
        (["Pass", "Inconclusive", "Inconclusive"], 1),
        (["Inconclusive", "Pass", "Fail", "Fail"], 2),
    ],
)
def test_overall(results: list[Result], decides: int) -> None:
    verdicts = [Verdict(result, f"check{number}", "Why", 1) for number, result in enumerate(results)]
    assert overall(verdicts) is verdicts[decides]


def test_what_takes_time_is_computed_for_records_only() -> None:
    def details() -> Details:
        return Details(Interval(0.1, 0.3), 400)

    found = Verdict("Inconclusive", "errorRate", "ErrorRateUnclear", 100, 0.2, 0.25, details=details)

    assert (found.interval, found.samples_needed) == (None, None)
    assert (found.detailed().interval, found.detailed().samples_needed) == (Interval(0.1, 0.3), 400)


def test_the_samples_that_the_spec_asks_for_are_exact() -> None:
    found = Verdict(
        "Inconclusive",
        "errorRate",
        "TooFewSamples",
        31,
        samples_needed=100,
        details=lambda: Details(None, 400),
    )
    assert found.detailed().samples_needed == 100


def test_a_verdict_without_more_to_compute_is_itself() -> None:
    found = Verdict("Pass", "complaints", "QueryWithinLimits", 1)
    assert found.detailed() is found
