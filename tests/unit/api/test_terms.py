"""The digest of what a ModelVersion has to hold."""

from __future__ import annotations

import pytest

from modelwright.api.rundocument import terms_hash

GATE = {"name": "gate-1", "metric": "roc_auc", "min": 0.9, "minSamples": 30}
SPEC: dict[str, object] = {
    "model": "churn",
    "gates": [GATE],
    "defaultGates": "Disabled",
    "onInconclusive": "Hold",
    "approval": {"required": 2},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"gates": [{**GATE, "min": 0.1}]},
        {"gates": [GATE, {"name": "gate-2", "metric": "f1", "min": 0.5}]},
        {"gates": []},
        {"defaultGates": "Enabled"},
        {"onInconclusive": "Allow"},
        {"approval": {"required": 1}},
        {"approval": {"required": 2, "excludeAuthor": True}},
        {"approval": None},
    ],
)
def test_other_terms_have_another_digest(changed: dict[str, object]) -> None:
    assert terms_hash({**SPEC, **changed}) != terms_hash(SPEC)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SPEC, {**SPEC, "model": "else", "approvals": [{"by": "eve"}]}),
        ({"gates": [{"min": 1}]}, {"gates": [{"min": 1.0, "max": None}]}),
        ({"approval": None, "gates": []}, {}),
        ({"gates": [{"metric": "f1", "min": 0}]}, {"gates": [{"min": 0.0, "metric": "f1"}]}),
    ],
)
def test_equal_terms_have_the_same_digest(one: dict[str, object], other: dict[str, object]) -> None:
    assert terms_hash(one) == terms_hash(other)


def test_zero_is_no_absent_limit() -> None:
    assert terms_hash({"gates": [{"min": 0}]}) != terms_hash({"gates": [{}]})
    assert terms_hash({"gates": [{"min": False}]}) != terms_hash({"gates": [{"min": None}]})
