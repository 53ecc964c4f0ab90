"""A request may name its features, and the answer names its classes; the numbers are those of the plain protocol."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neural_network import MLPRegressor
from unit.serving import estimators, models
from unit.serving.conftest import ModelFile
from unit.serving.harness import Served, serving

from modelwright_serving.limits import MAX_VALUES
from modelwright_serving.model import LoadedModel, load
from modelwright_serving.oip import records
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature, TensorSpec

FEATURES = ("age", "visits", "plan", "active")
MIXED = Signature(
    (
        TensorSpec("age", "FP32", (-1, 1)),
        TensorSpec("visits", "INT8", (-1, 1)),
        TensorSpec("plan", "BYTES", (-1,)),
        TensorSpec("active", "BOOL", (-1, 1)),
    ),
    (TensorSpec("label", "INT64", (-1,)),),
)
WIDE = Signature(
    (TensorSpec("X", "FP32", (-1, 3)),),
    (TensorSpec("variable", "FP32", (-1, 1)),),
    {"features": '["a", "b", "c"]'},
)
ANA = {"age": 41.5, "visits": 3, "plan": "pro", "active": True}
BO = {"active": False, "plan": "free", "visits": -128, "age": 7}


def decoded(signature: Signature, *rows: object) -> list[Any]:
    return [tensor.tolist() for tensor in records.decode(signature, {"records": list(rows)})]


def refusal(signature: Signature, document: dict[str, Any], problem: Problem = Problem.INVALID) -> str:
    with pytest.raises(OipError) as caught:
        records.decode(signature, document)
    assert caught.value.problem is problem
    return caught.value.message


def answer(signature: Signature, *arrays: Any, identity: str | None = None, count: int | None = None) -> Any:
    encoder = records.RecordsEncoder(signature, "churn", "7")
    found = [np.asarray(array) for array in arrays]
    return json.loads(encoder.encode(identity, found, len(arrays[0]) if count is None else count))


def outputs(*specs: TensorSpec, classes: list[Any] | None = None) -> Signature:
    properties = {} if classes is None else {"classes": json.dumps(classes)}
    return replace(WIDE, outputs=specs, properties={**WIDE.properties, **properties})


LABEL = TensorSpec("output_label", "BYTES", (-1,))
PROBABILITIES = TensorSpec("output_probability", "FP32", (-1, 2))


def test_each_feature_finds_its_input_in_any_order() -> None:
    assert decoded(MIXED, ANA, BO) == [[[41.5], [7.0]], [[3], [-128]], ["pro", "free"], [[True], [False]]]


def test_each_feature_finds_its_column() -> None:
    assert decoded(WIDE, {"c": 3, "a": 1, "b": 2}, {"a": 4, "b": 5, "c": 6}) == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize("absent", [{}, {"b": None}])
def test_what_is_not_there_is_a_missing_number(absent: dict[str, None]) -> None:
    (matrix,) = records.decode(WIDE, {"records": [{"a": 1, "c": 3, **absent}]})
    np.testing.assert_array_equal(matrix, [[1, np.nan, 3]])


@pytest.mark.parametrize("absent", [{}, {"plan": None}])
def test_what_is_not_there_is_an_empty_text(absent: dict[str, None]) -> None:
    assert decoded(MIXED, {"age": 1, "visits": 2, "active": True, **absent})[2] == [""]


def test_true_and_false_are_numbers_where_the_model_takes_numbers() -> None:
    assert decoded(WIDE, {"a": True, "b": False, "c": 2}) == [[[1, 0, 2]]]


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    assert decoded(MIXED, ANA | {"visits": 3.0}, BO | {"visits": -0.0})[1] == [[3], [0]]


def test_no_records_are_no_rows() -> None:
    assert [tensor.shape for tensor in records.decode(MIXED, {"records": []})] == [
        (0, 1),
        (0, 1),
        (0,),
        (0, 1),
    ]
    assert [tensor.shape for tensor in records.decode(WIDE, {"records": []})] == [(0, 3)]


def test_tensors_are_of_the_types_that_the_model_takes() -> None:
    tensors = records.decode(MIXED, {"records": [ANA, BO]})
    assert [tensor.dtype for tensor in tensors] == [np.float32, np.int8, object, np.bool_]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plan": 7}, "records[1]: feature 'plan' is 7, but the model takes a string there (BYTES)"),
        (
            {"age": "old"},
            "feature 'age' is \"old\", but the model takes a number from -3.403e+38 to 3.403e+38 there (FP32)",
        ),
        (
            {"age": [1]},
            "records[1]: feature 'age' is [1], but the model takes a number from -3.403e+38 to 3.403e+38 there (FP32)",
        ),
        (
            {"visits": None},
            "feature 'visits' is missing, but the model takes a whole number from -128 to 127",
        ),
        ({"visits": 1.5}, "feature 'visits' is 1.5, but the model takes a whole number from -128 to 127"),
        ({"visits": 128}, "feature 'visits' is 128, but the model takes a whole number from -128 to 127"),
        ({"active": 1}, "feature 'active' is 1, but the model takes true or false there (BOOL)"),
        ({"active": None}, "feature 'active' is missing, but the model takes true or false there (BOOL)"),
        (
            {"agee": 1},
            "records[1]: the model has no feature 'agee'; it has 'age', 'visits', 'plan', 'active'",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], words: str) -> None:
    assert words in refusal(MIXED, {"records": [ANA, BO | changes]})


def test_what_does_not_fit_is_named_in_a_matrix_too() -> None:
    rows = [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": "x"}]
    assert refusal(WIDE, {"records": rows}).startswith("records[1]: feature 'c' is \"x\"")


def test_a_typing_error_is_not_a_missing_value() -> None:
    assert "no feature 'B'; it has 'a', 'b', 'c'" in refusal(WIDE, {"records": [{"a": 1, "B": 2, "c": 3}]})


@pytest.mark.parametrize("wrong", [None, 1, "abc", ["a", "b", "c"], True])
def test_a_record_is_an_object(wrong: object) -> None:
    for signature in (WIDE, MIXED):
        assert refusal(signature, {"records": [wrong]}).startswith("records[0] has to be an object")


@pytest.mark.parametrize("wrong", [None, {}, "abc", 1])
def test_records_are_a_list(wrong: object) -> None:
    assert refusal(WIDE, {"records": wrong}).startswith("records has to be a list of objects, such as {")


def test_records_and_inputs_exclude_each_other() -> None:
    assert "either inputs or records" in refusal(WIDE, {"records": [], "inputs": []})


def test_a_bomb_of_empty_records_is_refused() -> None:
    bound = MAX_VALUES // 3
    for signature, most in ((replace(WIDE, max_rows=1000), 1000), (replace(WIDE, max_rows=2**31), bound)):
        found = refusal(signature, {"records": [{}] * (most + 1)}, Problem.TOO_LARGE)
        assert found.endswith(f"send at most {most} at a time")


@pytest.mark.parametrize(
    "features", [None, '["a", "b"]', '["a", "a", "c"]', '["a", "b", 3]', "{}", "[", "null"]
)
def test_a_model_without_feature_names_takes_no_records(features: str | None) -> None:
    signature = replace(WIDE, properties={} if features is None else {"features": features})
    assert "dev.modelwright.features" in refusal(signature, {"records": [{"a": 1}]})


def test_a_single_column_is_called_as_its_input() -> None:
    signature = replace(WIDE, inputs=(TensorSpec("age", "FP64", (-1, 1)),), properties={})
    assert decoded(signature, {"age": 41}, {"age": 42}) == [[[41.0], [42.0]]]


def test_a_model_that_does_not_answer_row_by_row_takes_no_records() -> None:
    signature = replace(WIDE, outputs=(TensorSpec("y", "FP32", (2, -1)),))
    assert "output 'y' has shape [2, -1]" in refusal(signature, {"records": [{"a": 1}]})


def test_a_fixed_number_of_rows_is_asked_for() -> None:
    signature = Signature((TensorSpec("age", "FP32", (2, 1)),), (TensorSpec("y", "FP32", (2, 1)),))
    assert decoded(signature, {"age": 1}, {"age": 2}) == [[[1], [2]]]
    assert "exactly 2 rows at a time, but there are 1" in refusal(signature, {"records": [{"age": 1}]})


def test_an_answer_has_a_label_and_names_its_probabilities() -> None:
    signature = outputs(LABEL, PROBABILITIES, classes=["no", "yes"])
    found = answer(signature, np.array(["yes", "no"], object), np.array([[0.2, 0.8], [1, 0]], np.float32))
    assert found == {
        "model_name": "churn",
        "model_version": "7",
        "records": [
            {"label": "yes", "probabilities": {"no": 0.2, "yes": 0.8}},
            {"label": "no", "probabilities": {"no": 1.0, "yes": 0.0}},
        ],
    }


def test_the_id_comes_back() -> None:
    assert answer(WIDE, np.zeros((1, 1)), identity='a "quoted" id')["id"] == 'a "quoted" id'


def test_classes_that_are_no_text_become_names() -> None:
    signature = outputs(PROBABILITIES, classes=[False, 1.5])
    found = answer(signature, np.array([[0.25, 0.75]], np.float32))
    assert found["records"] == [{"probabilities": {"false": 0.25, "1.5": 0.75}}]


@pytest.mark.parametrize("classes", [None, ["a", "b", "c"], ["1", 1]])
def test_without_a_name_for_each_class_probabilities_are_a_list(classes: list[Any] | None) -> None:
    found = answer(outputs(PROBABILITIES, classes=classes), np.array([[0.25, 0.75]], np.float32))
    assert found["records"] == [{"probabilities": [0.25, 0.75]}]


def test_names_may_hold_whatever_they_like() -> None:
    signature = outputs(TensorSpec('100% "sure"', "FP32", (-1, 2)), LABEL, classes=["%b", '"%%"\u2603'])
    found = answer(signature, np.array([[0.25, 0.75]], np.float32), np.array(["%s,"], object))
    assert found["records"] == [{'100% "sure"': {"%b": 0.25, '"%%"\u2603': 0.75}, "label": "%s,"}]


def test_the_only_output_of_a_regressor_is_its_value() -> None:
    for name in ("variable", "anything"):
        signature = outputs(TensorSpec(name, "FP32", (-1, 1)))
        assert answer(signature, np.array([[1.5], [np.nan]], np.float32))["records"] == [
            {"value": 1.5},
            {"value": None},
        ]


def test_several_outputs_keep_their_names() -> None:
    signature = outputs(TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "INT64", (-1, 2)))
    found = answer(signature, np.array([1.5], np.float32), np.array([[1, 2]]))
    assert found["records"] == [{"a": 1.5, "b": [1, 2]}]


def test_names_that_would_fall_together_are_kept() -> None:
    signature = outputs(LABEL, TensorSpec("label", "INT64", (-1,)))
    found = answer(signature, np.array(["x"], object), np.array([1]))
    assert found["records"] == [{"output_label": "x", "label": 1}]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.arange(8, dtype=np.float32).reshape(2, 2, 2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        (np.array([[["a"]], [["b"]]], object), [[["a"]], [["b"]]]),
        (np.array([["a", "b"], ["c", "d"]], object), [["a", "b"], ["c", "d"]]),
        (np.zeros((2, 0), np.float32), [[], []]),
        (np.array([True, False]), [True, False]),
        (np.array([[1.5, 2.5], [3.5, 4.5]], np.float16)[:, ::-1], [[2.5, 1.5], [4.5, 3.5]]),
    ],
)
def test_every_kind_of_output_has_a_form(array: Any, expected: list[Any]) -> None:
    found = answer(outputs(TensorSpec("y", "FP32", (-1,) * array.ndim)), array)
    assert found["records"] == [{"value": value} for value in expected]


def test_no_rows_are_no_records() -> None:
    assert answer(WIDE, np.zeros((0, 1), np.float32))["records"] == []


@pytest.mark.parametrize(
    "arrays", [[np.zeros(2), np.zeros(3)], [np.float32(1)], [np.zeros(2), np.float32(1)]]
)
def test_an_answer_that_is_not_row_by_row_is_the_models_fault(arrays: list[Any]) -> None:
    specs = [TensorSpec(f"y{number}", "FP64", (-1,)) for number in range(len(arrays))]
    with pytest.raises(OipError) as caught:
        answer(outputs(*specs), *arrays, count=2)
    assert caught.value.problem is Problem.INTERNAL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    datatypes=st.lists(st.sampled_from(sorted(NUMPY_TYPES)), min_size=1, max_size=4),
    rows=st.lists(JSON | st.dictionaries(st.sampled_from("abcd"), JSON), max_size=4),
)
def test_whatever_comes_becomes_tensors_or_an_error(datatypes: list[str], rows: list[Any]) -> None:
    inputs = tuple(TensorSpec(name, kind, (-1, 1)) for name, kind in zip("abcd", datatypes, strict=False))
    signature = Signature(inputs, (TensorSpec("y", "FP32", (-1,)),))
    tensors: list[Any] = []
    complaint = ""
    try:
        tensors = records.decode(signature, {"records": rows})
    except OipError as error:
        complaint = error.message
    assert bool(tensors) != complaint.startswith("records[")
    for spec, tensor in zip(signature.inputs, tensors, strict=False):
        assert tensor.shape == (len(rows), 1)
        assert tensor.dtype == spec.dtype


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path: Path = tmp_path_factory.mktemp("plans") / "model.onnx"
    path.write_bytes(estimators.mixed().content)
    return load(path, None)


def test_records_get_the_answers_that_rows_get(plans: LoadedModel) -> None:
    exported = estimators.mixed()
    rows = estimators.FRAME.to_dict("records")
    tensors = records.decode(plans.signature, {"records": rows})
    for tensor, expected in zip(tensors, exported.feed.values(), strict=True):
        np.testing.assert_array_equal(tensor, expected)
    found = records.RecordsEncoder(plans.signature, "plans", "1").encode(None, plans.run(tensors), len(rows))
    labels, probabilities = exported.answers.values()
    for record, label, (go, stay) in zip(json.loads(found)["records"], labels, probabilities, strict=True):
        assert record["label"] == label
        assert record["probabilities"] == pytest.approx({"go": go, "stay": stay}, abs=1e-5)


def test_a_matrix_is_asked_by_the_names_of_its_columns(cancer: models.Cancer, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    model = load(path, None)
    names = model.signature.features
    assert len(names) == cancer.features
    rows = [dict(zip(names, row, strict=True)) for row in cancer.rows[:5].tolist()]
    (tensor,) = records.decode(model.signature, {"records": rows})
    np.testing.assert_array_equal(tensor, cancer.rows[:5])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("plans") / "model.onnx"
    path.write_bytes(estimators.mixed().content)
    with serving(path) as server:
        yield server.wait_ready()


def test_callers_ask_by_record(served: Served) -> None:
    rows = estimators.FRAME.to_dict("records")[:3]
    reply = served.infer({"records": rows, "id": "q"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.document["id"] == "q"
    labels = estimators.mixed().answers["output_label"][:3].tolist()
    assert [record["label"] for record in reply.document["records"]] == labels


def test_callers_hear_which_record_is_wrong(served: Served) -> None:
    reply = served.infer({"records": [{"plan": "pro", "age": 40, "visit": 1}]})
    assert reply.status == 400
    assert reply.error == "records[0]: the model has no feature 'visit'; it has 'plan', 'age', 'visits'"


def test_a_category_that_the_model_never_saw_is_the_callers_error(served: Served) -> None:
    reply = served.infer({"records": [{"plan": "gold", "age": 40, "visits": 1}]})
    assert reply.status == 400
    assert "Unknown Category" in reply.error


def test_the_converters_mistake_is_not_passed_on(model_file: ModelFile) -> None:
    """skl2onnx writes the two numbers of each row among each other, as one number for each of twice as many rows."""
    estimator = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3000, tol=1e-2, random_state=0)
    model = estimators.to_onnx(estimator.fit(estimators.ROWS, estimators.NUMBERS), estimators.ROWS[:1])
    model.metadata_props.add(key="dev.modelwright.features", value='["a", "b", "c", "d"]')
    with serving(model_file(model.SerializeToString())) as server:
        server.wait_ready()
        reply = server.infer({"records": [{"a": 1}]})
        assert reply.status == 500
        assert "does not answer row by row: to 1 records its outputs have shapes [2, 1]" in reply.error
