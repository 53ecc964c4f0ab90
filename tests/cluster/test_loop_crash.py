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

    until_second(55)
    power_cut()
    counted_once(kubectl)
    until_second(55)
    power_cut()
    kubectl.wait("trainingjob", "timed", lambda _: len(ran(kubectl)) >= 3, within=150)

    started = ran(kubectl)
    times = [each["evidence"]["scheduleTime"] for each in started]
    assert times == consecutive_minutes(times[0], len(times))
    assert [each["run"] for each in started] == list(range(2, 2 + len(times)))
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
    """Ends the operator. Fresh pods of it start at once: the kubelet lets those wait that were ended before."""
    kill_operators(NAMESPACE)
    selector = "--selector=app.kubernetes.io/component=operator"
    Kubectl(NAMESPACE).run("delete", "pods", selector, "--force", "--grace-period=0")
    give_up_the_lease()


def until_second(second: int) -> None:
    """Waits for this second of a minute."""
    time.sleep((second - time.time()) % 60)


def ran(kubectl: Kubectl) -> list[Object]:
    """The decisions that have started a run by the schedule, the oldest first."""
    triggers = kubectl.get("trainingjob", "timed")["status"].get("triggers") or {}
    made = [triggers["lastDecision"], *triggers.get("history", [])] if "lastDecision" in triggers else []
    return [each for each in reversed(made) if (each["trigger"], each["outcome"]) == ("Schedule", "Started")]


def consecutive_minutes(first: str, count: int) -> list[str]:
    """So many minutes from the first on."""
    begin = datetime.fromisoformat(first).timestamp()
    return [
        datetime.fromtimestamp(begin + 60 * number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for number in range(count)
    ]
