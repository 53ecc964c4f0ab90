"""Requests to an API server and an operator that have their moods: what users read, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.cli.desk import Desk, Run, status
from unit.cli.given import a_canary, seen

from modelwright.api.requests import ANNOTATION, REQUESTED_BY, Request
from modelwright.cli import request


def token(body: dict[str, Any]) -> str:
    return str(body["metadata"]["annotations"][ANNOTATION]).rpartition("#")[2]


def carried_out(**canary: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """An operator that does it."""
    return lambda body: {"status": {"lastHandledRequest": token(body), "canary": canary}}


def test_a_request_is_written_and_its_end_told(desk: Desk, run: Run) -> None:
    desk.on_patch = carried_out(paused=True)
    code, text = run("pause", "churn")
    assert code == 0
    assert "pause: done. InProgress: churn-2 answers 10 %" in text
    revision = desk.body["status"]["canary"]["revision"]
    assert desk.body["metadata"]["annotations"][ANNOTATION].startswith(f"pause@{revision}#")


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ((201, json.dumps({"status": {"userInfo": {"username": "jane"}}})), "jane"),
        ((403, status("no")), "u"),
        ((404, "404 page not found"), "u"),
        ((201, "{}"), "u"),
    ],
    ids=["known to the API server", "not allowed to ask", "older cluster", "unreadable"],
)
def test_a_request_says_who_asks_else_the_kubeconfigs_user(
    desk: Desk, run: Run, answer: tuple[int, str], name: str
) -> None:
    desk.answers = [("POST", *answer)]
    assert run("abort", "churn", "--no-wait")[0] == 0
    assert desk.body["metadata"]["annotations"][REQUESTED_BY] == name
    (review,) = [body for method, _, body in desk.requests if method == "POST"]
    assert review == {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def test_a_name_that_somebody_left_behind_is_taken_away_where_nothing_tells_who_asks() -> None:
    asked = Request("abort", "abc", "t")
    change = request.patch(seen(a_canary()), asked)
    assert change["metadata"]["annotations"] == {ANNOTATION: "abort@abc#t", REQUESTED_BY: None}


def test_who_does_not_wait_is_told_what_was_asked_for(desk: Desk, run: Run) -> None:
    code, text = run("abort", "churn", "--no-wait")
    assert code == 0
    assert "asked for: abort@" in text
    assert desk.seen("WATCH") == 0


def test_what_makes_no_sense_is_not_written(desk: Desk, run: Run) -> None:
    code, text = run("resume", "churn")
    assert (code, desk.seen("PATCH")) == (1, 0)
    assert "churn-2 is not paused" in text


def test_a_refusal_is_told_in_the_operators_words(desk: Desk, run: Run) -> None:
    revision = desk.body["status"]["canary"]["revision"]
    desk.on_patch = carried_out()
    desk.told = [
        {
            "reason": "RequestIgnored",
            "message": f"pause was asked for: revision {revision} is not",
            "involvedObject": {},
            "metadata": {},
        }
    ]
    code, text = run("pause", "churn")
    assert code == 1
    assert f"the operator has not done it: pause was asked for: revision {revision} is not" in text


def test_an_operator_that_does_not_answer_is_told_with_where_to_look(desk: Desk, run: Run) -> None:
    code, text = run("pause", "churn", "--timeout", "0.3s")
    assert code == 5
    assert "is the operator running? kubectl get pods -A -l app.kubernetes.io/name=modelwright" in text
    assert f"kubectl annotate -n team mwisvc churn {ANNOTATION}-" in text


def test_another_request_in_its_place_is_told(desk: Desk, run: Run) -> None:
    desk.on_patch = lambda _: {"metadata": {"annotations": {ANNOTATION: "abort@x#y"}}}
    code, text = run("pause", "churn")
    assert code == 1
    assert "another request has taken its place: abort@x#y" in text


def test_a_write_that_meets_another_is_tried_again_on_what_is_there_now(desk: Desk, run: Run) -> None:
    desk.answers = [("PATCH", 409, status("changed"))] * 2
    desk.on_patch = carried_out(paused=True)
    assert run("pause", "churn")[0] == 0
    assert desk.seen("PATCH") == 3


def test_writes_that_never_fit_end(desk: Desk, run: Run) -> None:
    desk.answers = [("PATCH", 409, status("changed"))] * 9
    code, text = run("pause", "churn")
    assert code == 5
    assert "changes all the time" in text
