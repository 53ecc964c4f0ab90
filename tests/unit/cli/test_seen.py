"""What the command line reads of an object is what the API has."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from modelwright.api import base, inferenceservice
from modelwright.cli import seen

PAIRS: list[tuple[type[BaseModel], type[BaseModel]]] = [
    (seen.Spec, inferenceservice.InferenceServiceSpec),
    (seen.Status, inferenceservice.InferenceServiceStatus),
    (seen.Rollout, inferenceservice.Rollout),
    (seen.Step, inferenceservice.Step),
    (seen.Traffic, inferenceservice.Traffic),
    (seen.Header, inferenceservice.HeaderMatch),
    (seen.Stable, inferenceservice.StableRevision),
    (seen.Canary, inferenceservice.CanaryRevision),
    (seen.Retired, inferenceservice.RetiredRevision),
    (seen.Decision, inferenceservice.Decision),
    (seen.Rejection, inferenceservice.Rejection),
    (seen.Condition, base.Condition),
]


@pytest.mark.parametrize(("ours", "api"), PAIRS, ids=[ours.__name__ for ours, _ in PAIRS])
def test_every_field_that_is_read_is_one_of_the_api(ours: type[BaseModel], api: type[BaseModel]) -> None:
    assert set(ours.model_fields) <= set(api.model_fields)
