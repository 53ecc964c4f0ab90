"""With strict checking, a version that callers of the present one could not use is refused before it starts."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given import words
from unit.given.resources import InferenceService, a_served_version, a_version
from unit.given.world import NAMESPACE

from modelwright.api.base import Signature
from modelwright.common.resources import MODEL_VERSIONS
from modelwright.engine.objects import Key
from modelwright.inferenceservice.revision.compatibility import incompatibility

BEFORE: dict[str, Any] = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ],
    "classes": [0, 1],
    "features": ["a", "b", "c", "d"],
}


def told(**changes: Any) -> str | None:
    return incompatibility(Signature.model_validate(BEFORE), Signature.model_validate({**BEFORE, **changes}))


def one(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def dated(written: str | None) -> Signature:
    """A signature with an input of texts, which are dates if `written` says how."""
    day = {**one("day", "BYTES", -1, 1), "format": written}
    return Signature.model_validate({**BEFORE, "inputs": [day], "features": None})


LABEL, PROBABILITIES = BEFORE["outputs"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"inputs": [one("X", "FP32", -1, -1)]},
        {"outputs": [LABEL, PROBABILITIES, one("score", "FP32", -1)]},
        {"classes": [1, 0]},
        {"features": None},
    ],
)
def test_what_takes_at_least_as_much_and_gives_at_least_as_much_fits(changes: dict[str, Any]) -> None:
    assert told(**changes) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"inputs": [one("X", "FP32", -1, 5)]}, "it takes the input X as FP32[-1, 5], not as FP32[-1, 4]"),
        ({"inputs": [one("X", "FP64", -1, 4)]}, "it takes the input X as FP64[-1, 4], not as FP32[-1, 4]"),
        ({"inputs": [*BEFORE["inputs"], one("Y", "FP32", 1)]}, "it asks for the input Y"),
        ({"inputs": [one("Z", "FP32", -1, 4)]}, "it asks for the input Z"),
        ({"outputs": [LABEL]}, "it does not give the output probabilities"),
        (
            {"outputs": [one("label", "BYTES", -1), PROBABILITIES]},
            "it gives the output label as BYTES[-1], not as INT64[-1]",
        ),
        ({"classes": [0, 1, 2]}, "its classes are 0, 1, 2, not 0, 1"),
        ({"features": ["b", "a", "c", "d"]}, "its columns are b, a, c, d, not a, b, c, d"),
        ({"truncated": True}, "one of them is too wide for its signature to be kept whole"),
    ],
)  # fmt: skip
def test_what_callers_could_not_use_is_named(changes: dict[str, Any], why: str) -> None:
    assert told(**changes) == why


def test_what_is_not_known_does_not_fit() -> None:
    assert (
        incompatibility(None, Signature.model_validate(BEFORE)) == "the signature of one of them is not known"
    )


def a_version_with_more_inputs(strict: bool) -> InferenceService:
    service = a_served_version(rollout={"requireCompatibleSignature": strict})
    inputs = [*words.SIGNATURE["inputs"], one("extra", "FP32", -1, 1)]
    version = a_version(service.world, "churn-2", "b").settles()
    version.pod().ends("verify", words.verified("b", signature={**words.SIGNATURE, "inputs": inputs}))
    version.job_completes().settles()
    return service.changes(model={"version": "churn-2"}).settles()


def test_strictly_it_is_refused_and_traffic_stays_where_it_is() -> None:
    service = a_version_with_more_inputs(strict=True)
    assert (service.reason, service.kstatus) == ("IncompatibleSignature", "Failed")
    assert "churn-2 cannot take the place of churn-1: it asks for the input extra" in service.message
    assert (service.version("stable"), service.part("canary")) == ("churn-1", None)
    assert service.condition("Available")["status"] == "True"


def test_otherwise_it_is_rolled_out() -> None:
    assert a_version_with_more_inputs(strict=False).version("canary") == "churn-2"


def test_strictly_nothing_takes_the_place_of_a_version_that_is_not_there_any_more() -> None:
    service = a_served_version(rollout={"requireCompatibleSignature": True})
    service.world.drop(Key(MODEL_VERSIONS, NAMESPACE, "churn-1"))
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    assert service.reason == "IncompatibleSignature"
    assert "the signature of one of them is not known" in service.message
    assert service.version("stable") == "churn-1"


def test_dates_that_are_written_otherwise_do_not_fit() -> None:
    iso, other, text = dated("YYYY-MM-DD"), dated("DD.MM.YYYY"), dated(None)
    assert incompatibility(iso, iso) is incompatibility(iso, text) is None
    told = "it takes the input day as dates written DD.MM.YYYY, not "
    assert incompatibility(iso, other) == f"{told}YYYY-MM-DD"
    assert incompatibility(text, other) == f"{told}as any text"
