"""The operator is ended in the middle of a window, and seconds before a schedule: nothing is counted or run twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from cluster import kind
from support.correlated import drawing, table
from support.kubectl import Kubectl, Object
from support.manifests import config_map, inference_service, training_job
from support.operator import NAMESPACE, give_up_the_lease, replaced
from support.processes import kill_operators
from support.rowstream import Caller, next_window, reachable

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.alone,
    pytest.mark.usefixtures("operator"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(kind.engine_answers(), reason="a Service of kind cannot be reached from this host"),
]

WINDOW = 20


def test_runs_of_a_schedule_and_counts_of_a_window_survive_power_cuts(kubectl: Kubectl) -> None:
    data = {"uri": "configmap://numbers/rows.csv", "target": "label"}
    sklearn = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {}}
    kubectl.apply(
        config_map("numbers", rows_csv=table(400)),
        training_job("timed", data=data, sklearn=sklearn, triggers={"schedule": "* * * * *"}),
        inference_service(
            "counted", track="timed", monitoring={"drift": {"windowSeconds": WINDOW, "minSamples": 50}}
        ),
    )
    kubectl.condition("mwisvc", "counted", "Ready", "True", within=240)
    first = ran(kubectl)

    for _ in range(2):
        until_second(55)
        power_cut()
    kubectl.wait("trainingjob", "timed", lambda found: len(ran(kubectl)) >= len(first) + 3, within=150)

    times = ran(kubectl)
    assert len(times) == len(set(times)), times
    numbers = sorted(int(job["metadata"]["name"].rpartition("-")[2]) for job in jobs(kubectl))
    assert numbers == list(range(1, numbers[-1] + 1))
    assert times == consecutive_minutes(times)
    counted_once(kubectl)
    replaced()


def counted_once(kubectl: Kubectl) -> None:
    """Rows of a window in whose middle the operator is ended are counted once."""
    address = reachable(kubectl.get("service", "counted")["spec"]["clusterIP"])
    draw, window = drawing(10**6), next_window(WINDOW, 15)
    with Caller(address, "counted") as caller:
        for turn in range(30):
            caller.ask(draw(10))
            if turn == 15:
                power_cut()
            time.sleep(0.1)
    assert time.time() // WINDOW == window
    start = datetime.fromtimestamp(window * WINDOW, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def shows(found: Object) -> bool:
        return bool((found["status"].get("monitoring") or {}).get("windowStart") == start)

    found = kubectl.wait("mwisvc", "counted", shows, within=90)
    assert (found["status"]["monitoring"]["rows"], found["status"]["monitoring"]["requests"]) == (300, 30)


def power_cut() -> None:
    """Ends the operator; another of its pods may lead at once."""
    kill_operators(NAMESPACE)
    give_up_the_lease()


def until_second(second: int) -> None:
    """Waits for this second of a minute."""
    time.sleep((second - time.time()) % 60)


def jobs(kubectl: Kubectl) -> list[Object]:
    """Of all runs."""
    return kubectl.all("job", "modelwright.dev/training-job=timed")


def ran(kubectl: Kubectl) -> list[str]:
    """The times of the schedule that have started a run, the oldest first."""
    triggers = kubectl.get("trainingjob", "timed")["status"].get("triggers") or {}
    made = [triggers["lastDecision"], *triggers.get("history", [])] if "lastDecision" in triggers else []
    started = [each for each in made if each["trigger"] == "Schedule" and each["outcome"] == "Started"]
    return sorted(each["evidence"]["scheduleTime"] for each in started)


def consecutive_minutes(times: list[str]) -> list[str]:
    """As many minutes from the first on."""
    begin = datetime.fromisoformat(times[0]).timestamp()
    return [
        datetime.fromtimestamp(begin + 60 * number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for number in range(len(times))
    ]
