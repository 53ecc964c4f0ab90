"""Old versions are deleted with their files, and nothing that is needed is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.kubectl import Kubectl, KubectlError, Object, message
from support.manifests import inference_service, model_version, script_pod, training_job

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

IRIS = {"uri": "sklearn://iris", "target": "target"}
AS_OPERATOR = "--as=system:serviceaccount:modelwright-system:modelwright-operator"
LIST = """
import pathlib
for path in sorted(pathlib.Path("/volume").glob("**/model.onnx")):
    print(path.parent.name)
"""


def trained(kubectl: Kubectl, depth: int) -> str:
    """Trains a tree of this depth; gives the digest of its version, as its folder is called."""
    sklearn = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": depth}}
    keep: Object = {"versionsHistoryLimit": 1, "artifacts": {"deletionPolicy": "Delete"}}
    kubectl.apply(training_job("iris", data=IRIS, sklearn=sklearn, **keep))
    ready = kubectl.condition("trainingjob", "iris", "Ready", "True", "RunSucceeded", within=240)
    return str(ready["status"]["run"]["digest"]).replace(":", "-")


def folders(kubectl: Kubectl, looks: Iterator[int]) -> set[str]:
    """The folders of the store that hold a model."""
    pod = f"look-{next(looks)}"
    kubectl.apply(script_pod(pod, LIST, claim_name="modelwright-artifacts"))
    kubectl.wait("pod", pod, lambda found: found["status"]["phase"] == "Succeeded", what="done")
    return set(kubectl.run("logs", pod).split())


def is_gone(kubectl: Kubectl, version: str) -> None:
    """Until a version and its file have been deleted."""

    def holds(job: Object) -> bool:
        return not job["status"].get("retiring") and kubectl.find("modelversion", version) is None

    kubectl.wait("trainingjob", "iris", holds, within=180, what=f"rid of {version}")


def test_only_the_newest_and_the_served_version_stay(kubectl: Kubectl) -> None:
    looks = iter(range(10))
    first = trained(kubectl, 1)
    kubectl.apply(inference_service("iris", version="iris-1"))
    kubectl.condition("inferenceservice", "iris", "Ready", "True", within=180)

    second, third = trained(kubectl, 2), trained(kubectl, 3)
    is_gone(kubectl, "iris-2")

    assert folders(kubectl, looks) == {first, third}
    kept = kubectl.condition("trainingjob", "iris", "HistoryLimitExceeded", "True", "VersionsKept", within=60)
    assert "ModelVersion iris-1 is kept: InferenceService iris" in message(kept, "HistoryLimitExceeded")
    retired = [event[2] for event in kubectl.events("TrainingJob", "iris") if event[1] == "VersionRetired"]
    assert retired == ["ModelVersion iris-2 was deleted: versionsHistoryLimit is 1; its file was deleted"]

    kubectl.delete("inferenceservice", "iris")
    is_gone(kubectl, "iris-1")
    assert folders(kubectl, looks) == {third}

    assert trained(kubectl, 2) == second, "a later run publishes the same bytes again"
    is_gone(kubectl, "iris-3")
    assert folders(kubectl, looks) == {second}
    assert kubectl.find("modelversion", "iris-4") is not None


def test_the_operator_may_not_delete_what_a_user_wrote(kubectl: Kubectl) -> None:
    kubectl.apply(model_version("mine", "pvc://nowhere/model.onnx", "sha256:" + "a" * 64))

    with pytest.raises(KubectlError) as refused:
        kubectl.run("delete", "modelversion", "mine", AS_OPERATOR)

    assert "the operator deletes no ModelVersion that a user wrote" in str(refused.value)
    assert kubectl.find("modelversion", "mine") is not None
