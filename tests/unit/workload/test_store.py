"""How a uri names a claim and a path, and the claim that is made where none is named."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.common.settings import ClaimSettings, Settings
from modelwright.workload.store import claim_of, default_claim, store_uri


@pytest.mark.parametrize(
    ("uri", "claim"),
    [
        ("pvc://lake", "lake"),
        ("pvc://lake/", "lake"),
        ("pvc://lake/2026/churn.csv", "lake"),
        ("pvc://team-a/pvc://x", "team-a"),
    ],
)
def test_the_claim_is_what_stands_before_the_path(uri: str, claim: str) -> None:
    assert claim_of(uri) == claim


@pytest.mark.parametrize(
    ("administrators", "users", "folder"),
    [
        (None, None, "pvc://modelwright-artifacts/churn"),
        ("pvc://shared/models", None, "pvc://shared/models/churn"),
        (None, "pvc://own/risk", "pvc://own/risk"),
        ("pvc://shared/models", "pvc://own/risk", "pvc://own/risk"),
    ],
)
def test_models_go_where_the_user_says_or_else_to_a_folder_of_the_family(
    administrators: str | None, users: str | None, folder: str
) -> None:
    settings = Settings(serving_image="serving:1", training_image="training:1", artifacts_uri=administrators)

    assert store_uri(settings, "churn", users) == folder


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        (ClaimSettings(), {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}),
        (
            ClaimSettings(size="1Ti", storage_class="nfs", access_mode="ReadWriteMany"),
            {
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Ti"}},
                "storageClassName": "nfs",
            },
        ),
        (
            ClaimSettings(storage_class=""),
            {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}},
                "storageClassName": "",
            },
        ),
    ],
    ids=["defaults", "all set", "no class at all, which is not the default class"],
)
def test_the_claim_that_is_made(settings: ClaimSettings, spec: dict[str, Any]) -> None:
    claim = default_claim(settings, "team")

    assert claim.body["spec"] == spec
    assert claim.shared, "one that is there already will do"
    assert "ownerReferences" not in claim.body["metadata"], "it outlives every object"
