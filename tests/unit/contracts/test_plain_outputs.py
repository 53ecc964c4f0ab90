"""The training steps and the server see the same model in the same file."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from unit.serving import estimators, models

from modelwright_serving import model as served
from modelwright_training import modelfile, session


def _sequence() -> bytes:
    """An output that is a list of two matrices."""
    nodes = [
        helper.make_node("Neg", ["x"], ["y"]),
        helper.make_node("SequenceConstruct", ["x", "y"], ["both"]),
    ]
    both = helper.make_tensor_sequence_value_info("both", TensorProto.FLOAT, [None, 2])
    return models.model(nodes, [models.matrix("x")], [both])


BUILDERS: dict[str, Callable[[], bytes]] = {
    "labels that are texts": lambda: estimators.strings().content,
    "labels that are numbers": lambda: estimators.logistic().content,
    "two classifiers": lambda: estimators.two_classifiers().content,
    "a list of matrices": _sequence,
    "nothing wrapped": lambda: models.cancer().content,
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_both_programs_see_the_same_outputs_and_classes(build: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    file = modelfile.read(path)
    modelfile.check(file)

    trained, loaded = session.load(file), served.load(path, None)

    assert loaded.digest == file.digest
    names = [(spec.name, spec.datatype) for spec in loaded.signature.outputs]
    assert [(tensor.name, tensor.datatype) for tensor in trained.outputs] == names
    assert session.listed(trained, "classes") == json.loads(
        loaded.signature.properties.get("classes", "null")
    )
    rows = {
        spec.name: np.full([3 if size == -1 else size for size in spec.shape], 1, spec.dtype)
        for spec in loaded.signature.inputs
    }
    answers = trained.run(rows)
    for (name, _), answer in zip(names, loaded.run(list(rows.values())), strict=True):
        np.testing.assert_array_equal(answers[name], answer)
