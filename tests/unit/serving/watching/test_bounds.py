"""Counting is bounded in time, in windows and in bytes of the last report."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from unit.contracts.schemas import defects

from modelwright_serving.watching import report
from modelwright_serving.watching.budget import Budget
from modelwright_serving.watching.windows import Windows


def test_counting_gets_its_share_of_the_time() -> None:
    budget, now, spent = Budget(0.0, share=0.02, saved=0.01), 0.0, 0.0
    for _ in range(100_000):
        now += 0.0001
        if budget.allows(now):
            budget.spend(0.00005)
            spent += 0.00005
    assert 0.019 * now < spent < 0.021 * now + 0.01


def test_what_takes_long_is_allowed_and_paid_for_afterwards() -> None:
    budget = Budget(0.0, share=0.02, saved=0.01)
    assert budget.allows(0.0)
    budget.spend(0.03)
    assert not budget.allows(0.9)
    assert budget.allows(1.1)


def test_time_without_counting_is_saved_up_to_a_bound() -> None:
    budget = Budget(0.0, share=0.02, saved=0.01)
    assert budget.allows(3600.0)
    budget.spend(0.02)
    assert not budget.allows(3600.4)


def test_the_last_three_windows_are_kept_whatever_the_clock_does() -> None:
    windows = Windows(20)
    for now in (100.0, 119.9, 120.0, 140.0, 160.0, 20.0, 165.0):
        windows.at(now).requests += 1
    assert [(window.id, window.requests) for window in windows.kept()] == [(1, 1), (7, 1), (8, 2)]


def test_windows_without_requests_are_not_shown() -> None:
    windows = Windows(20)
    windows.at(100.0)
    assert windows.kept() == []


def window(identity: int, features: int, projections: int, labels: int, most: int) -> dict[str, Any]:
    random = np.random.default_rng(identity)
    return {
        "id": identity,
        **dict.fromkeys(("requests", "rows", "counted", "squares"), 1234567),
        "features": random.integers(0, most, (features, 13)).tolist(),
        "projections": random.integers(0, most, (projections, 10)).tolist(),
        "predictions": {
            "labels": random.integers(0, most, labels).tolist(),
            "scores": None,
            "confidence": None,
        },
        "feedback": {},
        "outcomes": {},
    }


@pytest.mark.parametrize(
    ("size", "windows", "left"),
    [
        ((20, 16, 2, 300), 3, {"features", "projections", "predictions"}),
        ((30, 16, 2, 10**6), 1, {"features", "projections", "predictions"}),
        ((80, 16, 2, 10**4), 1, {"features", "predictions"}),
        ((1024, 16, 2, 10**6), 1, {"predictions"}),
        ((1024, 16, 1000, 10**9), 1, set()),
    ],
)
def test_the_last_report_is_as_much_as_fits(
    size: tuple[int, int, int, int], windows: int, left: set[str]
) -> None:
    whole = {
        "started": 1764331200.123,
        "digest": f"sha256:{'1' * 64}",
        "profile": f"sha256:{'2' * 64}",
        "reason": None,
        "window": 3600,
        "now": 1764334800.5,
        "windows": [window(identity, *size) for identity in (490090, 490091, 490092)],
        "feedback": "Off",
    }
    message = report.last(whole)
    assert len(message) <= report.MAX_TERMINATION
    document = json.loads(message)
    assert document["step"] == "serve"
    found = json.loads(zlib.decompress(base64.b64decode(document["monitor"])))
    assert defects("monitor", found) == []
    assert len(found["windows"]) == windows
    assert found["windows"][-1]["id"] == 490092
    assert {name for name in ("features", "projections", "predictions") if found["windows"][-1][name]} == left
