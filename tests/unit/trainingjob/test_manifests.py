"""The Job of a run reads its data from where the spec says, however it says so."""

from __future__ import annotations

import json
from typing import Any

from unit.given.resources import RECIPE, a_training_job, a_world

from modelwright.common.settings import Settings
from modelwright.trainingjob.manifests import job_manifest
from modelwright.trainingjob.observed import observe

SETTINGS = Settings(serving_image="serving:1", training_image="training:1")


def pod(**data: Any) -> dict[str, Any]:
    """The pod that trains on this data."""
    source = {"target": "churned", **data}
    job = a_training_job(a_world(), data=source, trainer=RECIPE["trainer"]).settles()
    observed = observe(job.world.cache, job.key)
    assert observed is not None
    assert observed.run is not None
    found: dict[str, Any] = job_manifest(observed, observed.run, SETTINGS)["spec"]["template"]["spec"]
    return found


def test_a_config_map_that_a_field_names_is_the_one_that_its_uri_names() -> None:
    by_field = pod(configMapRef={"name": "churn-data", "key": "churn.csv"})
    assert by_field == pod(uri="configmap://churn-data/churn.csv")
    assert {"name": "source", "configMap": {"name": "churn-data", "optional": True}} in by_field["volumes"]


def test_only_fetch_gets_what_may_be_secret_in_an_address() -> None:
    found = pod(uri="https://data.example.com/churn.csv?X-Amz-Signature=SECRET")
    containers = [*found["initContainers"], *found["containers"]]
    assert ["SECRET" in json.dumps(each) for each in containers] == [True, False, False]
