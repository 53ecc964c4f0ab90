"""The longest names that the CRDs take: all that is made for such an object has a name and labels that fit."""

from __future__ import annotations

import pytest
from unit.given.resources import a_service, a_training_job, a_version, a_world

from modelwright.api import inferenceservice, modelversion, trainingjob
from modelwright.api.crd import RESOURCES

LIMITS = {"TrainingJob": 50, "ModelVersion": 56, "InferenceService": 44}


@pytest.mark.parametrize("kind", LIMITS)
def test_the_crd_bounds_the_name(kind: str) -> None:
    (resource,) = [found for found in RESOURCES if found.kind == kind]
    assert f"at most {LIMITS[kind]} characters" in resource.name_rules[0]["message"]


def test_a_training_job_with_the_longest_name_ends_in_a_version() -> None:
    job = a_training_job(a_world(), "a" * trainingjob.NAME_LENGTH).succeeds()
    assert job.versions == ["a" * trainingjob.NAME_LENGTH + "-1"]


def test_the_longest_run_names_a_version_that_is_taken() -> None:
    assert trainingjob.NAME_LENGTH + len("-99999") == modelversion.NAME_LENGTH


def test_a_version_with_the_longest_name_is_verified() -> None:
    version = a_version(a_world(), "a" * modelversion.NAME_LENGTH).is_verified()
    assert version.is_ready


def test_an_inference_service_with_the_longest_name_is_served_and_gets_a_canary() -> None:
    world = a_world()
    a_version(world, "churn-1").is_verified()
    rollout = {"strategy": "Canary", "steps": [{"weight": 10}]}
    service = a_service(world, "churn-1", "a" * inferenceservice.NAME_LENGTH, rollout=rollout).serves()
    a_version(world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles().has_ready(1).settles()
    assert service.version("canary") == "churn-2"
