"""What somebody asks for by annotation is done once, for the revision that was meant, and never again."""

from __future__ import annotations

import pytest
from unit.given.resources import InferenceService, a_served_version
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, a_canary, after, measures, rule

from modelwright.api.requests import ANNOTATION, REQUESTED_BY, Request, pending

BY_ALICE = "asked for by alice (modelwright-cli)"


def asks(
    service: InferenceService,
    action: str,
    revision: str | None = None,
    token: str = "t1",
    by: str | None = None,
) -> InferenceService:
    """Somebody asks, by the command line if there is a name."""
    asked = {ANNOTATION: f"{action}@{revision or service.revision('canary')}#{token}"}
    managers = {}
    if by is not None:
        asked[REQUESTED_BY] = by
        managers = dict.fromkeys(asked, "modelwright-cli")
    service.world.edit(service.key, metadata={"annotations": asked, "annotationManagers": managers})
    return service.settles()


def step(service: InferenceService) -> int:
    return int(service.status["canary"]["step"])


def test_a_promoted_canary_takes_the_next_step_without_a_verdict_and_only_one() -> None:
    service = asks(a_canary(), "promote")

    assert step(service) == 1
    assert service.status["lastHandledRequest"] == "t1"
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["reason"]) == ("Advance", "Requested")
    service.has_ready(2).settles()
    after(service, 1000)
    assert step(service) == 1, "one request is one step"


def test_at_the_last_step_it_takes_over() -> None:
    service = a_canary()
    asks(service, "promote").has_ready(2).settles()
    asks(service, "promote", token="t2").has_ready(4).settles()
    assert (service.version("stable"), service.is_ready) == ("churn-2", True)


def test_promoted_fully_it_skips_all_steps_once_its_pods_are_there() -> None:
    service = a_canary()
    first = service.revision("stable")
    asks(service, "promote-full")
    assert (service.reason, service.traffic) == ("CanaryCompleting", first)
    service.has_ready(4).settles()
    assert service.version("stable") == "churn-2"


def test_an_aborted_canary_is_rolled_back() -> None:
    service = asks(a_canary(), "abort")
    assert service.reason == "RolledBack"
    assert "Aborted: asked for by an unknown requester" in service.message
    assert rule(service) is None
    assert service.status["lastDecision"]["reason"] == "Aborted"
    canary = service.status["canary"]
    assert (canary["weight"], canary["verdict"], canary.get("url")) == (0, "Aborted", None)


def test_a_canary_that_was_given_up_is_tried_again_on_request() -> None:
    service = a_canary()
    measures(service, BAD).settles()
    assert service.reason == "RolledBack"
    asks(service, "retry")
    assert service.reason == "RevisionStarting"
    service.has_ready(1).settles()
    assert service.reason == "CanaryInProgress"


def test_a_pause_holds_a_canary_until_it_is_taken_back() -> None:
    service = asks(a_canary(), "pause")
    after(measures(service, GOOD), 1000)
    assert (service.reason, step(service)) == ("CanaryPaused", 0)
    asks(service, "resume", token="t2")
    assert step(service) == 1


def test_no_request_is_carried_out_again_however_often_an_older_one_comes_back() -> None:
    service = asks(a_canary(), "pause")
    asks(service, "resume", token="t2")
    asks(service, "pause", token="t1")
    assert service.reason == "CanaryInProgress", "Git has brought an old annotation back"
    assert service.status["handledRequests"] == ["t2", "t1"]
    for number in range(3, 40):
        asks(service, "pause" if number % 2 else "resume", token=f"t{number}")
    assert len(service.status["handledRequests"]) == 32
    assert (service.status["handledRequests"][0], service.status["lastHandledRequest"]) == ("t39", "t39")


def test_a_status_of_an_operator_that_kept_one_token_only_is_understood() -> None:
    service = asks(a_canary(), "pause")
    kept = {name: value for name, value in service.status.items() if name != "handledRequests"}
    service.world.edit(service.key, status=kept)
    asks(service, "resume", token="t2")
    assert service.status["handledRequests"] == ["t2", "t1"]


@pytest.mark.parametrize(
    ("action", "verdict", "reason", "told"),
    [
        ("promote", "Advance", "CanaryAdvanced", f"step 1 ended: {BY_ALICE}"),
        (
            "abort",
            "Rollback",
            "RolledBack",
            f"ModelVersion churn-2 was rolled back: Aborted: {BY_ALICE}; churn-1 keeps the traffic",
        ),
        (
            "pause",
            "Pause",
            "CanaryPaused",
            BY_ALICE,
        ),
    ],
)
def test_who_asked_is_kept_and_told(action: str, verdict: str, reason: str, told: str) -> None:
    service = asks(a_canary(), action, by="alice")
    decision = service.status["lastDecision"]
    assert (decision["verdict"], decision["requestedBy"]) == (verdict, "alice (modelwright-cli)")
    assert told in [event.message for event in service.world.told.events if event.reason == reason]


@pytest.mark.parametrize(
    ("annotations", "managers", "who"),
    [
        ({REQUESTED_BY: "alice"}, {ANNOTATION: "cli", REQUESTED_BY: "cli"}, "alice (cli)"),
        ({REQUESTED_BY: "alice"}, {ANNOTATION: "kubectl-annotate", REQUESTED_BY: "cli"}, "kubectl-annotate"),
        ({}, {ANNOTATION: "argocd-controller"}, "argocd-controller"),
        ({REQUESTED_BY: "alice"}, {}, "alice"),
        ({REQUESTED_BY: "a\n(b); c\x1b[2J" + "x" * 500}, {}, "a??b?? c??2J" + "x" * 116),
        ({REQUESTED_BY: " "}, {ANNOTATION: ""}, None),
        ({}, {}, None),
    ],
)
def test_the_name_of_who_asked_is_a_claim_that_is_kept_short_and_plain(
    annotations: dict[str, str], managers: dict[str, str], who: str | None
) -> None:
    meta = {
        "annotations": {ANNOTATION: "abort@abc#t", **annotations},
        "annotationManagers": managers,
    }
    assert pending({"metadata": meta}, ()) == Request("abort", "abc", "t", who)


def test_a_request_that_git_takes_away_stays_carried_out() -> None:
    service = asks(a_canary(), "pause")
    service.world.edit(service.key, metadata={"annotations": {}})
    service.settles()
    assert service.reason == "CanaryPaused"


def test_a_promotion_waits_until_there_is_a_step_to_leave() -> None:
    service = asks(a_canary(), "abort")
    asks(service, "promote", token="t2")
    assert (service.reason, service.status["lastHandledRequest"]) == ("RolledBack", "t1")
    asks(service, "retry", token="t3").has_ready(1).settles()
    assert (service.reason, step(service)) == ("CanaryInProgress", 0)


@pytest.mark.parametrize("action", ["promote", "abort"])
def test_a_request_about_another_revision_changes_nothing_and_is_told(action: str) -> None:
    service = asks(a_canary(), action, revision="0123456789")
    assert (service.reason, step(service)) == ("CanaryInProgress", 0)
    assert service.status["lastHandledRequest"] == "t1"
    told = service.world.told.events[-1]
    assert (told.type, told.reason) == ("Warning", "RequestIgnored")
    assert "revision 0123456789 is not the canary" in told.message


def test_without_a_canary_there_is_nothing_to_ask_for() -> None:
    service = asks(a_served_version(), "abort", revision="0123456789")
    assert service.is_ready
    assert service.world.told.events[-1].reason == "RequestIgnored"


@pytest.mark.parametrize("text", ["abort", "abort@x", "explode@abc#1", "abort@abc#" + "t" * 65, ""])
def test_what_is_no_request_is_told_once(text: str) -> None:
    service = a_canary()
    service.world.edit(service.key, metadata={"annotations": {ANNOTATION: text}})
    service.settles()
    told = [event for event in service.world.told.events if event.reason == "RequestIgnored"]
    service.settles()
    assert len(told) == 1
    assert "ACTION@REVISION#TOKEN" in told[0].message
    assert len([event for event in service.world.told.events if event.reason == "RequestIgnored"]) == 1
    assert service.reason == "CanaryInProgress"
