"""What is kept of a step is read again as it was, and nothing that anybody may write there does any harm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.inferenceservice.analysis.exposition import MOST_LINES, Counts
from modelwright.inferenceservice.analysis.kept_counts import LARGEST, read, text
from modelwright.inferenceservice.analysis.scrape_targets import Step
from modelwright.inferenceservice.analysis.tally import Kept, PodOffset, StepTally, step_counts

STEP = Step("2026-01-01T00:00:00Z", "new", frozenset(("old", "new")))
BAKE = Step("2026-01-01T00:00:00Z", "new", frozenset(("new",)), direct=True, retired="old")
COUNTS: Counts = {
    ("modelwright_delegated_requests_total", "new", "Answered"): 90.0,
    ("modelwright_shadow_agreement_total", "new"): 7.1,
    ("modelwright_request_duration_seconds_cell", "+Inf"): 3.0,
}
START = {sample: -value for sample, value in COUNTS.items()}
KEPT = Kept({"uid-1": PodOffset("old", 1767225600.25, START), "uid-2": PodOffset("new")}, {"new": COUNTS})


def test_what_is_kept_is_read_again_as_it_was() -> None:
    assert read(text(STEP, KEPT), STEP) == KEPT


def test_counts_of_nothing_and_about_other_revisions_are_not_kept() -> None:
    about: Counts = {("modelwright_shadow_agreement_total", name): 1.0 for name in ("older", "old", "new")}
    nothing: Counts = {("modelwright_requests_total", "200"): 0.0}
    kept = read(text(BAKE, Kept({}, {"new": {**about, **nothing}})), BAKE)
    assert {sample[1] for sample in kept.gone["new"]} == {"old", "new"}


def test_labels_of_other_models_are_not_kept() -> None:
    came = "modelwright_feedback_labels_total"
    about: Counts = {(came, digest, "true"): 1.0 for digest in ("aaaaaaaa", "bbbbbbbb", "cccccccc")}
    compared = replace(STEP, model="aaaaaaaa", stable_model="bbbbbbbb")
    kept = read(text(compared, Kept({}, {"new": about})), compared)
    assert {sample[1] for sample in kept.gone["new"]} == {"aaaaaaaa", "bbbbbbbb"}


@pytest.mark.parametrize(
    "step",
    [
        Step("2026-01-01T00:00:01Z", "new", STEP.revisions),
        Step(STEP.since, "old", STEP.revisions),
    ],
)
def test_what_was_kept_of_another_step_is_ignored(step: Step) -> None:
    assert read(text(STEP, KEPT), step) == Kept()


def test_pods_beyond_the_bound_are_not_kept_those_of_the_judged_revision_last() -> None:
    cells: Counts = {("modelwright_request_duration_seconds_cell", f"{n}.5"): -5.0 for n in range(1000)}
    pods = {f"uid-{n:03}": PodOffset("new" if n >= 90 else "old", 1.0, cells) for n in range(100)}
    kept = text(STEP, Kept(pods))
    assert 0.9 * LARGEST < len(kept) <= LARGEST
    found = read(kept, STEP)
    assert {uid for uid, pod in pods.items() if pod.revision == "new"} <= found.pods.keys()
    assert 10 < len(found.pods) < 100


def changed(path: str, value: object) -> str:
    """The text with another value at a path."""
    document = json.loads(text(STEP, KEPT))
    *parents, last = path.split(".")
    part: Any = document
    for parent in parents:
        part = part[parent]
    part[last] = value
    return json.dumps(document)


OFFSET = "pods.uid-1.offset"
REQUESTS = "modelwright_requests_total"
ODD: list[object] = [None, True, "5", [], {}, float("nan"), float("inf"), -(2**60), 10**400]
# Of each field, the odd value that is a right one.
FIELDS: dict[str, object] = {
    "pods": None,
    "pods.uid-1": None,
    "pods.uid-1.revision": "5",
    "pods.uid-1.started": None,
    OFFSET: {},
    f"{OFFSET}.{REQUESTS}": {},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, right in FIELDS.items() for value in ODD if right is None or value != right],
)
def test_a_pod_that_cannot_be_read_is_ignored_and_nothing_else(path: str, value: object) -> None:
    found = read(changed(path, value), STEP)
    assert "uid-1" not in found.pods
    assert found.gone == KEPT.gone


@pytest.mark.parametrize(
    "by_labels", [*({"200": value} for value in (*ODD, -1)), {"x y": 1}, {"200/200": 1}, {"²": 1}]
)
def test_a_sum_that_cannot_be_read_is_ignored_and_nothing_else(by_labels: dict[str, object]) -> None:
    assert "new" in read(changed(f"gone.new.{REQUESTS}", {"200": 1}), STEP).gone
    found = read(changed(f"gone.new.{REQUESTS}", by_labels), STEP)
    assert (found.gone, found.pods) == ({}, KEPT.pods)


def test_a_metric_of_a_later_release_is_passed_over() -> None:
    document = changed(f"{OFFSET}.modelwright_later_total", {"x": {"y": 5}})
    assert read(document, STEP) == KEPT


def test_more_samples_than_any_server_has_are_ignored() -> None:
    cells = {f"{n}.5": -5 for n in range(MOST_LINES + 1)}
    found = read(changed(f"{OFFSET}.modelwright_request_duration_seconds_cell", cells), STEP)
    assert "uid-1" not in found.pods


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["revision", "started", "offset", "modelwright_requests_total", "200", "new"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(content=st.none() | st.binary() | st.text() | st.just("[" * 100_000))
def test_any_content_is_read_or_ignored(content: object) -> None:
    assert read(content, STEP) == Kept()


@given(pods=st.dictionaries(st.sampled_from(["uid-1", "uid-2"]), ANYTHING), gone=ANYTHING)
def test_any_document_gives_a_step_that_can_be_counted(pods: dict[str, object], gone: object) -> None:
    content = json.dumps({"since": STEP.since, "judged": STEP.judged, "pods": pods, "gone": gone})
    found = step_counts(STEP, StepTally(STEP.since, read(content, STEP)).sums)
    assert found.requests >= found.faults >= 0
