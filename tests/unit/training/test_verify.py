"""A model that somebody else has put into a store is what it says, or is refused."""

import json
from pathlib import Path

import onnx
import pytest
from unit.training.pod import Json, Pod, numbers, schema
from unit.training.test_publish import CASES, TWO_CLASSES, model

from modelwright_training.files import digest_of

URI = "pvc://models/legacy/model.onnx"


def document(digest: str, uri: str = URI) -> Json:
    made = {"modelVersion": "churn-legacy", "model": "churn", "artifact": {"uri": uri, "digest": digest}}
    schema("verify").validate(made)
    return made


def stored(pod: Pod, content: bytes) -> tuple[Path, str]:
    path = pod.paths.artifacts / "legacy" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(content)
    return path, digest_of(content)


def test_a_sound_model_is_accepted_with_its_signature(pod: Pod) -> None:
    _, digest = stored(pod, model(TWO_CLASSES).SerializeToString())
    result = pod.verify(document(digest)).result
    assert result["artifact"] == {"uri": URI, "digest": digest, "size": result["artifact"]["size"]}
    assert result["signature"]["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 5]}]
    assert result["metrics"] == []


def test_a_model_that_was_published_here_is_accepted_with_what_it_says_of_itself(pod: Pod) -> None:
    pod.given_rows(numbers(60))
    published = pod.through("fetch", "train", "publish").result
    result = pod.verify(document(published["artifact"]["digest"], published["artifact"]["uri"])).result
    assert result["task"] == "Classification"
    assert result["signature"] == published["signature"]
    assert result["metrics"] == published["metrics"]


def test_text_inputs_are_warmed_up_too(pod: Pod) -> None:
    made = model(
        "agraph (string[N,1] plan, bool[N,1] flag) => (string[N,1] label) { label = Identity(plan) }"
    )
    _, digest = stored(pod, made.SerializeToString())
    assert pod.verify(document(digest)).code == 0


def test_another_digest_is_refused_with_both(pod: Pod) -> None:
    _, digest = stored(pod, model(TWO_CLASSES).SerializeToString())
    asked = "sha256:" + "1" * 64
    ending = pod.verify(document(asked))
    assert (ending.reason, ending.code) == ("DigestMismatch", 65)
    assert asked in ending.message
    assert digest in ending.message


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("pvc://models/typo/model.onnx", "ArtifactNotFound"), ("pvc://models/../../x.onnx", "UriUnsupported")],
)
def test_an_artifact_that_is_not_there_is_refused(pod: Pod, uri: str, reason: str) -> None:
    ending = pod.verify(document("sha256:" + "1" * 64, uri))
    assert (ending.reason, ending.code) == (reason, 65)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.reason in (
    "NotOnnx", "ExternalData", "CustomOperators", "UnsupportedType", "NotLoadable", "NotDeterministic",
)])  # fmt: skip
def test_verify_refuses(pod: Pod, name: str) -> None:
    made = CASES[name].model
    assert made is not None
    _, digest = stored(pod, made.SerializeToString() if isinstance(made, onnx.ModelProto) else made)
    ending = pod.verify(document(digest))
    assert (ending.reason, ending.code) == (CASES[name].reason, 65)


def test_a_model_that_fails_at_its_first_run_is_refused(pod: Pod) -> None:
    made = model("agraph (float[N,5] input) => (float[M] o) <int64[1] s = {7}> { o = Reshape(input, s) }")
    _, digest = stored(pod, made.SerializeToString())
    assert pod.verify(document(digest)).reason == "ModelFailed"


def test_a_file_too_large_is_not_read(pod: Pod) -> None:
    path, digest = stored(pod, b"x")
    with path.open("wb") as file:
        file.truncate((2 << 30) + 1)
    assert pod.verify(document(digest)).reason == "ModelTooLarge"


def test_a_broken_document_is_refused(pod: Pod) -> None:
    assert pod.verify({"modelVersion": "x"}).reason == "DocumentInvalid"


GOOD = {"name": "roc_auc", "value": 0.9}


@pytest.mark.parametrize(
    ("report", "metrics"),
    [
        (json.dumps({"metrics": [GOOD]}), [GOOD]),
        (
            json.dumps({"metrics": [GOOD, {"name": "Bad Name", "value": 1}, {"name": "x", "value": "y"}, 3]}),
            [GOOD],
        ),
        ('{"metrics": [{"name": "x", "value": NaN}, {"name": "y", "value": Infinity}]}', []),
        (json.dumps({"metrics": {"roc_auc": 1}}), []),
        (
            json.dumps(
                {"metrics": [GOOD | {"low": 0.8, "high": "much", "baseline": 0.5, "positiveClass": "yes"}]}
            ),
            [GOOD | {"low": 0.8, "baseline": 0.5, "positiveClass": "yes"}],
        ),
        (json.dumps({"metrics": [GOOD | {"positiveClass": "y" * 300, "baseline": True}]}), [GOOD]),
        ("[]", []),
        ("nonsense", []),
        (json.dumps({"metrics": [GOOD] * 100}), [GOOD] * 30),
        (json.dumps({"metrics": [GOOD], "padding": " " * (1 << 20)}), []),
    ],
)
def test_metrics_beside_the_model_are_reported_if_they_are_numbers(
    pod: Pod, report: str, metrics: list[Json]
) -> None:
    path, digest = stored(pod, model(TWO_CLASSES).SerializeToString())
    path.with_name("report.json").write_text(report)
    assert pod.verify(document(digest)).result["metrics"] == metrics
