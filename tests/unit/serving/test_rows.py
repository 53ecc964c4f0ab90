"""Rows share a run only where no row can change the answer to another, not even its last bit."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper, numpy_helper
from unit.serving import graphs, models
from unit.serving.conftest import ModelFile

from modelwright_serving import graph, runtime
from modelwright_serving.failures import StepError
from modelwright_serving.model import load
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.rows.probe import DependentError, tried
from modelwright_serving.rows.sharing import Sharing, judge
from modelwright_serving.rows.structure import examine

Array = npt.NDArray[Any]
# Far beyond what the probe tries, and what the models below look for.
HOSTILE = (2e19, -1e20, 3e38, float("nan"), float("inf"), 1e-30, 12345.678, 0.0)


@dataclass
class Opened:
    """A model as the verdict sees it."""

    content: bytes

    def __post_init__(self) -> None:
        self.session = runtime.open_session(self.content)
        self.signature = runtime.signature_of(self.session)

    def run(self, inputs: list[Array]) -> list[Array]:
        return runtime.run(self.session, self.signature, inputs)

    def judged(self) -> Sharing:
        return judge(graph.read(self.content), self.signature, self.run, None)

    def rows_meet(self) -> bool:
        """Whether some row is answered otherwise than alone, found by brute force."""
        width = self.signature.inputs[0].shape[1]
        rows = np.random.default_rng(1).normal(size=(3, width)).astype(np.float32) * 3
        try:
            alone = [self.run([rows[index : index + 1]])[0] for index in range(3)]
        except runtime.RunFailed:
            return True
        if any(answer.shape[:1] != (1,) for answer in alone):
            return True
        return any(
            self._differs(beside, index, alone[index][0])
            for index, row in enumerate(rows)
            for beside in _batches(rows, row, index)
        )

    def _differs(self, batch: Array, place: int, expected: Array) -> bool:
        try:
            (output,) = self.run([batch])
        except runtime.RunFailed:
            return False  # No row is answered; the server tries again with fewer.
        if output.shape != (len(batch), *expected.shape):
            return True
        return not np.allclose(output[place], expected, rtol=1e-3, atol=1e-4, equal_nan=True)


def _batches(rows: Array, row: Array, index: int) -> list[Array]:
    found = [rows, np.repeat(row[None], 7, axis=0)]
    for value in HOSTILE:
        beside = np.full((5, len(row)), value, np.float32)
        beside[index] = row
        found.append(beside)
    return found


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(content=graphs.models())
def test_no_random_graph_in_which_rows_meet_shares_runs(content: bytes) -> None:
    try:
        model = Opened(content)
    except StepError:
        return
    if model.judged().allowed:
        assert not model.rows_meet()


# --- models in which rows meet ---------------------------------------------------------------


def _matrix_model(width: int, nodes: list[onnx.NodeProto], constants: dict[str, Any] | None = None) -> bytes:
    given_ = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", width])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", None])
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    return models.model(nodes, [given_], [made], held, [helper.make_opsetid("", 20)])


node = helper.make_node


def _centred(width: int) -> bytes:
    nodes = [node("ReduceMean", ["x", "axes"], ["mean"]), node("Sub", ["x", "mean"], ["y"])]
    return _matrix_model(width, nodes, {"axes": np.array([0])})


def _training_mode(width: int) -> bytes:
    kinds = {"scale": 1, "bias": 0, "mean": 0, "var": 1}
    constants = {name: np.full(width, value, np.float32) for name, value in kinds.items()}
    names = ["x", *kinds]
    nodes = [node("BatchNormalization", names, ["y", "m", "v"], training_mode=1)]
    return _matrix_model(width, nodes, constants)


def _quantized_as_usual(width: int) -> bytes:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    return _matrix_model(width, nodes)


def _outlier(width: int) -> bytes:
    """Mixes rows only once some value exceeds what no probe would try."""
    nodes = [
        node("ReduceMax", ["x"], ["most"], keepdims=1),
        node("Greater", ["most", "limit"], ["beyond"]),
        node("Where", ["beyond", "seven", "x"], ["y"]),
    ]
    return _matrix_model(width, nodes, {"limit": np.float32(1.5e19), "seven": np.float32(7)})


def _branching(width: int) -> bytes:
    """The same by a branch for all rows."""
    ways = [
        helper.make_graph(
            [node(kind, ["x"], [name])], name, [], [helper.make_tensor_value_info(name, 1, None)]
        )
        for kind, name in (("Neg", "turned"), ("Identity", "kept"))
    ]
    nodes = [
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "limit"], ["beyond"]),
        node("If", ["beyond"], ["y"], then_branch=ways[0], else_branch=ways[1]),
    ]
    return _matrix_model(width, nodes, {"limit": np.float32(1.5e19)})


def _hidden_in_a_branch(width: int) -> bytes:
    """A branch that is always taken, and mixes."""
    nodes = [node("CumSum", ["x", "first"], ["summed"])]
    inner = helper.make_graph(nodes, "inner", [], [helper.make_tensor_value_info("summed", 1, None)])
    return _matrix_model(
        width,
        [node("If", ["always"], ["y"], then_branch=inner, else_branch=inner)],
        {"always": np.array(True), "first": np.array(0)},
    )


def _hidden_in_a_function(width: int) -> bytes:
    model = onnx.load_from_string(_matrix_model(width, [node("Tidy", ["x"], ["y"], domain="own")]))
    body = [
        node("Constant", [], ["axes"], value_ints=[0]),
        node("ReduceSum", ["a", "axes"], ["sum"]),
        node("Div", ["a", "sum"], ["b"]),
    ]
    versions = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("own", "Tidy", ["a"], ["b"], body, versions))
    model.opset_import.append(helper.make_opsetid("own", 1))
    return bytes(model.SerializeToString())


def _looped(width: int) -> bytes:
    """Adds up whatever the loop has seen."""
    values = [
        helper.make_tensor_value_info(name, kind, None) for name, kind in (("i", 7), ("go", 9), ("a", 1))
    ]
    kept = [helper.make_tensor_value_info("stay", 9, None), helper.make_tensor_value_info("b", 1, None)]
    body = helper.make_graph(
        [node("Identity", ["go"], ["stay"]), node("CumSum", ["a", "first"], ["b"])], "l", values, kept
    )
    nodes = [node("Loop", ["times", "always", "x"], ["y"], body=body)]
    constants = {"times": np.array(2), "always": np.array(True), "first": np.array(0)}
    return _matrix_model(width, nodes, constants)


def _scanned(width: int) -> bytes:
    """Carries a sum from row to row."""
    names = [helper.make_tensor_value_info(name, 1, [width]) for name in ("sum", "row", "next", "seen")]
    steps = [node("Add", ["sum", "row"], ["next"]), node("Identity", ["next"], ["seen"])]
    body = helper.make_graph(steps, "s", names[:2], names[2:])
    nodes = [node("Scan", ["zero", "x"], ["last", "y"], body=body, num_scan_inputs=1)]
    return _matrix_model(width, nodes, {"zero": np.zeros(width, np.float32)})


def _weighed_by_all(width: int) -> bytes:
    """Attention from row to row."""
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        node("MatMul", ["x", "turned"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], axis=-1),
        node("MatMul", ["weights", "x"], ["y"]),
    ]
    return _matrix_model(width, nodes)


def _counting(width: int) -> bytes:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["count"]),
        node("Greater", ["count", "many"], ["crowded"]),
        node("Where", ["crowded", "seven", "x"], ["y"]),
    ]
    constants = {"first": np.array(0), "many": np.array(100), "seven": np.float32(7)}
    return _matrix_model(width, nodes, constants)


def _sized_by_values(kind: str) -> Callable[[int], bytes]:
    """A tensor whose shape are the values of all rows: how large it is says something of each."""

    def build(width: int) -> bytes:
        ones = {
            "ConstantOfShape": node("ConstantOfShape", ["flat"], ["ones"]),
            "Expand": node("Expand", ["one", "flat"], ["ones"]),
            "Reshape": node("Reshape", ["one", "flat"], ["ones"]),
        }
        nodes = [
            node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
            node("Reshape", ["whole", "all"], ["flat"]),
            ones[kind],
            node("Shape", ["ones"], ["shape"]),
            node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
            node("ReduceSum", ["sizes"], ["sum"], keepdims=0),
            node("Add", ["x", "sum"], ["y"]),
        ]
        return _matrix_model(width, nodes, {"all": np.array([-1]), "one": np.array([1.0], np.float32)})

    return build


def _random(width: int) -> bytes:
    return _matrix_model(width, [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])])


def _by_one(kind: str, **attributes: Any) -> Callable[[int], bytes]:
    def build(width: int) -> bytes:
        return _matrix_model(width, [node(kind, ["x"], ["y"], **attributes)])

    return build


def _sorted(width: int) -> bytes:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["count"]),
        node("TopK", ["x", "count"], ["y", "order"], axis=0),
    ]
    return _matrix_model(width, nodes, {"zero": np.array([0]), "one": np.array([1])})


def _reversed(width: int) -> bytes:
    names = {"start": -1, "stop": -(2**31), "axis": 0, "step": -1}
    constants = {name: np.array([value]) for name, value in names.items()}
    return _matrix_model(width, [node("Slice", ["x", *names], ["y"])], constants)


def _merged(width: int) -> bytes:
    """Everything in one row, normalised, and apart again."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Reshape", ["x", "flat"], ["all"]),
        node("Softmax", ["all"], ["soft"], axis=-1),
        node("Reshape", ["soft", "shape"], ["y"]),
    ]
    return _matrix_model(width, nodes, {"flat": np.array([1, -1])})


MIXING: dict[str, tuple[Callable[[int], bytes], str]] = {
    "centred": (_centred, "ReduceMean"),
    "training mode": (_training_mode, "BatchNormalization"),
    "quantized": (_quantized_as_usual, "DynamicQuantizeLinear"),
    "outlier": (_outlier, "ReduceMax"),
    "branching": (_branching, "ReduceMax"),
    "hidden in a branch": (_hidden_in_a_branch, "CumSum"),
    "hidden in a function": (_hidden_in_a_function, "ReduceSum"),
    "loop": (_looped, "Loop"),
    "scan": (_scanned, "Scan"),
    "attention": (_weighed_by_all, "MatMul"),
    "counting": (_counting, "Greater"),
    **{
        f"sized by {kind}": (_sized_by_values(kind), kind)
        for kind in ("ConstantOfShape", "Expand", "Reshape")
    },
    "random": (_random, "RandomNormalLike"),
    "softmax": (_by_one("Softmax", axis=0), "Softmax"),
    "hardmax": (_by_one("Hardmax", axis=0), "Hardmax"),
    "sorted": (_sorted, "TopK"),
    "reversed": (_reversed, "Slice"),
    "merged": (_merged, "Softmax"),
    "norm": (_by_one("LpNormalization", axis=0), "LpNormalization"),
}


@pytest.mark.parametrize("width", [1, 4, 5, 10])
@pytest.mark.parametrize("name", MIXING)
def test_a_graph_in_which_rows_meet_is_refused_by_the_operator(name: str, width: int) -> None:
    build, operator = MIXING[name]
    model = Opened(build(width))
    sharing = model.judged()
    assert not sharing.allowed
    assert f"operator {operator} " in sharing.reason


@pytest.mark.parametrize("width", [5, 10])
@pytest.mark.parametrize("name", ["centred", "training mode", "quantized", "attention", "merged", "counting"])
def test_the_probe_finds_by_itself_what_it_can(name: str, width: int) -> None:
    model = Opened(MIXING[name][0](width))
    with pytest.raises(DependentError):
        tried(model.run, model.signature, None)


def test_many_small_subgraphs_of_a_large_graph_cost_little() -> None:
    inner = helper.make_graph(
        [node("Neg", ["x"], ["z"])], "i", [], [helper.make_tensor_value_info("z", 1, None)]
    )
    wide = [node("Abs", ["x"], [f"a{index}"]) for index in range(8_000)]
    many = [
        node("If", ["always"], [f"b{index}"], then_branch=inner, else_branch=inner) for index in range(800)
    ]
    content = _matrix_model(2, [*wide, *many, node("Add", ["x", "b9"], ["y"])], {"always": np.array(True)})
    signature = Signature(Opened(_centred(2)).signature.inputs, ())
    assert "too large" in str(examine(graph.read(content), signature).meeting)


def test_a_graph_that_cannot_be_read_proves_nothing() -> None:
    model = Opened(_perceptron())
    sharing = judge(None, model.signature, model.run, None)
    assert not sharing.allowed
    assert "malformed" in sharing.reason


# --- models that keep rows apart -------------------------------------------------------------


def _floats(*shape: int) -> Array:
    return np.linspace(-0.5, 0.5, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def _perceptron() -> bytes:
    """As exported from PyTorch: Gemm, normalisation with fixed numbers, dropout that does nothing."""
    constants = {name: _floats(8, 4) for name in ("w1",)} | {"w2": _floats(3, 8), "b": _floats(8)}
    constants |= {"mean": _floats(8), "var": np.ones(8, np.float32)}
    nodes = [
        node("Gemm", ["x", "w1", "b"], ["h"], transB=1),
        node("BatchNormalization", ["h", "b", "b", "mean", "var"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("Dropout", ["r"], ["d"]),
        node("Gemm", ["d", "w2"], ["z"], transB=1),
        node("Softmax", ["z"], ["y"], axis=1),
    ]
    return _matrix_model(4, nodes, constants)


def _images() -> bytes:
    given_ = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 1, 8, 8])
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "flat"], ["f"]),
        node("MatMul", ["f", "m"], ["y"]),
    ]
    held = {"w": _floats(2, 1, 3, 3), "flat": np.array([-1, 32]), "m": _floats(32, 2)}
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    return models.model(nodes, [given_], [helper.make_tensor_value_info("y", 1, ["rows", 2])], constants)


def _texts() -> bytes:
    """Words to vectors, attention within a row, and the largest of its words."""
    given_ = helper.make_tensor_value_info("x", TensorProto.INT64, ["rows", 3])
    nodes = [
        node("Gather", ["table", "x"], ["e"]),
        node("Transpose", ["e"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["e", "t"], ["s"]),
        node("Softmax", ["s"], ["a"], axis=-1),
        node("MatMul", ["a", "e"], ["v"]),
        node("LayerNormalization", ["v", "ones"], ["n"]),
        node("ReduceMax", ["n", "axes"], ["y"], keepdims=0),
    ]
    held = {"table": _floats(6, 4), "ones": np.ones(4, np.float32), "axes": np.array([1])}
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    return models.model(nodes, [given_], [helper.make_tensor_value_info("y", 1, ["rows", 4])], constants)


def _series() -> bytes:
    given_ = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4, 2])
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "w", "r"], ["", "h"], hidden_size=3),
        node("Squeeze", ["h", "axes"], ["y"]),
    ]
    held = {"w": _floats(1, 9, 2), "r": _floats(1, 9, 3), "axes": np.array([0])}
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    return models.model(nodes, [given_], [helper.make_tensor_value_info("y", 1, ["rows", 3])], constants)


def _shaped_by_count() -> bytes:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["count"]),
        node("Unsqueeze", ["count", "axes"], ["rows"]),
        node("Concat", ["rows", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["wide"]),
        node("ReduceMax", ["wide", "last"], ["sums"], keepdims=0),
        node("ConstantOfShape", ["rows"], ["zeros"], value=helper.make_tensor("", 1, [1], [2.0])),
        node("Unsqueeze", ["zeros", "last"], ["twos"]),
        node("Mul", ["sums", "twos"], ["y"]),
    ]
    held = {"first": np.array(0), "axes": np.array([0]), "rest": np.array([2, -1]), "last": np.array([-1])}
    return _matrix_model(6, nodes, held)


def _within_a_function() -> bytes:
    model = onnx.load_from_string(_matrix_model(4, [node("Soft", ["x"], ["y"], domain="own")]))
    body = [node("Softmax", ["a"], ["b"], axis=1)]
    model.functions.append(
        helper.make_function("own", "Soft", ["a"], ["b"], body, [helper.make_opsetid("", 20)])
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    return bytes(model.SerializeToString())


def _fixed_scales() -> bytes:
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    held = {"scale": np.float32(0.1), "zero": np.uint8(128), "w": _floats(4, 2)}
    return _matrix_model(4, nodes, held)


APART = [_perceptron, _images, _texts, _series, _shaped_by_count, _within_a_function, _fixed_scales]


@pytest.mark.parametrize("build", APART)
def test_what_keeps_rows_apart_shares_runs(build: Callable[[], bytes]) -> None:
    sharing = Opened(build()).judged()
    assert sharing.allowed, sharing.reason


def test_a_lone_row_is_the_same_to_the_last_bit_as_in_a_crowd(
    cancer: models.Cancer, model_file: ModelFile
) -> None:
    model = load(model_file(cancer.content), None)
    assert model.sharing == replace(model.sharing, allowed=True, portion=2, most_rows=256)
    crowd = model.run([cancer.rows[:256]])
    raw = runtime.run(model.session, model.signature, [cancer.rows[:1]])
    alone = [model.run([cancer.rows[index : index + 1]]) for index in range(256)]
    for position, output in enumerate(crowd):
        assert np.concatenate([answer[position] for answer in alone]).tolist() == output.tolist()
        assert raw[position].shape == alone[0][position].shape


def test_where_an_input_lies_in_memory_changes_no_bit(model_file: ModelFile) -> None:
    nodes = [node("ReduceSum", ["x", "axes"], ["y"])]
    model = load(model_file(_matrix_model(37, nodes, {"axes": np.array([1])})), None)
    values = np.random.default_rng(1).normal(size=(64, 37)).astype(np.float32)
    found = set()
    for offset in range(16):
        memory = np.empty(values.size + 16, np.float32)
        moved = memory[offset : offset + values.size].reshape(values.shape)
        moved[...] = values
        found.add(model.run([moved])[0].tobytes())
    assert len(found) == 1


def test_rows_that_are_not_to_share_runs_do_not(cancer: models.Cancer, model_file: ModelFile) -> None:
    model = load(model_file(cancer.content), None, share_rows=False)
    assert not model.joins_rows
    assert "--row-sharing" in model.sharing.reason


def test_a_slow_model_is_tried_in_few_runs_and_shares_small_ones() -> None:
    model = Opened(_perceptron())
    runs: list[int] = []

    def run(inputs: list[Array]) -> list[Array]:
        runs.append(len(inputs[0]))
        time.sleep(0.03)
        return model.run(inputs)

    assert tried(run, model.signature, None) == (1, 16)
    assert len(runs) < 15


def _tried_with_images(side: int) -> tuple[int, set[int]]:
    """The most rows of a run that is shared, and the numbers of rows that were tried."""
    signature = Signature((TensorSpec("x", "FP32", (-1, side, side)),), (TensorSpec("y", "FP32", (-1,)),))
    sizes: set[int] = set()

    def run(inputs: list[Array]) -> list[Array]:
        sizes.add(len(inputs[0]))
        return [part[:, 0, 0] for part in inputs]

    return tried(run, signature, None)[1], sizes


@pytest.mark.parametrize(("side", "most"), [(100, 256), (200, 32), (400, 16)])
def test_large_rows_are_tried_in_runs_that_take_little_memory(side: int, most: int) -> None:
    found, sizes = _tried_with_images(side)
    assert found <= most
    assert max(sizes) <= max(most, 32)  # those beside hostile ones are a few more


def test_rows_too_large_to_be_tried_run_alone() -> None:
    with pytest.raises(DependentError, match="too large"):
        _tried_with_images(1024)


@pytest.mark.parametrize("size", [1, 3, 20, 64])
def test_rows_whose_bits_depend_on_the_size_of_a_run_run_alone(size: int) -> None:
    """A kernel that rounds otherwise for runs of some size, as real ones may on other machines."""
    model = Opened(_perceptron())

    def run(inputs: list[Array]) -> list[Array]:
        (output,) = model.run(inputs)
        return [np.nextafter(output, np.float32(9)) if len(output) <= size else output]

    if size < 16:
        assert tried(run, model.signature, None) == (size + 1, 256)
    else:
        with pytest.raises(DependentError, match="the same in a run of"):
            tried(run, model.signature, None)
