"""What publish measures is what the operator judges: through the operator, and the real steps of its pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from unit.given.resources import ModelVersion, TrainingJob, a_training_job, a_world
from unit.training.pod import Pod, numbers

DATA = {"uri": "configmap://rows/rows.csv", "target": "y", "holdout": {"fraction": 0.4}}


def estimator(name: str = "linear_model.LogisticRegression", **parameters: Any) -> dict[str, Any]:
    return {"sklearn": {"estimator": f"sklearn.{name}", "parameters": parameters}}


def a_job(**spec: Any) -> TrainingJob:
    return a_training_job(a_world(), **{"data": DATA, "trainer": estimator(), **spec})


def runs(job: TrainingJob, rows: pd.DataFrame, folder: Path, before: Path | None = None) -> ModelVersion:
    """A run from its start to its version. `before`: the folder of the run whose file the Champion is."""
    job.settles()
    template = job.world.api.objects[job.job_key]["spec"]["template"]
    document = json.loads(template["metadata"]["annotations"]["modelwright.dev/run"])
    document["data"]["uri"] = DATA["uri"]
    steps = Pod(folder, document).given_rows(rows)
    if before is not None:
        steps.paths.champion.symlink_to(Pod(before, document).paths.artifacts)
    pod = job.pod()
    for step in ("fetch", "train", "publish"):
        ending = steps.run(step)
        assert ending.code == 0, ending.document
        pod.exits(step, 0, steps.paths.termination_log.read_text(), "Completed")
    job.job_completes().settles()
    return ModelVersion.found(job.world, job.run["modelVersion"]).settles()


def shuffled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(y=np.random.default_rng(1).permutation(rows["y"]))


def verdicts(version: ModelVersion) -> dict[str, tuple[str, str]]:
    return {gate["name"]: (gate["verdict"], gate["reason"]) for gate in version.status["gates"]}


def test_a_model_that_has_learnt_something_is_ready_without_a_line_of_yaml(tmp_path: Path) -> None:
    version = runs(a_job(), numbers(), tmp_path)

    assert version.is_ready
    assert verdicts(version) == {
        "better-than-baseline": ("Pass", "WithinLimit"),
        "not-worse-than-champion": ("Pass", "NoChampion"),
    }
    assert version.condition("Validated")["reason"] == "GatesPassed"
    assert version.status["gates"][0]["metric"] == "roc_auc"


def test_a_model_of_shuffled_labels_is_not_ready_and_says_so_with_both_numbers(tmp_path: Path) -> None:
    version = runs(a_job(), shuffled(numbers()), tmp_path)

    assert version.reason in {"GateInconclusive", "GateFailed"}
    value = next(metric["value"] for metric in version.status["metrics"] if metric["name"] == "roc_auc")
    assert f"roc_auc {value:.4g} is not" in version.message
    assert "above the baseline's 0.5" in version.message
    assert "modelwright approve churn-1 --override" in version.message


def test_one_field_turns_the_default_gates_off(tmp_path: Path) -> None:
    assert runs(a_job(defaultGates="Disabled"), shuffled(numbers()), tmp_path).is_ready


@pytest.mark.parametrize(
    ("trainer", "verdict"),
    [
        (estimator("naive_bayes.GaussianNB"), "Inconclusive"),
        (estimator("tree.DecisionTreeClassifier", max_depth=1), "Fail"),
    ],
)
def test_the_next_model_is_compared_with_the_champion(
    tmp_path: Path, trainer: dict[str, Any], verdict: str
) -> None:
    job = a_job()
    assert runs(job, numbers(), tmp_path / "first").is_ready

    second = runs(job.changes(trainer=trainer), numbers(), tmp_path / "second", tmp_path / "first")

    gate = next(each for each in second.status["gates"] if each["name"] == "not-worse-than-champion")
    assert (gate["against"], gate["verdict"]) == ("churn-1", verdict)
    assert second.is_ready is (verdict != "Fail")


def test_each_kind_of_gate_gets_a_number(tmp_path: Path) -> None:
    rows = numbers(600).assign(region=["eu", "us"] * 300, sex=["f", "m", "m"] * 200)
    gates: list[dict[str, Any]] = [
        {"metric": "roc_auc", "min": 0.9},
        {"metric": "log_loss", "against": "Baseline", "maxChange": -0.1},
        {"metric": "recall", "slice": {"region": "eu"}, "min": 0.6},
        {"metric": "demographic_parity_ratio", "sensitiveFeature": "sex", "min": 0.3},
        {"metric": "roc_auc", "split": "Train", "maxGap": 0.1},
        {"metric": "expected_calibration_error", "max": 0.3},
        {"metric": "p50_latency_seconds", "max": 1},
    ]
    data = {**DATA, "holdout": {"fraction": 0.4, "extraColumns": ["region", "sex"]}}

    version = runs(a_job(data=data, gates=gates), rows, tmp_path)

    assert {name: verdict for name, (verdict, _) in verdicts(version).items()} == dict.fromkeys(
        [*(f"gate-{place}" for place in range(1, 8)), "better-than-baseline", "not-worse-than-champion"],
        "Pass",
    )
    assert version.is_ready
