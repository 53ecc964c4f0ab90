"""What messages say of a check that has not passed."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.api.checks import Check, need


def check(name: str, result: str = "Inconclusive", **fields: Any) -> Check:
    return Check.model_validate({"name": name, "result": result, "reason": "TooFewSamples", **fields})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (check("agreement", samples=31, samples_needed=100), "agreement: 31 of 100 samples"),
        (check("errorRate", samples=0, samples_needed=1), "errorRate: 0 of 1 sample"),
        (check("difference", samples=1), "difference: 1 sample"),
        (check("errorRate", samples=1000, samples_needed=20000), "errorRate: 1,000 of 20,000 samples"),
        (
            check("agreement", samples_needed=100, message="not compared: OtherClasses"),
            "agreement: 0 of 100 samples (not compared: OtherClasses)",
        ),
        (
            check("p99Seconds", reason="LatencyUnclear", threshold=0.5, samples=400, samples_needed=1200),
            "p99Seconds: cannot be told apart from its limit with 400 samples, about 1,200 would decide",
        ),
        (
            check("p99Seconds", reason="LatencyUnclear", threshold=0.5, samples=400),
            "p99Seconds: cannot be told apart from its limit with 400 samples",
        ),
        (check("complaints", reason="QueryNotAsked"), "complaints: QueryNotAsked"),
        (check("complaints", reason="NoData", message="no series"), "complaints: NoData (no series)"),
        (check("requests", reason="NotMeasured", threshold=100), "the metrics of its pods"),
        (
            check("errorRate", "Fail", reason="ErrorRateTooHigh", value=1 / 3, threshold=0.01, samples=9),
            "errorRate: fails with 0.3333, the limit is 0.01",
        ),
        (check("odd", "Fail", reason="Odd"), "odd: fails"),
    ],
)
def test_a_check_that_has_not_passed_says_what_it_is_at_and_what_it_needs(given: Check, said: str) -> None:
    assert need(given) == said
