"""Storms that are known by name: each is one unlucky order of events, told step by step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unit.statemachine.cluster import NAMESPACE
from unit.statemachine.gateway import named
from unit.statemachine.test_storms import Storm

from modelwright.common.resources import (
    DEPLOYMENTS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    JOBS,
    MODEL_VERSIONS,
    PODS,
    SERVICES,
    TRAINING_JOBS,
)
from modelwright.engine.errors import Unavailable
from modelwright.engine.objects import Key, ResourceType

CHURN = Key(TRAINING_JOBS, NAMESPACE, "churn")
RUN = Key(JOBS, NAMESPACE, "churn-1")


@pytest.fixture
def storm() -> Iterator[Storm]:
    """A storm that has not begun; when it is over, everything settles."""
    storm = Storm()
    yield storm
    storm.promises.hold()
    storm.teardown()


def arrives(storm: Storm, resource: ResourceType) -> None:
    """The watch of one kind catches up."""
    storm.process.hear()
    for event in [event for event in storm.process.late if event.resource == resource]:
        storm.process.deliver(event)
        storm.process.late.remove(event)


def state(storm: Storm) -> str:
    """The state of the newest run."""
    return str(storm.cluster.objects[CHURN]["status"]["run"]["state"])


def test_a_run_that_ended_stays_as_it_ended_when_the_answer_got_lost_and_its_words_arrive_after_all(
    storm: Storm,
) -> None:
    storm.train("churn", 0, 3600, 0)
    storm.a_while_goes_by(["runs", "runs"])
    (pod,) = storm.cluster.all(PODS)
    for _ in range(3):
        storm.cluster.run(pod, "ok")
    storm.cluster.control()
    arrives(storm, JOBS)
    storm.time_passes(30)
    storm.cluster.fail(
        lambda: Unavailable("the answer got lost"), "after", skip=1
    )  # after the event is posted
    storm.the_operator_works(1)
    assert state(storm) == "Failed", "nobody had seen the pod's words"

    arrives(storm, PODS)
    storm.time_passes(30)
    storm.the_operator_works(10)

    assert state(storm) == "Failed"


def test_a_run_whose_process_died_between_the_status_and_the_job_has_one_job(storm: Storm) -> None:
    storm.train("churn", 0, 3600, 0)
    storm.all_news_arrives()
    storm.trouble_is_ahead("crash after", 1, 1)  # the event, then the status
    storm.the_operator_works(1)
    assert state(storm) == "Pending"
    assert RUN not in storm.cluster.objects

    storm.a_while_goes_by(["ok"])

    assert storm.cluster.all(JOBS) == [RUN]
    assert state(storm) == "Running"


def test_a_job_whose_answer_got_lost_is_found_and_not_made_again(storm: Storm) -> None:
    storm.train("churn", 0, 3600, 0)
    storm.all_news_arrives()
    storm.trouble_is_ahead("lost answer", 3, 1)  # the event, the status, the claim, then the Job
    storm.the_operator_works(1)
    (before,) = [storm.cluster.objects[key]["metadata"]["uid"] for key in storm.cluster.all(JOBS)]

    storm.time_passes(30)
    storm.the_operator_works(10)

    assert storm.cluster.objects[RUN]["metadata"]["uid"] == before
    assert state(storm) == "Running"


def test_a_training_job_that_is_made_anew_waits_for_the_job_of_the_one_before_to_go(storm: Storm) -> None:
    storm.train("churn", 0, 3600, 0)
    storm.a_while_goes_by(["runs"])
    storm.cluster.drop(CHURN)  # the garbage collector is slow
    storm.train("churn", 1, 3600, 0)
    storm.all_news_arrives()
    storm.the_operator_works(10)
    assert state(storm) == "Pending"

    storm.controllers_work()
    storm.all_news_arrives()
    storm.time_passes(70)
    storm.the_operator_works(10)

    assert state(storm) == "Running"


def test_a_run_ends_in_its_version_even_if_the_process_dies_right_after_making_it(storm: Storm) -> None:
    storm.train("churn", 0, 3600, 0)
    storm.a_while_goes_by(["ok", "ok"])
    storm.cluster.run(storm.cluster.all(PODS)[0], "ok")
    storm.cluster.run(storm.cluster.all(PODS)[0], "ok")
    storm.cluster.control()
    storm.all_news_arrives()
    storm.trouble_is_ahead("crash after", 2, 1)  # the event, the status, then the ModelVersion
    storm.the_operator_works(1)
    assert storm.cluster.all(MODEL_VERSIONS)
    assert state(storm) == "Running"

    storm.a_while_goes_by(["ok", "ok"])

    assert state(storm) == "Succeeded"


def test_who_is_led_to_a_canary_by_a_gateway_finds_it_until_the_gateway_knows_better(storm: Storm) -> None:
    route = Key(HTTP_ROUTES, NAMESPACE, "churn")
    storm.serve("churn", "by-hand", 2, 30)
    storm.register("by-hand", "a")
    storm.a_while_goes_by(["ok"] * 7)
    storm.callers_come_by_a_gateway("churn", there=True, wanted=True, fates=["ok"] * 3)
    storm.a_canary_gets_its_share("churn", "churn-2", 1, ["ok"] * 7)
    (canary,) = (key for key in storm.cluster.all(SERVICES) if key.name != "churn")
    assert storm.cluster.gateways.leads_to(route, canary.name)

    revision = storm.cluster.objects[Key(INFERENCE_SERVICES, NAMESPACE, "churn")]["status"]["canary"][
        "revision"
    ]
    pods = Key(DEPLOYMENTS, NAMESPACE, f"churn-{revision}")
    storm.somebody_asks("churn", "abort", 1)
    storm.all_news_arrives()
    storm.the_operator_works(20)
    assert canary.name not in named(storm.cluster.objects[route])
    assert {canary, pods} <= storm.cluster.objects.keys(), "the Gateway does not know yet"

    storm.a_while_goes_by(["ok"] * 3)
    assert not {canary, pods} & storm.cluster.objects.keys()
