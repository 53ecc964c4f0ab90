"""Whether a rollout is over, what a log says of it, and what programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.cli.given import a_canary, a_rolled_back_canary, a_served_version, drawn, measures, seen
from unit.given.resources import InferenceService
from unit.inferenceservice.rollout.test_canary import GOOD, after
from unit.inferenceservice.test_requests import asks as step

from modelwright.cli.changes import changes
from modelwright.cli.document import document
from modelwright.view.model import Unreadable, read
from modelwright.view.progress import is_rolled_back, stage

STALLED = {
    "type": "Stalled",
    "status": "True",
    "reason": "NameTooLong",
    "message": "it is",
    "observedGeneration": 1,
}


@pytest.mark.parametrize(
    ("given", "result", "ended"),
    [
        (a_served_version, "Done", True),
        (a_canary, "InProgress", False),
        (a_rolled_back_canary, "RolledBack", True),
    ],
)
def test_a_rollout_ends_well_or_not_at_all_or_goes_on(
    given: Callable[[], InferenceService], result: str, ended: bool
) -> None:
    found = stage(seen(given()))
    assert (found.result, found.ended) == (result, ended)


@pytest.mark.parametrize(
    ("parts", "result"),
    [
        ({"metadata": {"generation": 9}}, "NotSeen"),
        ({"status": {"stable": None, "conditions": [STALLED]}}, "Failed"),
        ({"status": {"stable": None, "conditions": []}}, "InProgress"),
        ({"status": {"conditions": [STALLED]}}, "Failed"),
        ({"status": {"conditions": []}}, "InProgress"),
        ({"status": {"conditions": [{**STALLED, "observedGeneration": 0}]}}, "InProgress"),
    ],
)
def test_without_a_canary_the_conditions_decide_if_they_are_of_this_spec(
    parts: dict[str, Any], result: str
) -> None:
    assert stage(seen(a_served_version(), **parts)).result == result


def test_a_log_tells_each_change_once_and_each_decision_with_its_own_time() -> None:
    service = a_canary()
    first = seen(service)
    at = service.world.now
    [line] = changes(None, first, at)
    assert line.endswith(
        "InProgress: churn-2 answers 10 % of the requests, at step 1 of 2; waits for the metrics of its pods "
        "(1 of 1 pods ready)"
    )
    assert changes(first, seen(service), at) == []

    after(measures(service, GOOD), 61)
    decision, line = changes(first, seen(service), service.world.now)
    assert decision.startswith(seen(service).decisions[0].at)
    assert "churn-2 went on to the next step at step 1" in decision
    assert "at step 2 of 2; it gets 50 % when the pods for that are ready (1 of 2 pods ready)" in line


def test_the_first_look_repeats_no_old_decisions() -> None:
    [line] = changes(None, seen(a_rolled_back_canary()), a_canary().world.now)
    assert "RolledBack: churn-2 was rolled back" in line


def test_programs_get_names_as_in_the_object_and_the_result_in_one_word() -> None:
    service = a_rolled_back_canary()
    found = json.loads(json.dumps(document(seen(service), {})))
    assert (found["name"], found["namespace"], found["result"]) == ("churn", "team", "RolledBack")
    assert found["status"]["canary"]["revision"] == service.revision("canary")
    assert found["status"]["lastDecision"]["value"] == 0.5
    assert found["rollout"]["steps"][0] == {"weight": 10, "mirror": 0, "holdSeconds": 60}


def test_an_object_that_cannot_be_read_says_where_and_what_to_check() -> None:
    body = {"metadata": {"name": "x"}, "spec": {"rollout": {"steps": [{"weight": "much"}]}}}
    with pytest.raises(Unreadable, match=r"metadata\.namespace: .*as old, or as new, as the operator"):
        read(body)


def test_a_canary_that_a_family_has_forgotten_was_rolled_back_all_the_same() -> None:
    service = a_rolled_back_canary()
    canary, forgotten = service.revision("canary"), seen(service, status={"canary": None})
    assert is_rolled_back(forgotten, canary)
    assert not is_rolled_back(forgotten, service.revision("stable"))
    assert not is_rolled_back(forgotten, None)
    assert not is_rolled_back(seen(a_served_version()), canary)


def test_a_revision_that_is_baked_is_not_done_yet() -> None:
    service = a_canary(bakeSeconds=60)
    step(service, "promote-full").has_ready(4).settles()
    found = stage(seen(service))
    assert found.result == "InProgress"
    assert "Baking" in found.sentence
    assert found.advice == (
        "As long as churn-1 runs, it is back at once with: modelwright rollout undo churn",
    )
    assert "it may be taken back for 59 s more" in drawn(service)


def test_an_object_that_the_operator_has_never_seen_has_no_generation_to_tell_of() -> None:
    fresh = {**a_served_version().body, "status": {"observedGeneration": -1}}
    assert stage(read(fresh)).sentence == "the operator has not looked at generation 1 of the spec yet"
