"""The training steps and the server see the same model in the same file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from unit.serving import estimators, models

from modelwright_serving import model as served
from modelwright_serving.failures import StepError
from modelwright_training.errors import InputError
from modelwright_training.onnxfile import modelfile, session


def _sequence() -> bytes:
    """An output that is a list of two matrices."""
    nodes = [
        helper.make_node("Neg", ["x"], ["y"]),
        helper.make_node("SequenceConstruct", ["x", "y"], ["both"]),
    ]
    both = helper.make_tensor_sequence_value_info("both", TensorProto.FLOAT, [None, 2])
    return models.model(nodes, [models.matrix("x")], [both])


def _dictionaries(*labels: tuple[str, ...]) -> bytes:
    """A plain output before and after an output of dictionaries for each of `labels`, all of the same matrix."""
    operators = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]
    names = [f"m{index}" for index in range(len(labels))]
    nodes = [helper.make_node("Neg", ["x"], ["first"]), helper.make_node("Abs", ["x"], ["last"])]
    nodes += [
        helper.make_node("ZipMap", ["x"], [name], domain="ai.onnx.ml", classlabels_strings=list(keys))
        for name, keys in zip(names, labels, strict=True)
    ]
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, ())
    kind = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.STRING, value))
    wrapped = [helper.make_value_info(name, kind) for name in names]
    x, first, last = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", len(labels[0])])
        for name in ("x", "first", "last")
    )
    return models.model(nodes, [x], [first, *wrapped, last], [], operators)


def _within_a_branch() -> bytes:
    """Dictionaries of which the main graph knows no labels."""
    inner = onnx.load_from_string(_dictionaries(("a", "b"))).graph
    branch = helper.make_graph([inner.node[2]], "branch", [], [inner.output[1]])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    nodes = [*inner.node[:2], helper.make_node("If", ["yes"], ["m0"], then_branch=branch, else_branch=branch)]
    operators = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 1)]
    return models.model(nodes, list(inner.input), list(inner.output), [yes], operators)


BUILDERS: dict[str, Callable[[], bytes]] = {
    "labels that are texts": lambda: estimators.strings().content,
    "labels that are numbers": lambda: estimators.logistic().content,
    "labels that are not sorted": lambda: _dictionaries(("b", "ü", "a")),
    "a single label": lambda: _dictionaries(("a",)),
    "the same labels twice": lambda: _dictionaries(("b", "a"), ("b", "a")),
    "labels of two kinds": lambda: _dictionaries(("b", "a"), ("d", "c")),
    "two classifiers": lambda: estimators.two_classifiers().content,
    "a list of matrices": _sequence,
    "nothing wrapped": lambda: models.cancer().content,
}
# With the reason that the training steps give.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a label that stands for two columns": (lambda: _dictionaries(("a", "a")), "UnsupportedType"),
    "dictionaries made within a branch": (_within_a_branch, "UnsupportedType"),
    "a dictionary for each of two targets": (estimators.two_targets, "NotLoadable"),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_both_programs_see_the_same_outputs_and_classes(build: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    file = modelfile.read(path)
    modelfile.check(file)

    trained, loaded = session.load(file), served.load(path, None)

    assert loaded.digest == file.digest
    outputs = list(zip(trained.outputs, loaded.signature.outputs, strict=True))
    assert all((one.name, one.datatype) == (other.name, other.datatype) for one, other in outputs)
    # The server has seen the shapes of a run where the file declares none.
    assert all(one.shape in {(), other.shape} for one, other in outputs)
    assert session.listed(trained, "classes") == json.loads(
        loaded.signature.properties.get("classes", "null")
    )
    rows = {
        spec.name: np.arange(3 * spec.shape[1], dtype=spec.dtype).reshape(3, -1)
        for spec in loaded.signature.inputs
    }
    answers = trained.run(rows)
    for (_, spec), answer in zip(outputs, loaded.run(list(rows.values())), strict=True):
        np.testing.assert_array_equal(answers[spec.name], answer)
        assert answers[spec.name].dtype == answer.dtype


def test_the_columns_are_in_the_order_of_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_dictionaries(("b", "ü", "a")))
    rows = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    loaded = served.load(path, None)
    assert json.loads(loaded.signature.properties["classes"]) == ["b", "ü", "a"]
    np.testing.assert_array_equal(loaded.run([rows])[1], rows)


@pytest.mark.parametrize(("build", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_both_programs_refuse_the_same_outputs(
    build: Callable[[], bytes], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    with pytest.raises(StepError, match="zipmap=False") as at_serving:
        served.load(path, None)
    assert at_serving.value.reason == "UnsupportedModel"
    with pytest.raises(InputError, match="zipmap=False") as at_training:
        session.load(modelfile.read(path))
    assert at_training.value.reason == reason
