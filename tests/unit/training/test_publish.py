"""What publish refuses, what it makes of models from elsewhere, and what it measures."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pandas as pd
import pytest
from unit.training.pod import Pod, numbers, reasons

HEAD = '<ir_version: 8, opset_import: ["" : 17, "ai.onnx.ml" : 3, "com.microsoft" : 1]>'
ROWS = 100


def model(text: str) -> onnx.ModelProto:
    parsed: onnx.ModelProto = onnx.parser.parse_model(HEAD + text)
    return parsed


LABEL = "label = ArgMax<axis=1, keepdims=0>(probabilities)"
TWO_CLASSES = f"""
agraph (float[N,5] input) => (int64[N] label, float[N,2] probabilities)
<float[5,2] w = {{{", ".join(["-1.0, 1.0"] * 5)}}}> {{ z = MatMul(input, w) probabilities = Softmax(z) {LABEL} }}
"""


@dataclass(frozen=True)
class Case:
    reason: str
    says: str
    model: onnx.ModelProto | bytes | None


def external() -> onnx.ModelProto:
    made = model(TWO_CLASSES)
    tensor = made.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return made


def within_a_branch() -> onnx.ModelProto:
    """A custom operator where only one branch of an If would reach it."""
    branch = onnx.parser.parse_graph("g () => (float[N] o) { o = com.microsoft.SampleOp(value) }")
    made = model(
        "agraph (float[N,5] input) => (float[N] value) { value = ReduceMax<axes=[1], keepdims=0>(input) }"
    )
    made.graph.node.append(onnx.helper.make_node("If", ["c"], ["o"], then_branch=branch, else_branch=branch))
    return made


CASES = {
    "no model": Case("ModelMissing", "/model/model.onnx", None),
    "a model that is no ONNX": Case("NotOnnx", "cannot be parsed", b"\x80\x04pickle me"),
    "an empty file": Case("NotOnnx", "not a valid ONNX model", b""),
    "an operator that does not exist": Case(
        "NotOnnx", "Nonsense", model("agraph (float[N,5] input) => (float[N,2] o) { o = Nonsense(input) }")
    ),
    "weights in another file": Case("ExternalData", "save_as_external_data=False", external()),
    "an operator of one vendor": Case(
        "CustomOperators",
        "com.microsoft:SampleOp",
        model("agraph (float[N,5] input) => (float[N,5] scores) { scores = com.microsoft.SampleOp(input) }"),
    ),
    "an operator of one vendor within a branch": Case("CustomOperators", "com.microsoft:SampleOp", within_a_branch()),
    "an answer that is a sequence": Case(
        "UnsupportedType",
        "zipmap=False",
        model("agraph (float[N,5] input) => (seq(float[N,5]) o) { o = SplitToSequence(input) }"),
    ),
    "an answer in a type that requests cannot carry": Case(
        "UnsupportedType",
        "bfloat16",
        model("agraph (bfloat16[N,5] input) => (bfloat16[N,5] o) { o = Identity(input) }"),
    ),
    "a type that ONNX Runtime does not have": Case(
        "NotLoadable",
        "complex64",
        model("agraph (complex64[N,5] input) => (complex64[N,5] o) { o = Identity(input) }"),
    ),
    "another width": Case(
        "SignatureMismatch",
        "[-1, 4], which does not fit 5 features",
        model("agraph (float[N,4] input) => (float[N,4] probabilities) { probabilities = Softmax(input) }"),
    ),
    "inputs of other names": Case(
        "SignatureMismatch",
        "'age'",
        model("agraph (float[N,1] x0, float[N,1] age) => (float[N,1] probabilities) { probabilities = Mul(x0, age) }"),
    ),
    "a fixed number of rows": Case(
        "SignatureMismatch",
        "exactly 8 rows",
        model("agraph (float[8,5] input) => (float[8,5] probabilities) { probabilities = Softmax(input) }"),
    ),
    "text where there are numbers": Case(
        "SignatureMismatch",
        "matrix of text",
        model("agraph (string[N,5] input) => (string[N,5] o) { o = Identity(input) }"),
    ),
    "a graph that fails at work": Case(
        "ModelFailed",
        "cannot be run",
        model(
            "agraph (float[N,5] input) => (float[M] probabilities) <int64[1] s = {7}>"
            " { probabilities = Reshape(input, s) }"
        ),
    ),
    "one answer for all rows": Case(
        "OutputUnsuitable",
        "one entry per row",
        model("agraph (float[N,5] input) => (float[1,5] o) { o = ReduceMean<axes=[0]>(input) }"),
    ),
    "an answer that is no number": Case(
        "OutputUnsuitable",
        "not a finite number in 20 rows",
        model(
            "agraph (float[N,5] input) => (float[N,5] probabilities)"
            " { zero = Sub(input, input) probabilities = Div(zero, zero) }"
        ),
    ),
    "an answer that is another each time": Case(
        "NotDeterministic",
        "'probabilities'",
        model(
            "agraph (float[N,5] input) => (float[N,2] probabilities) <float[5,2] w = {0,0,0,0,0,0,0,0,0,0}>"
            " { z = MatMul(input, w) dice = RandomNormalLike(z) probabilities = Softmax(dice) }"
        ),
    ),
    "too many columns for its classes": Case(
        "OutputUnsuitable",
        "2 classes",
        model("agraph (float[N,5] input) => (float[N,5] probabilities) { probabilities = Softmax(input) }"),
    ),
}  # fmt: skip

ELSEWHERE = {
    "DocumentInvalid", "UriUnsupported", "DataNotFound", "DataUnreadable", "ModelTooLarge", "ReferenceInvalid",
    "ParityFailed", "NotARegularFile", "StoreCorrupt", "StorageFailed", "OutOfMemory", "ModelMemory", "InternalError",
    "KeyNotFound", "KeyUnreadable",
}  # fmt: skip
# Of stores outside the cluster: the tests of the stores, and test_outside_artifacts.
OUTSIDE = {
    "SecretNotFound", "SecretIncomplete", "CertificatesNotFound", "NoCredentials", "CredentialsRefused",
    "CredentialsExpired", "IdentityRefused", "AccessDenied", "BucketNotFound", "WrongRegion", "ClockSkewed",
    "CertificateNotTrusted", "AddressRefused", "FileChanged", "StoreUnavailable", "StoreAnswerInvalid",
    "DigestMismatch",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_publish_refuses(ready: Pod, name: str) -> None:
    case = CASES[name]
    if case.model is not None:
        ready.given_model(case.model)
    ending = ready.run("publish")
    assert (ending.reason, ending.code) == (case.reason, 65), ending.document
    assert case.says in ending.message
    assert not list(ready.paths.artifacts.iterdir())


def test_each_reason_of_publish_has_a_test() -> None:
    known = reasons("publish")
    assert known == {case.reason for case in CASES.values()} | ELSEWHERE | OUTSIDE


def test_a_model_of_the_user_s_own_is_scored_without_a_reference(ready: Pod) -> None:
    result = ready.given_model(model(TWO_CLASSES)).run("publish").result
    metrics = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert metrics["accuracy"] > 0.8
    assert metrics["roc_auc"] > 0.9
    assert result["parity"] == {"verdict": "Skipped", "compared": 0}
    assert result["signature"]["features"] == ["x0", "x1", "x2", "x3", "x4"]
    assert ready.published("report")["training"] is None


ONE_COLUMN = """agraph (float[N,5] input) => (float[N,1] {name})
<float[5,1] w = {{1.0, 1.0, 1.0, 1.0, 1.0}}> {{ z = MatMul(input, w) {name} = {op}(z) }}"""


@pytest.mark.parametrize(
    ("name", "op", "probabilities"), [("probability", "Sigmoid", True), ("logit", "Identity", False)]
)
def test_one_column_is_a_probability_or_a_score_of_the_second_class(
    ready: Pod, name: str, op: str, probabilities: bool
) -> None:
    result = ready.given_model(model(ONE_COLUMN.format(name=name, op=op))).run("publish").result
    measured = {metric["name"] for metric in result["metrics"]}
    assert {metric["value"] for metric in result["metrics"] if metric["name"] == "accuracy"}.pop() > 0.8
    assert ("log_loss" in measured) == probabilities
    omitted = {left["name"]: left["why"] for left in ready.published("report")["omitted"]}
    assert (omitted.get("log_loss") == "the model answers no probabilities") != probabilities


@pytest.mark.parametrize("kind", ["double", "float16"])
def test_inputs_of_other_types_are_fed_in_theirs(ready: Pod, kind: str) -> None:
    codes = {"double": 11, "float16": 10}
    made = model(f"""agraph ({kind}[N,5] input) => (int64[N] label)
    {{ s = ReduceSum<keepdims=0>(input, a) z = CastLike(zero, s) b = Greater(s, z) label = Cast<to=7>(b) }}""")
    made.graph.initializer.append(onnx.helper.make_tensor("a", onnx.TensorProto.INT64, [1], [1]))
    made.graph.initializer.append(onnx.helper.make_tensor("zero", onnx.TensorProto.FLOAT, [], [0.0]))
    assert codes[kind] == made.graph.input[0].type.tensor_type.elem_type
    result = ready.given_model(made).run("publish").result
    assert result["metrics"][0]["value"] > 0.8


def test_a_model_that_takes_one_row_at_a_time_is_scored_row_by_row(ready: Pod) -> None:
    result = ready.given_model(model(TWO_CLASSES.replace("N", "1"))).run("publish").result
    assert result["signature"]["inputs"][0]["shape"] == [1, 5]
    assert ready.published("golden")["request"]["inputs"][0]["shape"] == [1, 5]


def test_whole_numbers_cannot_hold_missing_values(pod: Pod) -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan] * 20, "y": [0, 1] * 20})
    pod.given_rows(frame).given(trainer={"image": "mine"})
    pod.given_model(model("agraph (int64[N,1] x) => (int64[N,1] label) { label = Identity(x) }"))
    ending = pod.through("fetch", "publish")
    assert ending.reason == "SignatureMismatch"
    assert "missing values" in ending.message


def test_labels_of_another_type_than_the_target_are_refused(pod: Pod) -> None:
    pod.given_rows(numbers(ROWS).replace({"y": {0: "no", 1: "yes"}})).given(trainer={"image": "mine"})
    ending = pod.given_model(model(TWO_CLASSES)).through("fetch", "publish")
    assert ending.reason == "OutputUnsuitable"
    assert "text such as 'no'" in ending.message


def test_a_model_too_large_to_serve_is_not_read(ready: Pod) -> None:
    with ready.paths.model_file.open("wb") as file:
        file.truncate((2 << 30) + 1)
    assert ready.run("publish").reason == "ModelTooLarge"


def test_publish_without_data_says_so(pod: Pod) -> None:
    assert pod.run("publish").reason == "DataNotFound"


def test_data_that_fetch_has_not_written_is_refused(ready: Pod) -> None:
    numbers(ROWS, 2).to_parquet(ready.paths.holdout_rows)
    ready.given_model(model(TWO_CLASSES))
    assert ready.run("publish").reason == "DataUnreadable"


@pytest.mark.parametrize(
    "uri",
    [
        "pvc://claim/../up",
        "https://models.example/churn",
        "s3://models/../up",
        "oci://models.example/churn:1",
    ],
)
def test_a_store_that_cannot_be_written_is_refused(ready: Pod, uri: str) -> None:
    ready.document["artifacts"]["uri"] = uri
    ending = ready.given_model(model(TWO_CLASSES)).run_unchecked("publish")
    assert ending.reason == "UriUnsupported"


@pytest.mark.parametrize("text", ["{}", "nonsense", '{"estimator": 1, "parameters": {}, "libraries": {}}'])
def test_what_a_trainer_says_badly_of_its_model_is_left_out(ready: Pod, text: str) -> None:
    ready.given_model(model(TWO_CLASSES)).paths.training.write_text(text)
    assert ready.run("publish").code == 0
    assert ready.published("report")["training"] is None


def test_metrics_without_a_value_are_named_with_the_reason(pod: Pod) -> None:
    frame = numbers(50).assign(y=["a", "b", "c"] * 16 + ["c", "rare"])
    after = {"column": "time", "value": "40"}
    pod.given_rows(frame.assign(time=range(50))).given(
        data={"exclude": ["time"], "holdout": {"after": after}}
    )
    assert pod.through("fetch", "train", "publish").code == 0
    report = pod.published("report")
    assert {left["name"] for left in report["omitted"]} == {
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier_score",
        "expected_calibration_error",
    }
    assert "'rare', which the model does not know" in report["omitted"][0]["why"]
    assert report["evaluation"]["averaging"] == "Macro"
    assert report["evaluation"]["confusion"]["classes"] == ["a", "b", "c", "rare"]


def test_a_regression_around_zero_has_no_mape_and_says_why(pod: Pod) -> None:
    frame = numbers(60).assign(y=lambda rows: rows["x0"].round(0))
    pod.given_rows(frame).given(estimator="sklearn.linear_model.LinearRegression")
    assert pod.through("fetch", "train", "publish").code == 0
    omitted = {left["name"]: left["why"] for left in pod.published("report")["omitted"]}
    assert "target is 0 in" in omitted["mape"]


SPECIAL: dict[str, Callable[[Path, Path], None]] = {
    "a link": lambda path, to: path.symlink_to(to),
    "a link to nothing": lambda path, _: path.symlink_to("nowhere"),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a folder": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["model.onnx", "reference.npz", "training.json"])
def test_what_is_no_regular_file_is_refused(ready: Pod, name: str, kind: str) -> None:
    """A link could lead to another model of the store, which publish may read and the trainer may not."""
    elsewhere = ready.root / "elsewhere"
    elsewhere.write_bytes(model(TWO_CLASSES).SerializeToString())
    if name != "model.onnx":
        ready.given_model(model(TWO_CLASSES))
    SPECIAL[kind](ready.paths.model / name, elsewhere)
    ending = ready.run("publish")
    assert (ending.reason, ending.code) == ("NotARegularFile", 65)
    assert name in ending.message
    assert not list(ready.paths.artifacts.iterdir())


CENTRED = f"""
agraph (float[N,5] input) => (int64[N] label, float[N,2] probabilities)
<float[5,2] w = {{{", ".join(["-1.0, 1.0"] * 5)}}}> {{
mean = ReduceMean<axes=[0], keepdims=1>(input) c = Sub(input, mean) z = MatMul(c, w) probabilities = Softmax(z) {LABEL}
}}
"""


def test_a_model_whose_rows_influence_each_other_is_scored_as_single_callers_see_it(ready: Pod) -> None:
    """It subtracts the mean over the batch: alone, each row becomes zeros and gets the first class."""
    result = ready.given_model(model(CENTRED)).run("publish").result
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values["roc_auc"] == 0.5
    assert (
        "the rows beside a row change its answer, so it was scored row by row"
        in result["evaluation"]["notes"]
    )


def test_a_model_that_throws_dice_for_the_label_alone_is_refused(ready: Pod) -> None:
    made = TWO_CLASSES.replace(
        LABEL, "dice = RandomNormalLike(probabilities) label = ArgMax<axis=1, keepdims=0>(dice)"
    )
    ending = ready.given_model(model(made)).run("publish")
    assert (ending.reason, ending.code) == ("NotDeterministic", 65)
    assert "'label'" in ending.message
