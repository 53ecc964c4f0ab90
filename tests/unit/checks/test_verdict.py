"""A verdict's numbers in words."""

from __future__ import annotations

import pytest

from modelwright.checks.statistics import Interval
from modelwright.checks.verdict import Verdict, verdict_text


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
