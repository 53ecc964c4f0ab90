"""A ModelVersion holds what of the spec has made it, and nothing that may be secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.given.resources import RECIPE, a_training_job, a_world

from modelwright.api.rundocument import run_document
from modelwright.common.resources import MODEL_VERSIONS

EVERYTHING: dict[str, Any] = {
    "task": "Classification",
    "seed": 7,
    "data": {
        "uri": "https://user:pw@data.example.com/churn.csv?X-Amz-Signature=SECRET#SECRET",
        "caConfigMapRef": {"name": "ca-bundle", "key": "ca.pem"},
        "target": "churned",
        "exclude": ["id"],
        "schema": {"age": {"type": "integer", "min": 0}},
        "holdout": {"uri": "https://data.example.com/later.csv?SECRET", "extraColumns": ["region"]},
    },
    "trainer": RECIPE["trainer"],
    "resources": {"limits": {"cpu": "2"}},
    "activeDeadlineSeconds": 600,
}


def made(**spec: Any) -> dict[str, Any]:
    """The spec of the version that a run of this recipe makes."""
    job = a_training_job(a_world(), **spec).succeeds()
    found: dict[str, Any] = job.all(MODEL_VERSIONS)["churn-1"]["spec"]
    return found


def documented(spec: dict[str, Any]) -> dict[str, Any]:
    """The run document of a spec, without its gates."""
    document = run_document(spec, namespace="n", name="churn", run=1, artifacts="pvc://a")
    return {key: value for key, value in document.items() if key != "gates"}


def test_the_recipe_gives_the_run_document_again() -> None:
    job = a_training_job(a_world(), **EVERYTHING).succeeds()
    recipe = job.all(MODEL_VERSIONS)["churn-1"]["spec"]["lineage"]["recipe"]
    assert documented(recipe) == documented(job.body["spec"])
    assert recipe["data"]["uri"] == "https://data.example.com/churn.csv"
    assert recipe["data"]["holdout"]["uri"] == "https://data.example.com/later.csv"
    assert recipe["data"]["caConfigMapRef"] == {"name": "ca-bundle", "key": "ca.pem"}
    assert (recipe["resources"], recipe["activeDeadlineSeconds"]) == ({"limits": {"cpu": "2"}}, 600)


def test_nothing_that_may_be_secret_is_kept() -> None:
    variables = {"EPOCHS": "10", "API_KEY": "SECRET", "DB": "postgres://u:SECRET@db/x", "EMPTY": ""}
    env = [{"name": name, "value": value} for name, value in variables.items()]
    code = {"repository": "https://x-access-token:SECRET@example.com/team/train", "revision": "4f2a9c1"}
    trainer = {"image": "team/train:1", "command": ["train"], "args": ["--deep"], "env": env, "code": code}
    lineage = made(**{**EVERYTHING, "trainer": trainer})["lineage"]
    assert "SECRET" not in json.dumps(lineage)
    public = {**code, "repository": "https://example.com/team/train"}
    assert lineage["code"] == public
    assert lineage["recipe"]["trainer"] == {
        **trainer,
        "code": public,
        "env": [
            {"name": "EPOCHS", "value": "10"},
            {"name": "API_KEY"},
            {"name": "DB"},
            {"name": "EMPTY", "value": ""},
        ],
    }


def test_the_recipe_is_that_of_the_job_when_the_spec_has_changed_since() -> None:
    job = a_training_job(a_world(), seed=7).settles()
    job.pod().finishes()
    job.job_completes()
    job.changes(data={"uri": "configmap://other/churn.csv", "target": "other"}, seed=8)
    job.settles()
    recipe = job.all(MODEL_VERSIONS)["churn-1"]["spec"]["lineage"]["recipe"]
    assert (recipe["seed"], recipe["data"]["target"]) == (7, "churned")


@pytest.mark.parametrize(("columns", "kept"), [(10, True), (1000, False)])
def test_a_recipe_of_more_than_64_kb_is_left_out(columns: int, kept: bool) -> None:
    rules = {f"{place}{'x' * 200}": {"type": "number"} for place in range(columns)}
    assert ("recipe" in made(data={**RECIPE["data"], "schema": rules})["lineage"]) == kept
