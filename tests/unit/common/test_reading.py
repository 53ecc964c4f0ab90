"""A status that another release has written is read as far as it can be."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words

from modelwright.api.inferenceservice import InferenceServiceStatus
from modelwright.common.reading import read_valid

STABLE = {"revision": "a", "version": "churn-1", "artifact": words.artifact(), "image": "serving:1"}
CANARY = {
    **STABLE,
    "state": "Shifting",
    "since": "2026-01-01T00:00:00Z",
    "generation": 3,
    "weight": 10,
    "step": 1,
}
DECISION = {
    "at": "2026-01-01T00:00:00Z",
    "revision": "a",
    "step": 0,
    "verdict": "Advance",
    "reason": "Requested",
}
WRITTEN = {"observedGeneration": 3, "stable": STABLE, "canary": CANARY, "history": [DECISION] * 3}


def read(**changes: Any) -> dict[str, Any]:
    status = read_valid(InferenceServiceStatus, {**WRITTEN, **changes})
    return status.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def test_what_this_release_has_written_is_read_whole() -> None:
    assert read() == WRITTEN


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        pytest.param({"stable": {**STABLE, "since": 5}}, {"stable": STABLE}, id="an optional field"),
        pytest.param({"stable": {**STABLE, "version": None}}, {"stable": None}, id="a field that is needed"),
        pytest.param({"stable": {"revision": "a"}}, {"stable": None}, id="fields that are missing"),
        pytest.param({"stable": "churn-1"}, {"stable": None}, id="another type"),
        pytest.param({"canary": {**CANARY, "state": "Judged"}}, {"canary": None}, id="a state of later"),
        pytest.param(
            {"canary": {**CANARY, "since": "yesterday"}}, {"canary": None}, id="a time that is none"
        ),
        pytest.param(
            {"canary": {**CANARY, "stepSince": "2026-01-01T00:00:00"}},
            {"canary": CANARY},
            id="a time of no zone",
        ),
        pytest.param(
            {"canary": {**CANARY, "weight": 101, "step": -1}},
            {"canary": {k: v for k, v in CANARY.items() if k not in {"weight", "step"}}},
            id="two fields",
        ),
        pytest.param(
            {"history": [DECISION, {"at": 1}, "x", {**DECISION, "verdict": "Judge"}, DECISION]},
            {"history": [DECISION, DECISION]},
            id="items of a list",
        ),
        pytest.param({"history": {}}, {"history": None}, id="no list"),
        pytest.param({"later": {"anything": 1}}, {}, id="a field of later"),
        pytest.param(
            {"stable": {**STABLE, "resources": {"limits": {"cpu": "much", "memory": "1Gi"}}}},
            {"stable": {**STABLE, "resources": {"limits": {"memory": "1Gi"}}}},
            id="an amount",
        ),
    ],
)
def test_what_cannot_be_read_counts_as_lost_and_the_rest_is_kept(
    changes: dict[str, Any], lost: dict[str, Any]
) -> None:
    expected = {name: value for name, value in {**WRITTEN, **lost}.items() if value is not None}
    assert read(**changes) == expected


@pytest.mark.parametrize("written", [None, [], "", 5, {}, {"conditions": "x"}])
def test_nothing_that_is_written_raises(written: object) -> None:
    assert read_valid(InferenceServiceStatus, written) == InferenceServiceStatus()
