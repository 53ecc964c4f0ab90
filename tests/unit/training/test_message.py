"""The step document always fits what Kubernetes keeps of a termination message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.training.pod import Pod, numbers, schema

from modelwright_training.message import LIMIT, Json, failure, success

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


def tensors(labels: list[str]) -> list[Json]:
    return [{"name": label, "datatype": "FP32", "shape": [-1, 1]} for label in labels]


def published(inputs: list[str], outputs: list[str], classes: list[str]) -> Json:
    digest = "sha256:" + "0" * 64
    signature = {"inputs": tensors(inputs), "outputs": tensors(outputs)} | (
        {"classes": classes} if classes else {}
    )
    return {
        "artifact": {"uri": f"pvc://claim/prefix/{digest}/model.onnx", "digest": digest, "size": 1},
        "task": "Classification",
        "metrics": [{"name": f"metric_{place}", "value": 0.1234567890123456} for place in range(12)],
        "parity": {"verdict": "Skipped", "compared": 0},
        "signature": signature,
        "libraries": {"onnx": "1.0"},
    }


@given(st.lists(names, max_size=40), st.lists(names, max_size=5), st.lists(names, max_size=40))
def test_a_result_fits_and_counts_what_it_leaves_out(
    inputs: list[str], outputs: list[str], classes: list[str]
) -> None:
    encoded = success("publish", published(inputs, outputs, classes))
    assert len(encoded) <= LIMIT
    document = json.loads(encoded)
    schema("step").validate(document)
    signature = document["result"]["signature"]
    if "truncated" in signature:
        assert (signature["inputCount"], signature["outputCount"]) == (len(inputs), len(outputs))
        assert signature["inputs"] == tensors(inputs)[: len(signature["inputs"])]
    else:
        assert len(signature["inputs"]) == len(inputs)


@given(st.text(min_size=1, max_size=3000))
def test_a_failure_fits_whatever_its_message_holds(text: str) -> None:
    encoded = failure("train", "TrainingFailed", text)
    assert len(encoded) <= LIMIT
    schema("step").validate(json.loads(encoded))


def test_a_message_that_is_short_stays_as_it_is() -> None:
    text = 'Column "größe" holds 3 values.\nRow 1 …'
    assert json.loads(failure("fetch", "DataEmpty", text))["error"]["message"] == text


@pytest.mark.parametrize("mixed", [False, True])
def test_five_hundred_columns_fit(pod: Pod, mixed: bool) -> None:
    frame = numbers(60, 500).rename(
        columns=lambda name: f"a rather long name of column {name}" if name != "y" else name
    )
    if mixed:
        frame["plan"] = ["free", "pro"] * 30
    pod.given_rows(frame).given(estimator="sklearn.tree.DecisionTreeClassifier")
    signature = pod.through("fetch", "train", "publish").result["signature"]

    assert signature["truncated"] is True
    if mixed:
        assert signature["inputCount"] == 501
        assert signature["inputs"][0]["name"] == "a rather long name of column x0"
    else:
        assert signature["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 500]}]
        assert signature["featureCount"] == 500
    full = pod.published("report")["signature"]
    assert len(full["inputs"]) == (501 if mixed else 1)
    assert "truncated" not in full
