"""What is checked, in words."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.api.inferenceservice import Analysis
from modelwright.view.checks import EXPLAINED, SENTENCES, checks


def test_without_an_analysis_the_defaults_hold() -> None:
    told = checks({})
    assert "at most 1 % of its requests fail" in told
    assert told[-1] == "without a verdict 1 h after the hold, it waits on"


@pytest.mark.parametrize(
    ("analysis", "sentence"),
    [
        ({"maxErrorRate": 0.001}, "at most 0.1 % of its requests fail"),
        ({"maxP99Increase": 0.5}, "its 99th percentile is at most 50 % above the stable one's"),
        ({"minAgreement": 0.95}, "at least 95 % of the labels in mirrored answers are the stable one's"),
        ({"consecutiveFailures": 3}, "it is rolled back when 3 looks in a row fail"),
        (
            {"noDataSeconds": 90, "onNoData": "Rollback"},
            "without a verdict 1 min 30 s after the hold, it is rolled back",
        ),
        ({"maxRestarts": 2}, "the containers of a pod end by themselves at most 2 times"),
        ({"maxDifference": 0.1}, "the numbers of 99 of 100 mirrored answers are at most 0.1 apart"),
        (
            {"maxScoreDrop": {"metric": "accuracy", "change": 0.02}},
            "by feedback its accuracy is at most 0.02 worse than the stable one's",
        ),
        (
            {"maxPredictionShift": 0.1},
            "no label's share among its answers is more than 10 % off the stable one's",
        ),
        ({"falseAlarmRate": 0.01}, "if all of this holds, it is rolled back in at most 1 % of rollouts"),
        ({"onNoData": "Dance"}, "without a verdict 1 h after the hold, Dance"),
        (
            {"queries": [{"name": "queue", "query": "q", "min": 0, "max": 2.5, "intervalSeconds": 60}]},
            "queue is at least 0 and at most 2.5; Prometheus is asked every 1 min",
        ),
        ({"queries": [{"name": "queue", "max": 1}]}, "queue is at most 1; Prometheus is asked every 15 s"),
        ({"maxMoons": 3}, "maxMoons: 3"),
    ],
)
def test_each_check_is_a_sentence(analysis: dict[str, Any], sentence: str) -> None:
    assert sentence in checks(analysis)


def test_one_failing_look_is_not_worth_a_sentence() -> None:
    assert not [line for line in checks({"consecutiveFailures": 1}) if "looks" in line]


def test_every_check_of_the_api_has_its_sentence() -> None:
    fields = {field.alias for field in Analysis.model_fields.values()}
    assert fields <= EXPLAINED
    assert set(SENTENCES) <= EXPLAINED
