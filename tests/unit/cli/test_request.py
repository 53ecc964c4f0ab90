"""A request is written where it makes sense, for the revision that was meant, and its end is read from the status.

What was done is told by the operator itself here: its planner carries the requests out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.cli.given import a_canary, a_rolled_back_canary, a_served_version, edited, measures, merged, seen
from unit.given.resources import InferenceService, a_version
from unit.inferenceservice.rollout.test_canary import GOOD, after
from unit.inferenceservice.rollout.test_promotion import a_promoted_version, answers

from modelwright.api.requests import ANNOTATION, Action, Request, pending
from modelwright.cli import outcome, request
from modelwright.cli.errors import Refused
from modelwright.view.decisions import sentence
from modelwright.view.model import read
from modelwright.view.progress import stage


def a_starting_canary(**rollout: Any) -> InferenceService:
    """Its pods are not ready yet."""
    steps = [{"weight": 10, "holdSeconds": 60}]
    service = a_served_version(replicas=4, rollout={"strategy": "Canary", "steps": steps, **rollout})
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def a_replacement() -> InferenceService:
    service = a_served_version(replicas=4)
    a_version(service.world, "churn-2", "b").is_verified("b")
    return service.changes(model={"version": "churn-2"}).settles()


def a_completing_canary() -> InferenceService:
    service = after(measures(a_canary(), GOOD), 61).has_ready(2).settles()
    return after(measures(service, GOOD), 121)


def asks(service: InferenceService, action: Action) -> bool:
    """Asks as the command does, lets the operator work, and tells whether it was done."""
    before = seen(service)
    asked = request.request(action, before, None, request.token(service.world.now))
    change = request.patch(before, asked)
    written = merged(edited(service), change)["metadata"]
    assert written["resourceVersion"] == before.metadata.resource_version
    service.world.edit(service.key, metadata={"annotations": written["annotations"]})
    service.settles()
    now = seen(service)
    assert outcome.is_handled(asked, now)
    return outcome.is_done(asked, before, now)


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("promote", a_canary), ("promote-full", a_canary), ("abort", a_canary), ("pause", a_canary),
        ("retry", a_rolled_back_canary), ("abort", a_starting_canary), ("abort", a_replacement),
        ("pause", a_starting_canary), ("abort", a_completing_canary),
    ],
)  # fmt: skip
def test_what_the_operator_does_is_seen_to_be_done(
    action: Action, given: Callable[[], InferenceService]
) -> None:
    assert asks(given(), action)


def test_a_paused_canary_is_resumed() -> None:
    service = a_canary()
    assert asks(service, "pause")
    assert asks(service, "resume")


def test_a_promotion_out_of_the_last_step_is_seen_when_it_has_taken_over() -> None:
    service = after(measures(a_canary(), GOOD), 61).has_ready(2).settles()
    before = seen(service)
    asked = request.request("promote", before, None, "t")
    assert asks(service, "promote")
    service.has_ready(4).settles()
    assert service.version("stable") == "churn-2"
    assert outcome.is_done(asked, before, seen(service))


@pytest.mark.parametrize("action", ["promote", "abort", "pause"])
def test_a_request_for_a_canary_that_was_replaced_meanwhile_is_seen_to_be_refused(action: Action) -> None:
    service = a_canary()
    before = seen(service)
    asked = request.request(action, before, None, "t")
    a_version(service.world, "churn-3", "c").is_verified("c")
    service.changes(model={"version": "churn-3"}).settles()
    service.world.edit(service.key, metadata={"annotations": {ANNOTATION: request.written(asked)}})
    service.settles()

    assert outcome.is_handled(asked, seen(service))
    assert not outcome.is_done(asked, before, seen(service))
    told = [{"reason": event.reason, "message": event.message} for event in service.world.told.events]
    complaint = f"{action} was asked for: revision {asked.revision} is not the canary"
    assert outcome.complaint(told, asked) == complaint


@pytest.mark.parametrize(
    ("action", "given", "why"),
    [
        ("promote", a_served_version, "nothing to promote: no rollout is in progress; churn-1 has all"),
        ("promote-full", a_served_version, "nothing to promote: no rollout"),
        ("retry", a_served_version, "nothing to retry: no rollout"),
        ("undo", a_served_version, "no earlier revision runs any more"),
        ("retry", a_canary, "churn-2 has not failed"),
        ("resume", a_canary, "churn-2 is not paused"),
        ("abort", a_rolled_back_canary, "It is tried again with: modelwright rollout retry churn"),
        ("promote", a_rolled_back_canary, "churn-2 has failed"),
        ("promote", a_replacement, "strategy Replace has no steps"),
        ("pause", a_replacement, "strategy Replace has no steps"),
        ("pause", a_completing_canary, "has passed its last step"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    action: Action, given: Callable[[], InferenceService], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        request.request(action, seen(given()), None, "t")


@pytest.mark.parametrize(
    ("parts", "action", "why"),
    [
        ({"status": {"canary": {"paused": True}}}, "pause", "is paused already"),
        ({"spec": {"rollout": {"paused": True}}}, "resume", "spec.rollout.paused that keeps it"),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "abort", "is being deleted"),
        ({"status": {"stable": None}}, "promote", "is the first one"),
        ({"status": {"stable": None}}, "undo", "serves nothing yet"),
    ],
)
def test_it_depends_on_how_the_canary_stands(parts: dict[str, Any], action: Action, why: str) -> None:
    with pytest.raises(Refused, match=why):
        request.request(action, seen(a_canary(), **parts), None, "t")


def test_a_request_is_bound_to_the_revision_that_is_meant() -> None:
    service = a_canary()
    retired = {"revision": "old", "version": "churn-0", "until": "2030-01-01T00:00:00Z"}
    now = seen(service, status={"retired": retired})
    assert request.request("abort", now, None, "t").revision == service.revision("canary")
    assert request.request("undo", now, None, "t").revision == service.revision("stable")
    assert request.request("abort", now, service.revision("canary"), "t").token == "t"
    with pytest.raises(Refused, match=f"the revision is {service.revision('canary')} by now, and not other"):
        request.request("abort", now, "other", "t")


def test_what_is_written_is_what_the_operator_reads() -> None:
    service = a_canary()
    for action in request.ACTIONS:
        fresh = request.token(datetime(2026, 1, 1, tzinfo=UTC))
        asked = Request(action, service.revision("canary"), fresh)
        body = merged(edited(service), request.patch(seen(service), asked))
        assert pending(body, ()) == asked
        assert pending(body, {fresh}) is None


def a_takeover() -> InferenceService:
    """churn-2 has taken over, and churn-1 still runs."""
    service = a_canary()
    assert asks(service, "promote-full")
    service.has_ready(4).settles()
    assert service.version("stable") == "churn-2"
    return service


def test_what_took_over_is_undone_and_an_undo_is_undone() -> None:
    service = a_takeover()
    assert asks(service, "undo")
    assert service.version("stable") == "churn-1"
    found = stage(seen(service))
    assert found.result == "Done"
    assert "churn-2 was undone, asked for by an unknown requester; churn-1 has the traffic" in found.sentence
    assert found.advice == (
        "As long as churn-2 runs, it has the traffic again at once with: modelwright rollout undo churn",
    )
    assert asks(service, "undo")
    assert service.version("stable") == "churn-2"
    assert "has the traffic again: its undo was undone" in sentence(seen(service).decisions[0], seen(service))


def test_what_was_undone_is_tried_again_step_by_step() -> None:
    service = a_takeover()
    assert asks(service, "undo")
    assert asks(service, "retry")
    assert service.version("canary") == "churn-2"


def test_what_its_checks_took_back_comes_back_by_no_undo() -> None:
    service = answers(a_promoted_version(), http500=100)
    with pytest.raises(Refused, match=r"churn-2 still runs, but it lost the traffic, and not by an undo"):
        request.request("undo", seen(service), None, "t")


def test_an_undo_that_the_operator_refuses_is_seen_to_be_refused() -> None:
    service = a_takeover()
    service.has_ready(0, "retired")
    assert not asks(service, "undo")
    told = [{"reason": event.reason, "message": event.message} for event in service.world.told.events]
    asked = Request("undo", service.revision("stable"), "t")
    assert outcome.complaint(told, asked) == "undo was asked for: no pod of ModelVersion churn-1 is ready"


def test_a_model_that_was_sent_back_earlier_is_tried_again_by_its_revision() -> None:
    service = a_rolled_back_canary()
    revision = service.revision("canary")
    service.changes(model={"version": "churn-1"}).settles()
    now = seen(service)
    assert now.canary is None
    assert request.request("retry", now, None, "t").revision == revision, "there is no other one"
    other = {"at": "x", "revision": "other", "version": "churn-0", "digest": "d", "reason": "TooSlow"}
    known = [dict(each) for each in service.status["rejected"]]
    several = seen(service, status={"rejected": [other, *known]})
    with pytest.raises(
        Refused, match=rf"name the one .* --revision: .*, {revision} \(churn-2, ErrorRateTooHigh\)"
    ):
        request.request("retry", several, None, "t")
    assert (
        request.request("retry", seen(service, status={"rejected": [*known, other]}), None, "t").revision
        == revision
    )
    asked = request.request("retry", several, revision, "t")
    service.world.edit(service.key, metadata={"annotations": {ANNOTATION: request.written(asked)}})
    service.settles()
    assert outcome.is_done(asked, now, seen(service))


def test_tokens_differ() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({request.token(now) for _ in range(100)}) == 100


def test_a_request_that_another_one_replaced_is_told_from_one_that_waits() -> None:
    asked = Request("abort", "r", "mine")
    waits = seen(a_canary(), metadata={"annotations": {ANNOTATION: "abort@r#mine"}})
    replaced = seen(a_canary(), metadata={"annotations": {ANNOTATION: "pause@r#other"}})
    done_and_replaced = read(
        merged(
            edited(a_canary()),
            {"metadata": {"annotations": {ANNOTATION: "x"}}, "status": {"lastHandledRequest": "mine"}},
        )
    )
    assert not outcome.is_replaced(asked, waits)
    assert outcome.is_replaced(asked, replaced)
    assert not outcome.is_replaced(asked, done_and_replaced)


def test_an_operator_that_does_not_know_the_action_is_understood() -> None:
    service = a_canary()
    asked = Request("undo", service.revision("stable"), "t" * 64)
    kept = request.written(asked)[:64]
    assert outcome.is_handled(asked, seen(service, status={"lastHandledRequest": kept}))
    told = [{"reason": "RequestIgnored", "message": f"the annotation {ANNOTATION} has to be ..."}]
    assert "has to be" in str(outcome.complaint(told, asked))


def test_the_newest_refusal_of_this_revision_is_told_and_no_other() -> None:
    ours, other = "abort was asked for: revision 0123456789", "abort was asked for: revision 9876543210"
    said = [f"{ours} is not", "abort was asked for: it rains", f"{other} is not", "undo was asked for: no"]
    told = [
        {"reason": "RequestIgnored", "message": text, "lastTimestamp": f"2026-01-0{day}T00:00:00Z"}
        for day, text in enumerate(said, 1)
    ]
    told.append(
        {"reason": "RolledBack", "message": f"{ours} is gone", "lastTimestamp": "2026-01-09T00:00:00Z"}
    )
    asked = Request("abort", "0123456789", "t")
    assert outcome.complaint(told, asked) == "abort was asked for: it rains"
    assert outcome.complaint([told[0], *told[2:]], asked) == f"{ours} is not"
    assert outcome.complaint(told[2:], asked) is None


def test_a_promotion_of_a_canary_without_a_share_waits_for_its_pods() -> None:
    waits = outcome.waits_for_pods
    assert waits(Request("promote", "r", "t"), seen(a_starting_canary()))
    assert not waits(Request("abort", "r", "t"), seen(a_starting_canary()))
    assert not waits(Request("promote", "r", "t"), seen(a_canary()))
