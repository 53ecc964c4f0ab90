"""Gates on a real cluster: what is not good enough is kept, says why, and never has traffic."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.kubectl import Kubectl, Object, condition, message
from support.manifests import config_map, inference_service, training_job
from support.people import Person

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

FOREST = {
    "estimator": "sklearn.ensemble.RandomForestClassifier",
    "parameters": {"n_estimators": 20, "max_depth": 3},
}


def table(*, shuffled: bool) -> str:
    """Customers: those with many tickets leave, or, shuffled, any of them."""
    draw = random.Random(7)
    lines = []
    for _ in range(600):
        tickets, age = draw.randint(0, 9), draw.randint(18, 80)
        leaves = tickets + draw.gauss(0, 2) > 5
        lines.append([tickets, age, int(leaves)])
    labels = [line[2] for line in lines]
    if shuffled:
        draw.shuffle(labels)
    rows = [f"{tickets},{age},{label}" for (tickets, age, _), label in zip(lines, labels, strict=True)]
    return "\n".join(["tickets,age,left", *rows]) + "\n"


def run(name: str, source: str = "good", holdout: Object | None = None, **spec: Any) -> Object:
    data = {
        "uri": f"configmap://{source}/data.csv", "target": "left", "holdout": holdout or {"fraction": 0.3},
    }  # fmt: skip
    asked = {"model": "churn", "defaultGates": "Enabled", **spec}
    return training_job(name, **asked, data=data, sklearn=FOREST)


def gates(kubectl: Kubectl, version: str) -> dict[str, Object]:
    return {gate["name"]: gate for gate in kubectl.get("modelversion", version)["status"]["gates"]}


@pytest.fixture(scope="module")
def team(shared: Kubectl) -> Kubectl:
    """A namespace where `good-1` serves, and three more runs have been asked for."""
    shared.apply(*(config_map(name, data_csv=table(shuffled=name == "bad")) for name in ("good", "bad")))
    shared.apply(run("good"), inference_service("churn", track="churn"))
    shared.condition("mwisvc", "churn", "Ready", "True", "Serving", within=180)
    strict = {"name": "strict", "metric": "roc_auc", "min": 0.999}
    shared.apply(
        run("shuffled", "bad"),
        run("worse", "bad", {"uri": "configmap://good/data.csv"}),
        run("strict", model="strict", gates=[strict]),
        run("better", seed=1),
    )
    return shared


def test_a_model_on_shuffled_labels_is_not_ready_and_says_why(team: Kubectl) -> None:
    version = team.condition("modelversion", "shuffled-1", "Ready", "False", within=240)
    found = gates(team, "shuffled-1")["better-than-baseline"]

    assert found["verdict"] != "Pass"
    said = message(version, "Ready")
    assert f"roc_auc {found['measured']:.4g} is not " in said
    assert f"the baseline's {found['reference']:.4g}" in said
    assert "modelwright approve shuffled-1 --override" in said
    assert "defaultGates: Disabled in TrainingJob shuffled" in said
    validated = condition(version, "Validated")
    assert validated
    assert validated["status"] != "True"


def test_a_model_that_is_worse_than_the_champion_never_has_traffic(team: Kubectl) -> None:
    job = team.condition("trainingjob", "worse", "Ready", "False", "GateFailed", within=240)
    team.apply(inference_service("named", version="worse-1"))
    named = team.condition("mwisvc", "named", "Ready", "False", "ModelNotReady", within=60)

    version, found = team.get("modelversion", "worse-1"), gates(team, "worse-1")["not-worse-than-champion"]
    assert (found["against"], found["verdict"]) == ("good-1", "Fail")
    assert found["high"] < 0
    for number in (found["measured"], found["reference"]):
        assert f"{number:.4g}" in message(version, "Ready")
    assert message(job, "Ready") == (
        f"run 1 made ModelVersion worse-1, which is not Ready: {message(version, 'Ready')}"
    )
    assert job["status"]["run"]["champion"]["name"] == "good-1"
    assert condition(job, "Stalled")
    assert "GateFailed" in message(named, "Ready")
    assert not team.all("deployment", "modelwright.dev/inference-service=named")
    served = team.get("mwisvc", "churn")["status"]
    assert "worse-1" not in str([served.get(role) for role in ("stable", "canary", "retired")])


def test_a_good_one_is_compared_with_the_champion_and_takes_over(team: Kubectl) -> None:
    team.condition("trainingjob", "better", "Ready", "True", "RunSucceeded", within=240)

    def took_over(service: Object) -> bool:
        return bool((service["status"].get("stable") or {}).get("version") == "better-1")

    service = team.wait("mwisvc", "churn", took_over, within=60, what="served by better-1")
    compared = gates(team, "better-1")["not-worse-than-champion"]
    assert (compared["against"], compared["verdict"] != "Fail") == ("good-1", True)
    assert compared["samples"] == 180
    assert gates(team, "better-1")["better-than-baseline"]["verdict"] == "Pass"
    assert service["status"]["stable"]["previous"] == "good-1"

    def has(alias: str) -> Callable[[Object], object]:
        return lambda version: alias in version["status"].get("aliases", [])

    team.wait("modelversion", "better-1", has("Champion"), within=60, what="the Champion")
    team.wait("modelversion", "good-1", has("Previous"), within=60, what="the one before")


def test_a_gate_of_ones_own_fails_and_an_override_lets_the_model_through(team: Kubectl) -> None:
    team.condition("trainingjob", "strict", "Ready", "False", "GateFailed", within=240)
    found = gates(team, "strict-1")["strict"]
    assert (found["verdict"], found["threshold"]) == ("Fail", 0.999)

    said = {"by": "ann", "decision": "Approve", "override": True, "reason": "good enough for the test"}
    Person(team.namespace, "ann", ("system:masters",)).patch(
        "modelversion", "strict-1", {"spec": {"approvals": [said]}}
    )
    version = team.condition("modelversion", "strict-1", "Ready", "True", within=60)
    assert "ann" in message(version, "Ready")
    team.condition("trainingjob", "strict", "Ready", "True", "RunSucceeded", within=60)
    assert gates(team, "strict-1")["strict"]["verdict"] == "Fail", "what was measured stays"
