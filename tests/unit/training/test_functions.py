"""A small file whose functions would become millions of nodes is refused before ONNX Runtime copies them."""

import onnx
import onnx.helper as build
import pytest
from unit.training.test_publish import TWO_CLASSES, model

from modelwright_training.errors import InputError
from modelwright_training.files import digest_of
from modelwright_training.onnxfile.modelfile import ModelFile, check


def calling(times: int, depth: int) -> onnx.ModelProto:
    """The first function has one node; each other calls the one before it some times, and the graph the last."""
    made = model("agraph (float[N,5] input) => (float[N,5] o) { o = Identity(input) }")
    opsets = [build.make_opsetid("", 17), build.make_opsetid("own", 1)]
    made.opset_import.append(opsets[1])
    del made.graph.node[:]
    made.graph.node.append(build.make_node(f"F{depth - 1}", ["input"], ["o"], domain="own"))
    made.functions.append(
        build.make_function("own", "F0", ["a"], ["b"], [build.make_node("Neg", ["a"], ["b"])], opsets)
    )
    for level in range(1, depth):
        names = ["a", *(f"t{place}" for place in range(times - 1)), "b"]
        body = [
            build.make_node(f"F{level - 1}", [names[place]], [names[place + 1]], domain="own")
            for place in range(times)
        ]
        made.functions.append(build.make_function("own", f"F{level}", ["a"], ["b"], body, opsets))
    return made


def judge(made: onnx.ModelProto) -> None:
    content = made.SerializeToString()
    check(ModelFile(content, digest_of(content)))


@pytest.mark.parametrize(("times", "depth"), [(1, 1), (2, 10), (1, 50)])
def test_functions_are_taken(times: int, depth: int) -> None:
    judge(calling(times, depth))


def test_a_model_without_functions_is_taken() -> None:
    judge(model(TWO_CLASSES))


@pytest.mark.parametrize(
    ("times", "depth", "says"), [(2, 40, "nodes, more than 1,000,000"), (1, 500, "more than 100 deep")]
)
def test_functions_that_grow_without_bound_are_refused(times: int, depth: int, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        judge(calling(times, depth))
    assert refused.value.reason == "ModelMemory"


def test_a_function_that_calls_itself_is_no_onnx() -> None:
    made = calling(1, 1)
    made.functions[0].node[0].CopyFrom(build.make_node("F0", ["a"], ["b"], domain="own"))
    with pytest.raises(InputError) as refused:
        judge(made)
    assert refused.value.reason == "NotOnnx"
