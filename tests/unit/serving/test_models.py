"""What scikit-learn exports is served as it is, with the answers that scikit-learn gives."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from unit.serving import estimators, models
from unit.serving.conftest import ModelFile
from unit.serving.estimators import Exported
from unit.serving.harness import matrix, serving

from modelwright_serving.failures import StepError
from modelwright_serving.model import LoadedModel, load

Build = Callable[[], Exported]


@pytest.fixture(scope="session", params=estimators.EVERY)
def exported(request: pytest.FixtureRequest) -> Exported:
    return estimators.EVERY[request.param]()


@pytest.fixture
def loaded(exported: Exported, model_file: ModelFile) -> LoadedModel:
    return load(model_file(exported.content), None)


def test_the_answers_are_those_of_scikit_learn(exported: Exported, loaded: LoadedModel) -> None:
    assert [spec.name for spec in loaded.signature.inputs] == list(exported.feed)
    assert [spec.name for spec in loaded.signature.outputs] == list(exported.answers)
    outputs = loaded.run(list(exported.feed.values()))
    for output, expected in zip(outputs, exported.answers.values(), strict=True):
        assert output.shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
        else:
            assert output.tolist() == expected.tolist()


def test_the_signature_says_what_comes_and_what_goes(exported: Exported, loaded: LoadedModel) -> None:
    signature = loaded.signature
    for spec, tensor in zip(signature.inputs, exported.feed.values(), strict=True):
        assert spec.admits(tensor.shape)
    for spec, tensor in zip(signature.outputs, exported.answers.values(), strict=True):
        assert spec.admits(tensor.shape)
    assert signature.properties.get("classes") == exported.classes


def test_the_digest_is_that_of_the_file(exported: Exported, loaded: LoadedModel) -> None:
    assert loaded.digest == f"sha256:{hashlib.sha256(exported.content).hexdigest()}"


@pytest.mark.parametrize(
    "build", [estimators.strings, estimators.two_numbers_of_trees, estimators.regression]
)
def test_rows_of_several_callers_may_share_a_run(build: Build, model_file: ModelFile) -> None:
    assert load(model_file(build().content), None).joins_rows


def test_what_takes_a_fixed_number_of_rows_runs_alone(model_file: ModelFile) -> None:
    assert not load(model_file(estimators.one_row_only().content), None).joins_rows


def test_a_model_that_knows_its_classes_is_believed(model_file: ModelFile) -> None:
    model = onnx.load_from_string(estimators.logistic().content)
    model.metadata_props.add(key="dev.modelwright.classes", value='["no", "yes"]')
    loaded = load(model_file(model.SerializeToString()), None)
    assert loaded.signature.properties["classes"] == '["no", "yes"]'


def test_callers_meet_probabilities_as_a_tensor(model_file: ModelFile) -> None:
    exported = estimators.strings()
    with serving(model_file(exported.content)) as server:
        server.wait_ready()
        metadata = server.get("/v2/models/churn").document
        reply = server.infer(matrix(exported.feed["X"][:5]))
        assert metadata["outputs"][1]["shape"] == [-1, 3]
        assert json.loads(metadata["parameters"]["classes"]) == ["bronze", "gold", "silver"]
        assert reply.output("output_label").tolist() == exported.answers["output_label"][:5].tolist()
        expected = exported.answers["output_probability"][:5]
        np.testing.assert_allclose(reply.output("output_probability"), expected, atol=1e-6)


def test_a_fixed_number_of_rows_is_asked_for(model_file: ModelFile) -> None:
    exported = estimators.one_row_only()
    with serving(model_file(exported.content)) as server:
        server.wait_ready()
        assert server.get("/v2/models/churn").document["inputs"][0]["shape"] == [1, 4]
        assert server.infer(matrix(exported.feed["X"])).status == 200
        refused = server.infer(matrix(estimators.ROWS[:2]))
        assert refused.status == 400
        assert "[1, 4]" in refused.error


def _refusal(path: Path) -> str:
    with pytest.raises(StepError) as caught:
        load(path, None)
    assert caught.value.reason == "UnsupportedModel"
    return caught.value.message


def _sequence_in() -> bytes:
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [None, 2])
    nodes = [helper.make_node("SequenceLength", ["s"], ["n"])]
    return models.model(nodes, [sequence], [helper.make_tensor_value_info("n", TensorProto.INT64, [])])


def _sequence_out() -> bytes:
    sequence = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    return models.model(
        [helper.make_node("SplitToSequence", ["x"], ["parts"])], [models.matrix("x")], [sequence]
    )


def _optional_out() -> bytes:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [None, 2]))
    nodes = [helper.make_node("Optional", ["x"], ["maybe"])]
    return models.model(nodes, [models.matrix("x")], [helper.make_value_info("maybe", kind)])


def _bfloat_out() -> bytes:
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)]
    output = helper.make_tensor_value_info("y", TensorProto.BFLOAT16, [None, 2])
    return models.model(nodes, [models.matrix("x")], [output])


def _hidden_dictionaries() -> bytes:
    """Dictionaries made within a branch, which are left as they are."""
    inner = onnx.load_from_string(estimators.logistic().content).graph
    zipmap = next(node for node in inner.node if node.op_type == "ZipMap")
    branch = helper.make_graph([zipmap], "branch", [], [inner.output[1]])
    always = helper.make_node(
        "Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    )
    choice = helper.make_node("If", ["yes"], ["output_probability"], then_branch=branch, else_branch=branch)
    nodes = [*(node for node in inner.node if node.op_type != "ZipMap"), always, choice]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]
    return models.model(nodes, list(inner.input), list(inner.output), list(inner.initializer), opsets)


@pytest.mark.parametrize(
    ("build", "what", "way_out"),
    [
        (
            _sequence_in,
            "input 's' is of type seq(tensor(float))",
            "each item of the sequence an input of its own",
        ),
        (_sequence_out, "output 'parts' is of type seq(tensor(float))", "an output of its own"),
        (_optional_out, "output 'maybe' is of type optional(tensor(float))", "a tensor that is always there"),
        (_bfloat_out, "output 'y' is of type tensor(bfloat16)", "let the model cast this output"),
        (_hidden_dictionaries, "output 'output_probability' is of type seq(map(", "zipmap=False"),
        (estimators.two_targets, "ZipMap input shape", "zipmap=False"),
        (
            models.unknown_operator,
            "operators that are not taken: evil:Steal",
            "export it with the operators of ONNX",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_way_out(
    build: Callable[[], bytes], what: str, way_out: str, model_file: ModelFile
) -> None:
    message = _refusal(model_file(build()))
    assert what in message
    assert way_out in message


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("weights.bin", "a second file (weights.bin),"),
        ("parts/the weights.bin", "a second file (parts/the weights.bin),"),
        ("../../etc/passwd", "a second file (../../etc/passwd),"),
        ("/etc/passwd", "a second file,"),
    ],
)
def test_weights_in_a_second_file_are_refused_with_the_way_out(
    location: str, named: str, model_file: ModelFile, tmp_path: Path
) -> None:
    model = onnx.load_from_string(models.data_beside_it(tmp_path))
    model.graph.initializer[0].external_data[0].value = location
    message = _refusal(model_file(model.SerializeToString()))
    assert named in message
    assert "save_as_external_data=False" in message


def test_a_model_of_machine_learning_operators_alone_gets_the_one_it_needs(model_file: ModelFile) -> None:
    model = onnx.load_from_string(estimators.strings().content)
    kept = [node for node in model.graph.node if node.op_type in {"LinearClassifier", "Normalizer", "ZipMap"}]
    names = {"label": "output_label"}
    for node in kept:
        node.output[:] = [names.get(name, name) for name in node.output]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    loaded = load(model_file(model.SerializeToString()), None)
    assert loaded.signature.outputs[1].shape == (-1, 3)
