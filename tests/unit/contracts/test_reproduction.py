"""What `modelwright reproduce` prints makes the same model: through the operator, and the real steps of its pods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.given.resources import a_training_job, a_world
from unit.training.pod import Pod, churn

from modelwright.common.resources import MODEL_VERSIONS
from modelwright.engine.objects import Body
from modelwright.view.reproduction import lines
from modelwright.view.version import read_version

STEPS = ("fetch", "train", "publish")
DATA = {"uri": "configmap://rows/rows.csv", "target": "y"}
SPECS: dict[str, dict[str, Any]] = {
    "linear": {
        "data": {**DATA, "exclude": ["fee (EUR)"], "holdout": {"split": "Stable", "fraction": 0.3}},
        "trainer": {
            "sklearn": {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"C": 0.5}},
            "preprocess": [{"kind": "numeric", "scale": "Robust"}],
        },
    },
    "random": {
        "data": {**DATA, "sample": {"rows": 250, "seed": 3}, "holdout": {"seed": 4}},
        "trainer": {
            "sklearn": {
                "estimator": "sklearn.ensemble.RandomForestClassifier",
                "parameters": {"n_estimators": 5, "max_depth": 3},
            }
        },
        "seed": 11,
    },
}


def made(spec: dict[str, Any], folder: Path, name: str) -> Body:
    """The version that the operator makes of a run whose steps are the real ones."""
    job = a_training_job(a_world(), name, **spec).settles()
    template = job.world.api.objects[job.job_key]["spec"]["template"]
    document = json.loads(template["metadata"]["annotations"]["modelwright.dev/run"])
    document["data"]["uri"] = spec["data"]["uri"]
    steps = Pod(folder, document).given_rows(churn())
    pod = job.pod()
    for step in STEPS:
        ending = steps.run(step)
        assert ending.code == 0, ending.document
        pod.exits(step, 0, steps.paths.termination_log.read_text(), "Completed")
    job.job_completes().settles()
    (version,) = job.all(MODEL_VERSIONS).values()
    return version


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_model_that_is_made_again_has_the_same_digest(spec: dict[str, Any], tmp_path: Path) -> None:
    first = made(spec, tmp_path / "first", "churn")
    again = yaml.safe_load("\n".join(lines(read_version(first))))
    second = made(again["spec"], tmp_path / "second", again["metadata"]["name"])
    assert second["spec"]["artifact"]["digest"] == first["spec"]["artifact"]["digest"]
    assert second["spec"]["model"] == "churn-1-again"
