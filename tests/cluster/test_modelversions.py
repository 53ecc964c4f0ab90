"""ModelVersions whose files come late, and ModelVersions that somebody deletes while they are served."""

from __future__ import annotations

import hashlib

import pytest
from support.handmade import fill, versions
from support.kubectl import Kubectl, KubectlError, condition, message
from support.manifests import claim, inference_service, model_version
from support.models import valid_model

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]


def test_a_file_that_comes_after_its_version_is_waited_for(kubectl: Kubectl) -> None:
    content = valid_model()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    kubectl.apply(model_version("late", "pvc://handmade/late/model.onnx", digest))
    no_claim = kubectl.condition("modelversion", "late", "Ready", "False", "ArtifactNotFound")

    kubectl.apply(claim("handmade"))
    no_file = kubectl.wait("modelversion", "late", lambda found: "late/model.onnx" in message(found))
    log = kubectl.run("logs", "job/late-verify")
    fill(kubectl, "fill", {"late": content})
    kubectl.condition("modelversion", "late", "Ready", "True", "Verified", within=180)

    assert "PersistentVolumeClaim handmade of the file is not there" in message(no_claim)
    assert condition(no_file, "Ready")["reason"] == "ArtifactNotFound"  # type: ignore[index]
    assert "it is looked for again" in message(no_file)
    assert condition(no_file, "Reconciling") is not None
    assert condition(no_file, "Stalled") is None
    assert "ArtifactNotFound" in log
    events = [event for event in kubectl.events("ModelVersion", "late") if "late/model.onnx" in event[2]]
    assert len(events) == 1, "the next tries repeat no event"


def a_service_of(kubectl: Kubectl, version: str) -> None:
    """InferenceService shop serves the version, and the version says so."""
    kubectl.apply(inference_service("shop", version=version))
    kubectl.condition("inferenceservice", "shop", "Ready", "True", within=180)
    kubectl.condition("modelversion", version, "InUse", "True", "Served", within=30)


def test_a_version_is_not_deleted_while_it_is_served(kubectl: Kubectl) -> None:
    versions(kubectl, "handmade", {"served": valid_model(), "spare": valid_model()})
    a_service_of(kubectl, "served")

    with pytest.raises(KubectlError) as refused:
        kubectl.delete("modelversion", "served")
    kubectl.delete("modelversion", "spare")

    assert (
        "ModelVersion served is in use: InferenceService shop serves it; serve another ModelVersion there, or delete "
        "the InferenceService, first" in str(refused.value)
    )
    assert kubectl.find("modelversion", "spare") is None
    kubectl.delete("inferenceservice", "shop")
    kubectl.wait("modelversion", "served", lambda found: condition(found, "InUse") is None, within=30)
    kubectl.delete("modelversion", "served")
    assert kubectl.find("modelversion", "served") is None


def test_a_namespace_with_a_served_version_can_be_deleted(kubectl: Kubectl) -> None:
    versions(kubectl, "handmade", {"served": valid_model()})
    a_service_of(kubectl, "served")

    kubectl.run("delete", "namespace", kubectl.namespace, "--timeout=150s", timeout=180)

    assert kubectl.find("namespace", kubectl.namespace) is None
