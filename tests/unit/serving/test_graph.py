"""The reader of ONNX graphs finds what the onnx package writes, and takes no harm from what nobody writes."""

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from unit.serving import estimators, models

from modelwright_serving import graph
from modelwright_serving.graph import Constant, Model
from modelwright_serving.protobuf import WireError

_ALL = {name: build().content for name, build in estimators.EVERY.items()}


def _nested() -> bytes:
    """A model with a branch in a branch, a function, and attributes of each kind."""
    inner = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["size"], ["z"], value=helper.make_tensor("", 1, [1], [2.5]))],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [helper.make_tensor("size", TensorProto.INT64, [2], [3, 4])],
    )
    choice = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    outer = helper.make_graph([choice], "outer", [], list(inner.output))
    nodes = [
        helper.make_node("Constant", [], ["c"], value=helper.make_tensor("", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["c"], ["w"], then_branch=outer, else_branch=outer),
        helper.make_node(
            "Twice", ["x"], ["y"], domain="own", factor=2.5, n=-3, names=["a", "b"], axes=[0, -1]
        ),
        helper.make_node("Clip", ["x", "", "top"], ["v"], ratios=[0.5, 0.25], text="ü"),
    ]
    main = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "yw"],
        [helper.make_tensor("top", TensorProto.FLOAT, [], [6.0])],
    )
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], []
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return bytes(helper.make_model(main, functions=[twice], opset_imports=opsets).SerializeToString())


def test_nodes_attributes_subgraphs_functions_and_constants_are_found() -> None:
    model = graph.read(_nested())
    assert model.opsets == {"": 20, "own": 1}
    assert model.graph.inputs == {"x": (-1, 2)}
    assert model.graph.outputs == {"y": None, "w": None}
    assert model.graph.constants == {"top": Constant("top", 1, (), (6.0,))}
    _, choice, twice, clip = model.graph.nodes
    assert (twice.op_type, twice.domain, twice.inputs, twice.outputs) == ("Twice", "own", ("x",), ("y",))
    assert twice.attributes == {"factor": 2.5, "n": -3, "names": ("a", "b"), "axes": (0, -1)}
    assert clip.attributes == {"ratios": (0.5, 0.25), "text": "ü"}
    assert clip.inputs == ("x", "", "top")
    assert set(choice.attributes) == {"then_branch", "else_branch"}
    deep = choice.graphs[0].nodes[0].graphs[0]
    assert deep.constants == {"size": Constant("size", 7, (2,), (3, 4))}
    assert deep.nodes[0].attributes["value"] == Constant("", 1, (1,), (2.5,))
    function = model.functions["own", "Twice"]
    assert [node.op_type for node in function.nodes] == ["Add"]
    assert list(function.inputs) == ["a"]
    kinds = [node.op_type for node in model.walk()]
    assert kinds.count("ConstantOfShape") == 4
    assert kinds.count("Add") == 1


@pytest.mark.parametrize("name", _ALL)
def test_real_models_are_read_as_the_onnx_package_reads_them(name: str) -> None:
    expected = onnx.load_from_string(_ALL[name])
    found = graph.read(_ALL[name])
    assert [(node.op_type, node.domain, node.inputs, node.outputs) for node in found.graph.nodes] == [
        (node.op_type, node.domain, tuple(node.input), tuple(node.output)) for node in expected.graph.node
    ]
    for node, wanted in zip(found.graph.nodes, expected.graph.node, strict=True):
        assert list(node.attributes) == [attribute.name for attribute in wanted.attribute]
        for attribute in wanted.attribute:
            if attribute.type == onnx.AttributeProto.INTS:
                assert node.attributes[attribute.name] == tuple(attribute.ints)
            if attribute.type == onnx.AttributeProto.FLOATS:
                assert node.attributes[attribute.name] == tuple(attribute.floats)
    for tensor in expected.graph.initializer:
        constant = found.graph.constants[tensor.name]
        assert constant.shape == tuple(tensor.dims)
        if constant.values is not None:
            assert constant.values == tuple(numpy_helper.to_array(tensor).reshape(-1).tolist())


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13])
@pytest.mark.parametrize("raw", [False, True])
def test_small_constants_of_each_type_are_read_in_both_forms(kind: int, raw: bool) -> None:
    tensor = helper.make_tensor("t", kind, [3], [1, 0, 1])
    if raw:
        tensor = numpy_helper.from_array(numpy_helper.to_array(tensor), "t")
    found = graph.read(models.model([], [], [], [tensor]))
    assert found.graph.constants["t"] == Constant("t", kind, (3,), (1, 0, 1))


def test_large_constants_are_known_by_their_shape_only() -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [65], [0.0] * 65)
    found = graph.read(models.model([], [], [], [tensor]))
    assert found.graph.constants["t"] == Constant("t", 1, (65,), None)


def _walked(content: bytes) -> Model | None:
    try:
        found = graph.read(content)
        for node in found.walk():
            _ = node.attributes
    except WireError:
        return None
    return found


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_broken_bytes_are_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([_nested(), _ALL["strings"], _ALL["logistic"]])))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _walked(bytes(content[: data.draw(st.integers(1, len(content)))]))


def test_a_file_of_nothing_but_tiny_fields_is_given_up_on() -> None:
    nodes = b"\x0a\x00" * 500_001
    size = bytes(
        [
            len(nodes) & 0x7F | 0x80,
            len(nodes) >> 7 & 0x7F | 0x80,
            len(nodes) >> 14 & 0x7F | 0x80,
            len(nodes) >> 21,
        ]
    )
    with pytest.raises(WireError, match="too many fields"):
        graph.read(b"\x3a" + size + nodes)


@pytest.mark.parametrize("number", [4, 7])
def test_a_name_of_another_type_hides_no_operator(number: int) -> None:
    """Protocol buffers would skip such a field, so it must not overrule the one before it."""
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"]).SerializeToString()
    whole = node + bytes([number << 3, 0x41])
    with pytest.raises(WireError):
        graph.read(b"\x3a" + bytes([len(whole) + 2]) + b"\x0a" + bytes([len(whole)]) + whole)


def test_two_functions_of_one_name_are_refused() -> None:
    """ONNX Runtime may tell them apart by what is not read here."""
    model = onnx.load_from_string(_nested())
    function = onnx.FunctionProto(name="Twice", domain="own")
    model.functions.extend([function, function] if not model.functions else [model.functions[0]])
    with pytest.raises(WireError, match="one name"):
        graph.read(model.SerializeToString())
