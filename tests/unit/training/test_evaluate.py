"""A model that no run has made is scored on the data that its version names."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, churn, numbers, reasons, schema
from unit.training.test_publish import LABEL, TWO_CLASSES, model
from unit.training.test_verify import URI, document, stored

from modelwright_training.files import digest_of

BETTER = {"name": "better-than-baseline", "metric": "main", "against": "Baseline", "minChange": 0}
ACCURATE = {"name": "accurate", "metric": "accuracy", "min": 0.8}
GAP = {"name": "gap", "metric": "accuracy", "split": "Train", "maxGap": 0.1}


def asked(of: str, *gates: Json, uri: str = URI, **evaluate: Any) -> Json:
    made = document(of, uri)
    made["evaluate"] = {"target": "y", **evaluate}
    if gates:
        made["gates"] = list(gates)
    schema("verify").validate(made)
    return made


def given(pod: Pod, made: onnx.ModelProto | str) -> str:
    """The digest of a model that was put into the store."""
    made = model(made) if isinstance(made, str) else made
    return stored(pod, made.SerializeToString())[1]


def with_properties(text: str, **properties: str) -> onnx.ModelProto:
    made = model(text)
    for name, value in properties.items():
        made.metadata_props.add(key=f"dev.modelwright.{name}", value=value)
    return made


def values(result: Json) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in result["metrics"]}


def test_a_model_by_hand_is_scored_on_all_rows_of_the_data(pod: Pod) -> None:
    digest = given(pod.given_rows(numbers(200)), TWO_CLASSES)
    result = pod.evaluate(asked(digest, BETTER, ACCURATE)).result

    assert values(result)["roc_auc"] > 0.9
    assert result["task"] == "Classification"
    assert result["evaluation"]["holdoutRows"] == 200
    assert result["evaluation"]["trainRows"] == 0
    assert [row["trainRows"] for row in result["evaluation"]["classes"]] == [0, 0]
    assert "the baseline is that of the rows it was scored on" in result["evaluation"]["notes"][0]
    assert result["signature"]["features"] == ["x0", "x1", "x2", "x3", "x4"]
    better, accurate = result["gates"]
    assert (better["metric"], better["against"], better["reference"]) == ("roc_auc", "Baseline", 0.5)
    assert better["low"] > 0
    assert accurate["value"] == values(result)["accuracy"]
    assert accurate["samples"] == 200


def test_the_same_inputs_give_the_same_numbers(pod: Pod) -> None:
    digest = given(pod.given_rows(numbers(200)), TWO_CLASSES)
    once = pod.evaluate(asked(digest, BETTER)).result
    assert pod.evaluate(asked(digest, BETTER)).result == once


def test_what_a_run_made_gets_the_numbers_of_publish_for_the_same_rows(pod: Pod, tmp_path: Path) -> None:
    """One code scores in both steps: features of all kinds, with dates and missing values."""
    frame = churn(600)
    frame["since"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(600) % 300, unit="D")
    frame["since"] = frame["since"].dt.strftime("%d.%m.%Y")
    train, held = frame.iloc[:450], frame.iloc[450:]
    pod.given_rows(train)
    held.to_csv(pod.paths.source_holdout / "held.csv", index=False)
    pod.given(data={"holdout": {"uri": "configmap://held/held.csv"}})
    published = pod.through("fetch", "train", "publish").result

    other = Pod(tmp_path / "other").given_rows(held)
    other.paths.artifacts.rmdir()
    other.paths.artifacts.symlink_to(pod.paths.artifacts)
    artifact = published["artifact"]
    result = other.evaluate(asked(artifact["digest"], uri=artifact["uri"], positiveClass="leaves")).result

    assert values(result) == values(published)
    assert result["signature"] == published["signature"]
    assert result["evaluation"]["confusion"] == published["evaluation"]["confusion"]


def test_there_is_no_gap_to_rows_that_are_not_known(pod: Pod) -> None:
    digest = given(pod.given_rows(numbers(100)), TWO_CLASSES)
    (gap,) = pod.evaluate(asked(digest, GAP)).result["gates"]
    assert "value" not in gap
    assert gap["reason"] == "NoTrainingRows"


def test_extra_columns_are_there_for_slices_and_are_no_features(pod: Pod) -> None:
    frame = numbers(200)
    frame.insert(0, "region", ["eu", "us"] * 100)
    digest = given(pod.given_rows(frame), TWO_CLASSES)
    gate = {"name": "eu", "metric": "accuracy", "min": 0.5, "slice": {"region": "eu"}}
    (found,) = pod.evaluate(asked(digest, gate, extraColumns=["region"])).result["gates"]
    assert found["samples"] == 100


def test_inputs_with_the_names_of_columns_are_fed_by_name_in_any_order(pod: Pod) -> None:
    made = "agraph (float[N,1] b, float[N,1] a) => (float[N,1] value) { value = Sub(a, b) }"
    frame = pd.DataFrame({"a": np.arange(40.0), "unused": "text", "b": np.arange(40.0) % 7})
    frame["y"] = frame["a"] - frame["b"]
    result = pod.given_rows(frame).evaluate(asked(given(pod, made), task="Regression")).result
    assert values(result)["rmse"] == 0
    assert "features" not in result["signature"]


def test_a_model_says_which_columns_its_matrix_has(pod: Pod) -> None:
    frame = numbers(100)
    frame.insert(0, "noise", 1.0)
    made = with_properties(TWO_CLASSES, features='["x4", "x3", "x2", "x1", "x0"]')
    result = pod.given_rows(frame).evaluate(asked(given(pod, made))).result
    assert result["signature"]["features"] == ["x4", "x3", "x2", "x1", "x0"]


LABELS = "agraph (string[N,1] code) => (string[N,1] label) { label = Identity(code) }"


def test_texts_that_look_like_numbers_stay_texts_where_the_model_takes_texts(pod: Pod) -> None:
    frame = "code,y\n" + "\n".join(["007,007", "7,7"] * 20)
    made = with_properties(LABELS, classes='["007", "7"]')
    result = pod.given_csv(frame).evaluate(asked(given(pod, made))).result
    assert values(result)["accuracy"] == 1


def test_classes_that_are_texts_of_digits_are_read_as_texts(pod: Pod) -> None:
    """The target alone would be whole numbers, which are no labels of this model."""
    frame = "code,y\n" + "\n".join(["1,1", "2,2"] * 20)
    made = with_properties(LABELS, classes='["1", "2", "3"]')
    result = pod.given_csv(frame).evaluate(asked(given(pod, made))).result
    assert values(result)["accuracy"] == 1
    assert [row["label"] for row in result["evaluation"]["classes"]] == ["1", "2", "3"]


THREE = f"""
agraph (float[N,5] input) => (int64[N] label, float[N,3] probabilities)
<float[5,3] w = {{{", ".join(["-1.0, 1.0, 0.0"] * 5)}}}> {{ z = MatMul(input, w) probabilities = Softmax(z) {LABEL} }}
"""


def test_data_need_not_have_all_classes_of_the_model(pod: Pod) -> None:
    made = with_properties(THREE, classes="[0, 1, 2]")
    result = pod.given_rows(numbers(200)).evaluate(asked(given(pod, made))).result
    assert values(result)["accuracy"] > 0.8
    assert "log_loss" in values(result)
    assert "positiveClass" not in result["evaluation"]


def refused(
    pod: Pod, made: onnx.ModelProto | str, frame: pd.DataFrame | str, **evaluate: Any
) -> tuple[str, str]:
    pod.given_csv(frame) if isinstance(frame, str) else pod.given_rows(frame)
    ending = pod.evaluate(asked(given(pod, made), **evaluate))
    assert ending.code == 65
    return str(ending.reason), ending.message


FRAME = numbers(60)
TEXT = FRAME.assign(x1="red")
BROKEN = FRAME.assign(x1=FRAME["x1"] + 0.25)
INTEGERS = "agraph (int64[N,1] x1) => (float[N,1] value) { value = Cast<to=1>(x1) }"


@pytest.mark.parametrize(
    ("made", "frame", "evaluate", "reason", "says"),
    [
        (TWO_CLASSES, FRAME, {"target": "churn"}, "TargetMissing", "The data lacks columns: 'churn'"),
        (TWO_CLASSES, FRAME, {"extraColumns": ["regio"]}, "FeatureMissing", "'regio' (evaluate.extraColumns)"),
        (TWO_CLASSES, FRAME, {"extraColumns": ["y"]}, "DocumentInvalid", "which gates have anyway"),
        (TWO_CLASSES, FRAME.drop(columns="x1"), {}, "FeatureMissing", "These are 4: 'x0', 'x2', 'x3', 'x4'"),
        (with_properties(TWO_CLASSES, features='["x0", "age"]'), FRAME, {}, "FeatureMissing", "'age'"),
        (with_properties(TWO_CLASSES, features='["x0", "x1"]'), FRAME, {}, "FeatureMissing", "names 2 columns"),
        ("agraph (float[N,1] x0, float[N,1] x9) => (float[N,1] value) { value = Add(x0, x9) }", FRAME, {},
         "FeatureMissing", "'x9' (an input of the model)"),
        ("agraph (float[N,1] x0, float[N,1] y) => (float[N,1] value) { value = Add(x0, y) }", FRAME, {},
         "DocumentInvalid", "takes the target 'y' as an input"),
        (TWO_CLASSES, TEXT, {}, "SchemaViolation", "'x1' goes to the model's input 'input' of FP32, but it holds text"),
        (INTEGERS, BROKEN, {"task": "Regression"}, "SchemaViolation", "of INT64, which cannot hold rows 1, 2"),
        (with_properties(TWO_CLASSES, classes="[1, 2]"), FRAME, {}, "TargetUnsuitable", "does not know: '0'"),
        (with_properties(TWO_CLASSES, task="Classification"), FRAME, {"task": "Regression"}, "DocumentInvalid",
         "evaluate.task is Regression, but the model says Classification"),
        (TWO_CLASSES, FRAME, {"positiveClass": "maybe"}, "PositiveClassUnknown", "evaluate.positiveClass 'maybe'"),
        (TWO_CLASSES, FRAME.assign(y=None), {}, "TargetHasMissingValues", "missing in 60 of 60 rows"),
        (TWO_CLASSES, FRAME.assign(y=1), {}, "OneClassOnly", "is 1 in every row"),
        (TWO_CLASSES, FRAME, {"digest": "sha256:" + "0" * 64}, "DataDigestMismatch", "evaluate.digest asks for"),
        ("agraph (bfloat16[N,5] input) => (bfloat16[N,5] o) { o = Identity(input) }", FRAME, {}, "UnsupportedType",
         "bfloat16"),
        (TWO_CLASSES, "", {}, "DataEmpty", "evaluate: "),
        (with_properties(LABELS, formats='{"code": "YYYY-MM-DD"}'), "code,y\n2024-01-01,a\n1.1.2024,b\n", {},
         "SchemaViolation", "dates of the format"),
        (TWO_CLASSES, FRAME.assign(y="yes").assign(y=lambda frame: np.where(frame.x0 > 0, "yes", "no")), {},
         "OutputUnsuitable", "'no'"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit_the_model_is_refused_with_a_sentence(
    pod: Pod, made: Any, frame: Any, evaluate: Json, reason: str, says: str
) -> None:
    found, message = refused(pod, made, frame, **evaluate)
    assert found == reason
    assert says in message


def test_data_that_is_not_there_is_said_as_in_a_run(pod: Pod) -> None:
    ending = pod.evaluate(asked(given(pod, TWO_CLASSES)))
    assert (ending.reason, ending.document["step"]) == ("DataNotFound", "fetch")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "ArtifactNotFound"), (b"\x80\x04pickle me", "NotOnnx"), (b"", "SignatureMismatch")],
)
def test_a_file_that_is_no_model_is_refused_before_the_data_is_read(
    pod: Pod, content: bytes | None, reason: str
) -> None:
    digest = "sha256:" + "1" * 64 if content is None else stored(pod, content)[1]
    ending = pod.evaluate(asked(digest))
    assert (ending.reason, ending.document["step"]) == (reason, "fetch")
    assert reason in reasons("fetch")


def test_another_digest_of_the_model_is_not_that_of_the_data(pod: Pod) -> None:
    given(pod.given_rows(numbers(60)), TWO_CLASSES)
    assert pod.evaluate(asked("sha256:" + "1" * 64)).reason == "DigestMismatch"


def test_fetch_without_data_to_evaluate_on_is_refused(pod: Pod) -> None:
    ending = pod.evaluate(document("sha256:" + "1" * 64))
    assert ending.reason == "DocumentInvalid"


def test_the_champion_is_compared_on_the_rows_of_the_evaluation(pod: Pod) -> None:
    """Its file lies in the same claim, which is mounted a second time."""
    digest = given(pod.given_rows(numbers(200)), TWO_CLASSES)
    pod.paths.champion.symlink_to(pod.paths.artifacts)
    rival = pod.paths.artifacts / "rival.onnx"
    rival.write_bytes(model(TWO_CLASSES.replace("-1.0, 1.0", "1.0, -1.0")).SerializeToString())
    worse = {"name": "champion", "metric": "main", "against": "Champion", "minChange": 0}
    made = asked(digest, worse)
    made["champion"] = {
        "name": "churn-1",
        "artifact": {"uri": "pvc://models/rival.onnx", "digest": digest_of(rival.read_bytes())},
    }
    (found,) = pod.evaluate(made).result["gates"]
    assert found["against"] == "churn-1"
    assert found["low"] > 0.5
