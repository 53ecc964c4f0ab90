"""What the message of Ready says of checks that have not passed, and how seldom it changes."""

from __future__ import annotations

from typing import Any

from unit.given.resources import InferenceService
from unit.inferenceservice.rollout.test_canary import a_canary, after, measures, put
from unit.inferenceservice.rollout.test_promotion import a_promoted_version

from modelwright.inferenceservice.analysis.counts import StepCounts

SHARE = "ModelVersion churn-2 answers 10 % (step 1 of 2)"
FLOW = "its pods cannot be connected to: NetworkPolicies have to let the stable revision's pods reach their port 8080"


def checks(service: InferenceService, part: str = "canary") -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in service.status[part]["checks"]}


def test_it_names_what_each_check_is_at_and_what_it_needs() -> None:
    service = a_canary(analysis={"minAgreement": 0.9})
    measures(service, {"Answered": 31}).settles()
    assert service.message == (
        f"{SHARE}; waits for errorRate: 31 of 100 samples; agreement: 0 of 100 samples (no request was copied)"
    )
    assert service.status["canary"]["verdict"] == "CollectingSamples"


def test_a_check_that_has_passed_is_not_named() -> None:
    service = a_canary(analysis={"minAgreement": 0.9})
    measures(service, {"Answered": 1000}, shadowed={"Compared": 40}, labelled=40, agreement=39.5).settles()
    assert service.message == f"{SHARE}; waits for agreement: 40 of 100 samples"
    assert (checks(service)["errorRate"]["result"], checks(service)["agreement"]["samplesNeeded"]) == (
        "Pass",
        100,
    )


def test_with_all_passed_it_says_no_more_than_the_step() -> None:
    service = a_canary()
    measures(service, {"Answered": 1000}).settles()
    assert (service.message, service.status["canary"]["verdict"]) == (SHARE, "Passing")


def test_without_a_request_it_says_whose_callers_are_missing() -> None:
    service = a_canary()
    measures(service, {}).settles()
    assert service.message.endswith("errorRate: 0 of 100 samples (no request has come)")
    measures(service, {}, look=1, stable_answered={"200": 7}).settles()
    assert service.message.endswith("(the stable revision has had requests, and this one none)")


def test_more_checks_than_a_message_holds_are_counted() -> None:
    queries = [{"name": f"query-{number}", "query": "up", "max": 1} for number in range(6)]
    service = a_canary(analysis={"queries": queries})
    measures(service, {}).settles()
    assert service.message.endswith("query-3: QueryNotAsked; and 2 more")
    assert len(checks(service)) == 7


def test_a_look_without_news_writes_nothing_and_a_million_requests_little() -> None:
    service = a_canary()
    measures(service, {"Answered": 1}, look=1).settles()
    before, look, answered = len(service.world.api.writes), 1, 1
    while answered < 10**6:
        look, answered = look + 1, answered + 1 + answered // 10
        measures(service, {"Answered": answered}, look=look).settles()
    few = len(service.world.api.writes) - before
    assert few <= 111
    measures(service, {"Answered": answered + 1}, look=look + 1).settles()
    assert len(service.world.api.writes) - before == few


def test_a_canary_that_cannot_be_connected_to_says_which_flow_to_allow() -> None:
    service = a_canary()
    measures(service, {"Unreachable": 2}).settles()
    assert service.message.endswith(f"errorRate: 2 of 100 samples ({FLOW})")
    measures(service, {"Unreachable": 50}, look=1).settles()
    assert (service.reason, service.status["canary"]["reason"]) == ("RolledBack", "ErrorRateTooHigh")
    assert FLOW in service.message


def test_a_canary_that_fails_by_itself_names_no_flow() -> None:
    service = a_canary()
    measures(service, {"Failed": 50, "Unreachable": 1}).settles()
    assert service.reason == "RolledBack"
    assert "NetworkPolicies" not in service.message


def test_a_revision_that_bakes_has_its_checks_too() -> None:
    service = a_promoted_version(bakeSeconds=600)
    since = service.status["stable"]["since"]
    put(service, StepCounts(since=since, direct=True, answered={"200": 40})).settles()
    assert service.message == "ModelVersion churn-2 has the traffic, and may still be taken back"
    assert checks(service, "stable")["errorRate"]["samples"] == 40
    after(service, 601)
    assert "checks" not in service.status["stable"]
