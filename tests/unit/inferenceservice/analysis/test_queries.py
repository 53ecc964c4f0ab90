"""Checks by the user's queries: what is asked, what the answers say of a canary, and what users are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.given.crds import defects
from unit.given.resources import InferenceService
from unit.given.world import NAMESPACE
from unit.inferenceservice.rollout.test_canary import BAD, GOOD, a_canary, after, measures

from modelwright.api.inferenceservice import Query
from modelwright.common.facts import QUERY_RESULTS
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.common.times import from_timestamp
from modelwright.engine.objects import Key
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, QueryResults, Reading
from modelwright.inferenceservice.analysis.queries import QueryRound, Question, query_round, verdicts

SINCE = "2026-01-01T00:00:00Z"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
COMPLAINTS = {"name": "complaints", "query": 'complaints{revision="$(revision)"}', "max": 0.1}
WAITS = "; waits for complaints: "


def a_round(**known: str) -> QueryRound:
    return QueryRound(Key(INFERENCE_SERVICES, "team", "churn"), "uid", SINCE, (), known)


def question(text: str) -> Question:
    return Question("complaints", text, 15)


def query(text: str = "up", **more: Any) -> Query:
    return Query(name="complaints", query=text, **{"max": 1.0, **more})


def asking(*queries: Mapping[str, Any], **analysis: Any) -> InferenceService:
    """churn-2 has its first share, these queries are asked, and its pods count nothing but good answers."""
    service = a_canary(analysis={"queries": list(queries or (COMPLAINTS,)), **analysis})
    return measures(service, GOOD).settles()


def answers(service: InferenceService, *, since: str = "", **results: float | NoValue) -> InferenceService:
    """What Prometheus has answered last, by the query's name."""
    canary = service.part("canary")
    assert canary is not None
    texts = {q["name"]: q["query"] for q in service.body["spec"]["rollout"]["analysis"]["queries"]}
    look = int(service.world.now.timestamp())
    readings = {name: Reading(texts[name], result, look) for name, result in results.items()}
    found = QueryResults(since or canary["stepSince"], readings)
    service.world.cache.note(service.key, QUERY_RESULTS, found)
    return service


@pytest.mark.parametrize(
    ("text", "seconds", "filled"),
    [
        ("up", 15, "up"),
        ('a{r="$(revision)"}[$(seconds)s]', 15, 'a{r="abc"}[15s]'),
        ("$(revision)$(revision)", 15, "abcabc"),
        ("$$(revision)", 15, "$abc"),
        ("$(other) $revision ${revision} $(Revision)", 15, "$(other) $revision ${revision} $(Revision)"),
        ("$(seconds)", 90061.9, "90061"),
        ("$(seconds)", 0, "1"),
        ("$(version)", 15, "churn-1.2_3"),
        ('"$(evil)"', 15, '"$(evil)"'),
    ],
)
def test_what_a_query_holds_is_filled_in(text: str, seconds: float, filled: str) -> None:
    found = a_round(revision="abc", version="churn-1.2_3")
    assert found.text(question(text), BEGAN + timedelta(seconds=seconds)) == filled


def test_a_value_cannot_end_the_text_that_it_stands_in() -> None:
    found = a_round(name='"} or up{a="$(seconds)\n', version="'`\\")
    text = found.text(question("x{n=\"$(name)\",v='$(version)'}"), BEGAN)
    assert text == r'x{n="\x22\x7d\x20or\x20up\x7ba\x3d\x22\x24\x28seconds\x29\x0a",v=' + r"'\x27\x60\x5c'}"


@pytest.mark.parametrize(("age", "asked"), [(0, False), (14, False), (15, True), (3600, True)])
def test_a_query_is_asked_first_when_the_step_is_as_old_as_its_interval(age: float, asked: bool) -> None:
    service = asking({**COMPLAINTS, "intervalSeconds": 15})
    now = from_timestamp(service.status["canary"]["stepSince"]) + timedelta(seconds=age)
    found = query_round(service.world.cache, service.key, now)
    assert found is not None
    assert bool(found.targets) is asked


@pytest.mark.parametrize(
    ("limits", "result", "verdict"),
    [
        ({"max": 0.1}, 0.1, ("Pass", "QueryWithinLimits", 0.1, 0.1)),
        ({"max": 0.1}, 0.11, ("Fail", "QueryAboveMax", 0.11, 0.1)),
        ({"max": None, "min": 5}, 5.0, ("Pass", "QueryWithinLimits", 5.0, 5.0)),
        ({"max": None, "min": 5}, 4.9, ("Fail", "QueryBelowMin", 4.9, 5.0)),
        ({"max": 2, "min": 1}, 1.5, ("Pass", "QueryWithinLimits", 1.5, 2.0)),
        ({"max": 2, "min": 1}, 0.5, ("Fail", "QueryBelowMin", 0.5, 1.0)),
        ({"max": 0, "min": 0}, -0.0, ("Pass", "QueryWithinLimits", 0.0, 0.0)),
        ({"max": 0.1}, NoValue("NoData", "…"), ("Inconclusive", "NoData", None, None)),
        ({"max": 0.1}, NoValue("BadQuery", "…"), ("Inconclusive", "BadQuery", None, None)),
    ],
)
def test_a_value_beyond_its_limits_fails_and_none_is_no_failure(
    limits: dict[str, Any], result: float | NoValue, verdict: tuple[Any, ...]
) -> None:
    (found,) = verdicts([query(**limits)], {"complaints": Reading("up", result)})
    assert (found.result, found.reason, found.value, found.threshold) == verdict
    assert found.metric == "complaints"


@pytest.mark.parametrize(
    "readings", [{}, {"complaints": Reading("up offset 1d", 99.0)}, {"other": Reading("up", 99.0)}]
)
def test_a_query_that_was_not_answered_says_nothing(readings: Mapping[str, Reading]) -> None:
    (found,) = verdicts([query()], readings)
    assert (found.result, found.reason) == ("Inconclusive", "QueryNotAsked")


def test_a_canary_is_asked_about_with_its_own_names() -> None:
    service = asking()
    service.world.after(60)
    found = query_round(service.world.cache, service.key, service.world.now)
    assert found is not None
    assert found.known == {
        "revision": service.revision("canary"),
        "stable": service.revision("stable"),
        "version": "churn-2",
        "namespace": NAMESPACE,
        "name": "churn",
    }
    assert found.since == service.status["canary"]["stepSince"]
    assert [asked.name for asked in found.targets] == ["complaints"]


def test_nothing_is_asked_without_a_rollout_or_without_queries() -> None:
    without = a_canary()
    assert query_round(without.world.cache, without.key, without.world.now) is None
    service = asking()
    after(answers(service, complaints=0.5), 1)
    assert service.reason == "RolledBack"
    assert query_round(service.world.cache, service.key, service.world.now) is None
    service.is_deleted()
    assert query_round(service.world.cache, service.key, service.world.now) is None


def test_a_value_beyond_its_limit_rolls_back_and_the_decision_names_the_query() -> None:
    service = asking()

    answers(service, complaints=0.5).settles()

    assert service.reason == "RolledBack"
    assert "QueryAboveMax: complaints is 0.5, the limit 0.1" in service.message
    decision = service.status["lastDecision"]
    assert {key: decision[key] for key in ("verdict", "reason", "metric", "value", "threshold")} == {
        "verdict": "Rollback",
        "reason": "QueryAboveMax",
        "metric": "complaints",
        "value": 0.5,
        "threshold": 0.1,
    }


def test_one_value_is_one_failure_however_often_it_is_looked_at() -> None:
    service = answers(asking(consecutiveFailures=2), complaints=0.5).settles()
    measures(service, {"Answered": 1001}, look=1)
    measures(after(service, 30), {"Answered": 1002}, look=2)
    assert after(service, 30).reason == "CanaryInProgress"
    assert service.status["canary"]["verdict"] == "QueryAboveMax"

    answers(service, complaints=0.5).settles()

    assert service.reason == "RolledBack"


def test_a_value_within_limits_ends_a_row_of_failures() -> None:
    service = answers(asking(consecutiveFailures=2), complaints=0.5).settles()
    answers(after(service, 15), complaints=0.0).settles()
    answers(after(service, 15), complaints=0.5).settles()
    assert service.reason == "CanaryInProgress"


def test_where_callers_meet_the_canary_nowhere_its_queries_are_all_that_tells() -> None:
    service = a_canary(strategy="BlueGreen", steps=[{"weight": 0}], analysis={"queries": [COMPLAINTS]})
    measures(service, {}).settles()
    assert (service.reason, service.status["canary"]["verdict"]) == ("CanaryInProgress", "QueryNotAsked")

    answers(service, complaints=0.5).settles()

    assert service.reason == "RolledBack"
    assert service.status["lastDecision"]["metric"] == "complaints"


def test_a_step_passes_when_every_query_is_within_its_limits() -> None:
    service = asking(COMPLAINTS, {**COMPLAINTS, "name": "revenue", "min": 10, "max": 20})
    after(answers(service, complaints=0.05), 61)
    assert service.status["canary"]["step"] == 0, "one has no answer yet"

    answers(service, complaints=0.05, revenue=15.0).settles()

    assert service.status["canary"]["step"] == 1


def test_a_failure_that_pods_count_is_not_covered_up_by_good_answers() -> None:
    service = answers(asking(), complaints=0.0)
    measures(service, BAD).settles()
    assert service.status["lastDecision"]["reason"] == "ErrorRateTooHigh"


def test_an_error_of_measuring_is_waited_for_and_told() -> None:
    service = asking()

    after(answers(service, complaints=NoValue("BadQuery", "1:5: parse error")), 3000)

    assert (service.reason, service.status["canary"]["step"]) == ("CanaryInProgress", 0)
    assert (
        service.message
        == f"ModelVersion churn-2 answers 10 % (step 1 of 2){WAITS}BadQuery (1:5: parse error)"
    )
    assert not defects("inferenceservices", "status", service.status)


def test_what_is_told_goes_when_it_is_over() -> None:
    service = asking()
    answers(service, complaints=NoValue("NoData", "nothing")).settles()
    assert WAITS in service.message
    answers(service, complaints=0.0).settles()
    assert WAITS not in service.message


@pytest.mark.parametrize(("policy", "version"), [("Promote", 1), ("Wait", 0)])
def test_on_no_data_decides_in_the_end(policy: str, version: int) -> None:
    service = asking(onNoData=policy, noDataSeconds=100)
    answers(service, complaints=NoValue("PrometheusNotConfigured", "no address"))
    after(service, 150)
    assert service.status["canary"]["step"] == 0
    after(service, 20)
    assert service.status["canary"]["step"] == version


def test_what_an_earlier_step_waited_for_is_not_told_of_this_one() -> None:
    service = asking(onNoData="Promote", noDataSeconds=100)
    after(answers(service, complaints=NoValue("NoData", "nothing")), 170)
    assert service.status["canary"]["step"] == 1
    assert WAITS not in service.message


def test_on_no_data_can_roll_back_and_says_for_want_of_what() -> None:
    service = asking(onNoData="Rollback", noDataSeconds=100)
    after(answers(service, complaints=NoValue("PrometheusUnreachable", "silence")), 161)
    assert service.status["lastDecision"]["reason"] == "PrometheusUnreachable"
    assert service.reason == "RolledBack"


def test_an_answer_about_an_earlier_step_says_nothing_of_this_one() -> None:
    service = asking()
    earlier = service.status["canary"]["stepSince"]
    after(answers(service, complaints=0.0), 61)
    service.has_ready(2).settles()
    measures(service, GOOD)

    answers(service, since=earlier, complaints=0.5)

    assert after(service, 121).reason == "CanaryInProgress"
    assert service.status["canary"]["step"] == 1


def test_another_text_of_a_query_needs_an_answer_of_its_own() -> None:
    service = answers(asking(), complaints=0.0)
    spec = service.body["spec"]["rollout"]
    changed = {**spec, "analysis": {**spec["analysis"], "queries": [{**COMPLAINTS, "query": "other"}]}}
    service.changes(rollout=changed)
    assert after(service, 61).status["canary"]["step"] == 0
    answers(service, complaints=0.0).settles()
    assert service.status["canary"]["step"] == 1
