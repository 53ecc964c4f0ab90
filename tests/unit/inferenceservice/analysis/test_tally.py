"""Counts of pods become those of a step: added up, from where the step began, across restarts."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from modelwright.checks.against_stable import Predicted
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.exposition import Counts, Scrape, scraped
from modelwright.inferenceservice.analysis.scrape_targets import Step
from modelwright.inferenceservice.analysis.tally import PodOffset, Tally, step_counts

DELEGATED = "modelwright_delegated_requests_total"
STEP = Step("2026-01-01T00:00:00Z", "new", frozenset(("old", "new")))
BAKE = Step("2026-01-01T00:00:00Z", "new", frozenset(("new",)), direct=True, retired="old")


def answered(value: float, revision: str = "new") -> Counts:
    return {(DELEGATED, revision, "Answered"): value}


def counted(*seen: Counts | Scrape, kept: PodOffset | None = None) -> float:
    """What a pod has counted after these scrapes."""
    found = Tally("old", kept)
    for each in seen:
        found.add(each if isinstance(each, Scrape) else Scrape(each))
    return found.sum[DELEGATED, "new", "Answered"]


def read(text: str) -> Counts:
    return scraped(text).counts


def step(*pods: tuple[str, Counts]) -> StepCounts:
    return step_counts(STEP, pods)


def test_what_a_pod_had_counted_before_the_step_is_left_out() -> None:
    assert counted(answered(100), answered(130), answered(135)) == 35


def test_a_pod_that_came_during_the_step_counts_in_full() -> None:
    assert counted(answered(30), kept=PodOffset("old")) == 30


def test_a_restart_of_a_pod_loses_nothing_that_was_seen() -> None:
    assert counted(answered(100), answered(130), answered(4), answered(9)) == 30 + 9
    assert counted(*(Scrape(answered(n), 1.0) for n in (100, 130)), Scrape(answered(140), 2.0)) == 30 + 140


def test_a_counter_that_goes_while_its_process_stays_is_no_restart() -> None:
    """A server forgets the counters of the fifth last revision."""
    seen = answered(7) | answered(100, "older")
    assert counted(*(Scrape(each, 1.0) for each in (seen, answered(9), answered(12)))) == 5
    assert counted(*(Scrape(each, 1.0) for each in (answered(7), answered(9), {}))) == 2


def test_an_operator_goes_on_from_the_offset_that_another_has_kept() -> None:
    before_the_step = PodOffset("old", 1.0, answered(-100))
    assert counted(Scrape(answered(130), 1.0), kept=before_the_step) == 30
    after_a_restart = PodOffset("old", 2.0, answered(30))
    assert counted(Scrape(answered(4), 2.0), kept=after_a_restart) == 34


def test_a_restart_that_no_operator_saw_loses_what_was_counted_before_it_and_nothing_is_counted_twice() -> (
    None
):
    before_the_step = PodOffset("old", 1.0, answered(-100))
    assert counted(Scrape(answered(130), 2.0), kept=before_the_step) == 130
    assert counted(answered(4), kept=before_the_step) == 4, "an earlier release shows no time of its start"
    after_a_restart = PodOffset("old", 2.0, answered(30))
    assert counted(Scrape(answered(4), 3.0), Scrape(answered(6), 3.0), kept=after_a_restart) == 36


def test_the_stable_pods_say_what_came_of_requests_and_both_how_fast_they_were() -> None:
    seen = {
        **answered(90),
        **answered(7, "older"),
        (DELEGATED, "new", "Failed"): 10.0,
        **durations(**{"0.105": 3.0}),
    }
    found = step(("old", seen), ("old", seen), ("new", seen))
    assert found.delegated == {"Answered": 180, "Failed": 20}
    assert (found.requests, found.faults) == (200, 20)
    assert found.canary_durations == {(0.105 / 1.05, 0.105): 3.0}
    assert found.stable_durations == {(0.105 / 1.05, 0.105): 6.0}


def test_requests_that_the_revision_before_answers_are_faults_of_one_that_bakes() -> None:
    seen = {**answered(3, "old"), **answered(9, "newer"), ("modelwright_requests_total", "200"): 7.0}
    found = step_counts(BAKE, [("new", seen)])
    assert (found.rescued, found.faults, found.requests) == (3, 3, 10)


def durations(**cells: float) -> Counts:
    return {("modelwright_request_duration_seconds_cell", le): count for le, count in cells.items()}


def test_a_fine_cell_has_a_lower_bound_also_where_the_cells_below_are_empty() -> None:
    cells = {"0.1": 4.0, "2.1": 1.0, "0.0": 7.0, "+Inf": 3.0, "0.3": 0.0}
    found = step(("new", durations(**cells))).canary_durations
    assert found == {(0.0, 0.0): 7.0, (0.1 / 1.05, 0.1): 4.0, (2.0, 2.1): 1.0, (2.1, inf): 3.0}


def test_coarse_buckets_of_one_pod_do_not_count_beside_its_cells_and_those_of_another_do() -> None:
    coarse = 'modelwright_request_duration_seconds_bucket{le="0.25"} 5\n'
    fine = 'modelwright_request_duration_seconds_cell{le="0.21"} 5\n'
    both = step(("new", read(coarse + fine)), ("new", read(coarse)))
    assert both.canary_durations == {(0.21 / 1.05, 0.21): 5.0, (0.0, 0.25): 5.0}


def test_a_coarse_bucket_begins_at_the_bound_below_also_where_that_bucket_is_empty() -> None:
    name = "modelwright_request_duration_seconds_bucket"
    seen: Counts = {(name, "0.1"): 0.0, (name, "0.25"): 5.0, (name, "+Inf"): 0.0}
    found = step(("old", seen))
    assert found.stable_durations == {(0.1, 0.25): 5.0}


def test_the_labels_of_an_earlier_release_are_no_samples_and_that_is_the_reason() -> None:
    seen: Counts = {
        ("modelwright_shadow_labels_total", "new"): 800.0,
        ("modelwright_shadow_requests_total", "new", "Compared"): 8.0,
    }
    found = step(("old", seen))
    assert (found.labelled, found.agreement, found.uncompared) == (0, 0.0, {"ServerTooOld": 8})


def test_labels_in_compared_answers_are_counted() -> None:
    seen: Counts = {
        ("modelwright_shadow_labelled_requests_total", "new"): 10.0,
        ("modelwright_shadow_agreement_total", "new"): 7.25,
        ("modelwright_shadow_labels_total", "new"): 1000.0,
        ("modelwright_shadow_requests_total", "new", "Compared"): 10.0,
        ("modelwright_shadow_uncompared_total", "new", "OtherClasses"): 4.0,
        ("modelwright_shadow_uncompared_total", "new", "Busy"): 0.0,
        ("modelwright_shadow_uncompared_total", "older", "Busy"): 1.0,
        ("modelwright_shadow_non_finite_requests_total", "new"): 3.0,
    }
    found = step(("old", seen))
    assert (found.labelled, found.agreement, found.non_finite) == (10, 7.25, 3)
    assert found.shadowed == {"Compared": 10}
    assert found.uncompared == {"OtherClasses": 4}


def test_labels_count_for_the_model_that_predicted_whichever_pod_got_them() -> None:
    came, posts = "modelwright_feedback_labels_total", "modelwright_feedback_posts_total"
    compared = replace(STEP, model="aaaaaaaa", stable_model="bbbbbbbb")
    pods: list[tuple[str, Counts]] = [
        ("old", {(came, "aaaaaaaa", "false"): 5, (came, "bbbbbbbb", "true"): 70}),
        ("old", {(came, "aaaaaaaa", "false"): 1, (came, "aaaaaaaa", "true"): 1}),
        ("new", {(came, "bbbbbbbb", "false"): 10, (came, "cccccccc", "true"): 9}),
        ("new", {(posts, "aaaaaaaa", "n"): 2, (posts, "aaaaaaaa", "squares"): 29}),
    ]
    found = step_counts(compared, pods)
    assert found.labels == {"labels": 7, "right": 1, "postSquares": 29}
    assert found.stable_labels == {"labels": 80, "right": 70}
    one_model = replace(STEP, model="aaaaaaaa", stable_model="aaaaaaaa")
    assert step_counts(one_model, pods).labels is None


def test_predictions_count_for_the_revision_whose_pods_made_them() -> None:
    text = """
modelwright_predictions_total{classes="0a1b",label="0"} 30
modelwright_predictions_total{classes="0a1b",label="1"} 10
modelwright_prediction_cell{classes="0a1b",cell="19"} 40
modelwright_predicted_total{kind="rows"} 40
modelwright_predicted_total{kind="requests"} 4
modelwright_predicted_total{kind="squares"} 400
"""
    found = step(("old", read(text)), ("new", read(text)), ("new", read(text)))
    one = Predicted({("0a1b", "0"): 30, ("0a1b", "1"): 10}, {("0a1b", 19): 40}, 40, 4, 400)
    assert found.stable_predicted == one
    assert found.predicted.labels["0a1b", "0"] == 60
    assert found.predicted.rows == 80
    assert found.predicted.classes == {"0a1b"}
