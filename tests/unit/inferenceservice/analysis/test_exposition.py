"""Counts of pods become those of a step: added up, from where the step began, across restarts."""

from __future__ import annotations

from math import inf

import pytest

from modelwright.inferenceservice.analysis.exposition import Counts, Tally, counts, measured

DELEGATED = "modelwright_delegated_requests_total"
TEXT = """
# HELP modelwright_delegated_requests_total Inference requests.
# TYPE modelwright_delegated_requests_total counter
modelwright_delegated_requests_total{model="m",version="1",revision="new",outcome="Answered"} 90.0
modelwright_delegated_requests_total{model="m",version="1",revision="new",outcome="Failed"} 10.0
modelwright_delegated_requests_total{model="m",version="1",revision="old",outcome="Failed"} 7.0
# TYPE modelwright_request_duration_seconds histogram
modelwright_request_duration_seconds_bucket{le="0.1",protocol="http"} 3.0
modelwright_request_duration_seconds_bucket{le="+Inf",protocol="http"} 4.0
modelwright_request_duration_seconds_bucket{le="0.1",protocol="grpc"} 1.0
modelwright_request_duration_seconds_bucket{le="+Inf",protocol="grpc"} 1.0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
"""


def answered(value: float) -> Counts:
    return {(DELEGATED, "new", "Answered"): value}


def tally(revision: str, *seen: Counts, since_start: bool = False) -> Tally:
    found = Tally(revision, since_start=since_start)
    for each in seen:
        found.add(each)
    return found


def test_the_samples_that_matter_are_read_and_protocols_added_up() -> None:
    assert counts(TEXT) == {
        (DELEGATED, "new", "Answered"): 90.0,
        (DELEGATED, "new", "Failed"): 10.0,
        (DELEGATED, "old", "Failed"): 7.0,
        ("modelwright_request_duration_seconds_bucket", "0.1"): 4.0,
        ("modelwright_request_duration_seconds_bucket", "+Inf"): 5.0,
    }


@pytest.mark.parametrize("text", ["{", 'modelwright_rows_total{model="x} 1', "a b c d"])
def test_what_is_no_exposition_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        counts(text)


def test_what_a_pod_had_counted_before_the_step_is_left_out() -> None:
    assert tally("old", answered(100), answered(130), answered(135)).sum[DELEGATED, "new", "Answered"] == 35


def test_a_pod_that_came_during_the_step_counts_in_full() -> None:
    assert tally("old", answered(30), since_start=True).sum[DELEGATED, "new", "Answered"] == 30


def test_a_restart_of_a_pod_loses_nothing_that_was_seen() -> None:
    found = tally("old", answered(100), answered(130), answered(4), answered(9))
    assert found.sum[DELEGATED, "new", "Answered"] == 30 + 9


def test_the_stable_pods_say_what_came_of_requests_and_both_how_fast_they_were() -> None:
    first, second = counts(TEXT), counts(TEXT.replace(" 90.0", " 190.0").replace("} 4.0", "} 8.0"))
    found = measured(
        "t", "new", [tally("old", {}, first, second), tally("old", {}, first), tally("new", {}, first)]
    )
    assert found.delegated == {"Answered": 280, "Failed": 20}
    assert (found.asked, found.faults) == (300, 20)
    assert found.canary_durations == {0.1: 4.0, inf: 5.0}
    assert found.stable_durations == {0.1: 8.0, inf: 14.0}


def test_labels_in_compared_answers_are_counted() -> None:
    seen: Counts = {
        ("modelwright_shadow_labels_total", "new", "true"): 8.0,
        ("modelwright_shadow_labels_total", "new", "false"): 2.0,
        ("modelwright_shadow_requests_total", "new", "Compared"): 10.0,
        ("modelwright_shadow_non_finite_total", "new"): 3.0,
    }
    found = measured("t", "new", [tally("old", {}, seen)])
    assert (found.labels, found.agreeing, found.non_finite, found.shadowed) == (10, 8, 3, {"Compared": 10})
