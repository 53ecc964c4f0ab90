"""What the cluster's objects say of a model, and the same model made again from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from support.commandline import CommandLine, bound, ended
from support.kubectl import Kubectl
from support.manifests import training_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]


@pytest.fixture(scope="module")
def trained(shared: Kubectl) -> Kubectl:
    """The namespace, with the version `cancer-1`."""
    shared.apply(training_job("cancer", seed=3))
    shared.condition("trainingjob", "cancer", "Ready", "True", within=180)
    return shared


@pytest.fixture
def user(trained: Kubectl, tmp_path: Path) -> CommandLine:
    return bound(trained.namespace, tmp_path)


def test_the_object_alone_is_the_evidence(trained: Kubectl, user: CommandLine) -> None:
    version = trained.get("modelversion", "cancer-1")
    card = ended(user.start("card", "cancer-1"), 0)
    for fact in (
        version["spec"]["artifact"]["digest"],
        version["spec"]["lineage"]["data"][0]["digest"],
        version["spec"]["lineage"]["images"][1]["imageID"].rpartition("sha256:")[2],
        "better-than-baseline",
        "seed of the training: 3",
    ):
        assert fact in card, fact
    document = ended(user.start("card", "cancer-1", "--bom"), 0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
    listed = json.loads(ended(user.start("models", "cancer", "-o", "json"), 0))["cancer"]
    assert [(each["name"], each["digest"]) for each in listed] == [
        ("cancer-1", version["spec"]["artifact"]["digest"])
    ]


def test_the_model_is_made_again_with_the_same_digest(trained: Kubectl, user: CommandLine) -> None:
    job = yaml.safe_load(ended(user.start("reproduce", "cancer-1"), 0))
    trained.apply(job)
    trained.condition("trainingjob", job["metadata"]["name"], "Ready", "True", within=180)
    first, again = (trained.get("modelversion", name) for name in ("cancer-1", "cancer-1-again-1"))
    assert again["spec"]["artifact"]["digest"] == first["spec"]["artifact"]["digest"]
    assert again["spec"]["model"] != first["spec"]["model"]
    assert again["spec"].get("gates") == first["spec"].get("gates")
