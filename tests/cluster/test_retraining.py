"""What starts a run and what holds it back, on the real cluster; each test has a TrainingJob of its own."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from cluster import kind
from support.commandline import CommandLine, bound, ended
from support.correlated import drawing, table
from support.kubectl import Kubectl, Object, condition
from support.manifests import config_map, inference_service, training_job
from support.rowstream import reachable, streaming

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 1.0}}
# A tree of one question answers otherwise than the model above.
STUMP = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 1}}
# Refused by scikit-learn when it begins to learn.
BROKEN = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": -1.0}}
PROBE_SECONDS = 60
EACH_MINUTE = {"schedule": "* * * * *"}


def recipe(name: str, sklearn: Object | None = None, data: str = "numbers", **spec: Any) -> Object:
    """A TrainingJob."""
    source = {"uri": f"configmap://{data}/rows.csv", "target": "label"}
    return training_job(name, data=source, sklearn=sklearn or LINEAR, backoffLimit=0, **spec)


@pytest.fixture(scope="module")
def begun(shared: Kubectl) -> Kubectl:
    """The namespace with the data, and all TrainingJobs after their first run; the data of `fresh` has changed."""
    shared.apply(config_map("numbers", rows_csv=table(300)), config_map("growing", rows_csv=table(300)))
    shared.apply(
        recipe("fresh", data="growing", triggers={"onDataChange": {"intervalSeconds": PROBE_SECONDS}}),
        recipe("guarded"),
        recipe("same", triggers=EACH_MINUTE, brakes={"maxRunsPerDay": 2}),
        recipe("broken", BROKEN, triggers=EACH_MINUTE, brakes={"suspendAfterFailures": 2}),
    )
    shared.condition("trainingjob", "fresh", "Ready", "True", within=180)
    shared.apply(config_map("growing", rows_csv=table(400)))
    for name in ("guarded", "same"):
        shared.condition("trainingjob", name, "Ready", "True", within=180)
    return shared


@pytest.fixture
def user(begun: Kubectl, tmp_path: Path) -> CommandLine:
    return bound(begun.namespace, tmp_path)


def run_of(found: Object) -> Object:
    """The newest run."""
    run: Object = found["status"]["run"]
    return run


def ran(kubectl: Kubectl, name: str, number: int, state: str, within: float = 120) -> Object:
    """Waits until a TrainingJob's newest run is this one, and ended so."""

    def ended_so(found: Object) -> bool:
        run = run_of(found)
        return bool(run["number"] == number and run["state"] == state)

    return kubectl.wait("trainingjob", name, ended_so, within=within, what=f"{state} in run {number}")


def by_hand(kubectl: Kubectl, name: str) -> None:
    """Asks for a run, as `modelwright run` does."""
    kubectl.run("annotate", "--overwrite", "trainingjob", name, f"modelwright.dev/run={uuid.uuid4().hex}")


def decision(found: Object) -> Object:
    """The last one."""
    made: Object = (found["status"].get("triggers") or {}).get("lastDecision") or {}
    return made


def started(kubectl: Kubectl, run: str) -> set[str]:
    """The containers of a run's pod that were started, as events say it: the pod itself may be gone."""
    places = [
        event["involvedObject"].get("fieldPath", "")
        for event in kubectl.all("events")
        if event["involvedObject"]["name"].startswith(f"{run}-") and event["reason"] == "Started"
    ]
    return {place.rpartition("{")[2].rstrip("}") for place in places}


@pytest.mark.skipif(kind.engine_answers(), reason="a Service of kind cannot be reached from this host")
def test_a_model_that_was_rolled_back_is_not_served_again_when_it_is_made_again(begun: Kubectl) -> None:
    rollout = {
        "strategy": "Canary",
        "steps": [{"weight": 0, "mirror": 100, "holdSeconds": 1}],
        "analysis": {"minAgreement": 0.98, "minSamples": 20},
        "scaleDownDelaySeconds": 1,
    }
    begun.apply(inference_service("guarded", track="guarded", rollout=rollout))
    begun.condition("mwisvc", "guarded", "Ready", "True", within=120)
    address = reachable(begun.get("service", "guarded")["spec"]["clusterIP"])
    with streaming(address, "guarded", drawing(10**6), size=1, pause=0.05) as stream:
        begun.apply(recipe("guarded", STUMP))
        begun.condition("modelversion", "guarded-2", "Quarantined", "True", within=150)
        begun.apply(recipe("guarded", LINEAR))
        begun.wait("trainingjob", "guarded", lambda found: run_of(found)["number"] == 3)
        begun.condition("trainingjob", "guarded", "Ready", "True", within=120)
        begun.apply(recipe("guarded", STUMP))
        begun.wait("trainingjob", "guarded", lambda found: run_of(found)["number"] == 4)
        begun.condition("modelversion", "guarded-4", "Quarantined", "True", within=120)
        service = begun.condition("mwisvc", "guarded", "Ready", "True", within=60)

    digests = {
        name: begun.get("mv", name)["spec"]["artifact"]["digest"] for name in ("guarded-2", "guarded-4")
    }
    assert digests["guarded-2"] == digests["guarded-4"]
    assert service["status"]["stable"]["version"] in {"guarded-1", "guarded-3"}
    assert "canary" not in service["status"]
    assert stream.failures == []


def test_changed_data_is_found_without_reading_it(begun: Kubectl) -> None:
    ran(begun, "fresh", 2, "Succeeded", within=180)

    found = begun.condition("trainingjob", "fresh", "Ready", "True")
    cause = run_of(found)["cause"]
    assert cause["trigger"] == "DataChange"
    assert cause["evidence"]["marker"] == found["status"]["triggers"]["marker"]
    assert begun.get("modelversion", "fresh-2")["spec"]["lineage"]["cause"]["trigger"] == "DataChange"
    assert run_of(found)["data"]["trainRows"] == 320


def test_a_run_that_finds_the_same_data_ends_before_it_trains(begun: Kubectl) -> None:
    found = ran(begun, "same", 2, "Skipped")

    assert run_of(found)["cause"]["trigger"] == "Schedule"
    assert "DataUnchanged" in str(run_of(found)), run_of(found)
    assert condition(found, "Ready")["status"] == "True"  # type: ignore[index]
    assert begun.find("modelversion", "same-2") is None
    assert started(begun, "same-2") == {"fetch"}


def test_more_runs_than_a_day_may_have_are_not_started(begun: Kubectl) -> None:
    found = begun.wait("trainingjob", "same", lambda found: decision(found).get("reason") == "MaxRunsPerDay")

    assert decision(found)["outcome"] == "Skipped"
    assert run_of(found)["number"] == 2


def test_a_run_by_hand_while_another_is_under_way_does_not_start(begun: Kubectl, user: CommandLine) -> None:
    before = run_of(begun.get("trainingjob", "same"))["number"]
    ended(user.start("run", "same"), 0)
    begun.wait("trainingjob", "same", lambda found: run_of(found)["number"] == before + 1)

    assert "concurrencyPolicy is Forbid" in ended(user.start("run", "same"), 1)

    found = begun.wait("trainingjob", "same", lambda found: decision(found).get("reason") == "ConcurrentRun")
    assert decision(found)["outcome"] == "Skipped"
    done = ran(begun, "same", before + 1, "Succeeded")
    assert run_of(done)["cause"]["trigger"] == "Manual"


def test_a_broken_recipe_is_suspended_and_goes_on_when_it_is_mended(begun: Kubectl) -> None:
    found = begun.condition("trainingjob", "broken", "TriggersActive", "False", "FailuresInARow", within=200)
    assert found["status"]["triggers"]["suspended"]
    failed = run_of(found)["number"]
    assert failed in {3, 4}  # the first one was of no trigger

    begun.apply(recipe("broken", LINEAR, brakes={"suspendAfterFailures": 2}))

    found = begun.condition("trainingjob", "broken", "Ready", "True", within=90)
    assert (run_of(found)["number"], run_of(found)["cause"]["trigger"]) == (failed + 1, "SpecChange")
    assert not found["status"]["triggers"].get("suspended")
    assert not found["status"]["triggers"].get("failuresInARow")
