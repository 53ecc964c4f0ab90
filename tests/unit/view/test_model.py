"""What the command line reads of an object is what the API has."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from modelwright.api import base, checks, inferenceservice, modelversion
from modelwright.view import model

PAIRS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (model.Spec, inferenceservice.InferenceServiceSpec),
    (model.Status, inferenceservice.InferenceServiceStatus),
    (model.Rollout, inferenceservice.Rollout),
    (model.Step, inferenceservice.Step),
    (model.Traffic, inferenceservice.Traffic),
    (model.Header, inferenceservice.HeaderMatch),
    (model.Check, checks.Check),
    (model.Metric, modelversion.Metric),
    (model.Stable, inferenceservice.StableRevision),
    (model.Canary, inferenceservice.CanaryRevision),
    (model.Retired, inferenceservice.RetiredRevision),
    (model.Decision, inferenceservice.Decision),
    (model.Rejection, inferenceservice.Rejection),
    (model.Condition, base.Condition),
]


@pytest.mark.parametrize(("ours", "api"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_every_field_that_is_read_is_one_of_the_api(ours: type[BaseModel], api: type[BaseModel]) -> None:
    assert set(ours.model_fields) <= set(api.model_fields)
