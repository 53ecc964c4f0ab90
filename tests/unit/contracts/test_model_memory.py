"""A small file that would take gigabytes is refused by the training steps and the server, with the same reason."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node, make_tensor
from unit.serving import models

_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64
_MANY = 600_000_000  # floats: 2.2 GiB
_ONE = make_tensor("one", _FLOAT, [1], [1.0])
_BIG = helper.make_tensor_value_info("big", _FLOAT, None)

# Loads each file as the program does, and says the reason of each and the most memory that it took in all, in KiB.
_SERVER = """
from modelwright_serving.model import load

def judge(path):
    load(path, None, memory=64 << 20)
"""
_TRAINING = """
import os
os.environ["MODELWRIGHT_ROOT"] = "/nowhere"
from modelwright_training import memory
from modelwright_training.onnxfile import modelfile, session
from modelwright_training.verify import _blank

memory.BYTES = 64 << 20

def judge(path):
    model = session.load(modelfile.read(path))
    model.run({tensor.name: _blank(tensor) for tensor in model.inputs})
"""
_CHILD = """
import json, re, resource, sys
from pathlib import Path

resource.setrlimit(resource.RLIMIT_AS, (1536 << 20, resource.RLIM_INFINITY))

def reason(path):
    try:
        judge(path)
    except Exception as error:
        return getattr(error, "reason", repr(error))
    return "Loaded"

reasons = {path.stem: reason(path) for path in sorted(Path(sys.argv[1]).iterdir())}
# The peak of getrusage would be the parent's, which the child has been for a moment.
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([reasons, int(peak[1])]))
"""


def _sizes(*values: int) -> TensorProto:
    return make_tensor("sizes", _INT64, [len(values)], values)


def _large(nodes: list[onnx.NodeProto], *constants: TensorProto, functions: bool = False) -> bytes:
    """A model that adds the greatest number of `big`, which the nodes make, to its rows."""
    nodes = [
        *nodes,
        make_node("ReduceMax", ["big"], ["most"], keepdims=0),
        make_node("Add", ["x", "most"], ["y"]),
    ]
    content = models.model(nodes, [models.matrix("x")], [models.matrix("y")], list(constants))
    if not functions:
        return content
    made = onnx.load_from_string(content)
    body = [make_node("ConstantOfShape", ["s"], ["b"])]
    made.functions.append(helper.make_function("own", "Make", ["s"], ["b"], body, made.opset_import[:1]))
    made.opset_import.append(helper.make_opsetid("own", 1))
    return bytes(made.SerializeToString())


def _within_a_branch() -> bytes:
    made, small = (
        helper.make_graph([node], "branch", [], [_BIG])
        for node in (
            make_node("ConstantOfShape", ["sizes"], ["big"]),
            make_node("Identity", ["one"], ["big"]),
        )
    )
    yes = make_tensor("yes", TensorProto.BOOL, [], [True])
    return _large(
        [make_node("If", ["yes"], ["big"], then_branch=made, else_branch=small)], _sizes(_MANY), yes, _ONE
    )


def _within_a_loop() -> bytes:
    values = helper.make_tensor_value_info
    body = helper.make_graph(
        [make_node("ConstantOfShape", ["sizes"], ["big2"]), make_node("Identity", ["go"], ["on"])],
        "body",
        [values("i", _INT64, []), values("go", TensorProto.BOOL, []), values("old", _FLOAT, None)],
        [values("on", TensorProto.BOOL, []), values("big2", _FLOAT, None)],
    )
    yes = make_tensor("yes", TensorProto.BOOL, [], [True])
    trips = make_tensor("trips", _INT64, [], [2])
    return _large(
        [make_node("Loop", ["trips", "yes", "one"], ["big"], body=body)], _sizes(_MANY), yes, trips, _ONE
    )


def _doubling(times: int) -> bytes:
    names = ["one", *(f"d{step}" for step in range(1, times)), "big"]
    return _large([make_node("Concat", [old, old], [new], axis=0) for old, new in pairwise(names)], _ONE)


def _several(count: int) -> bytes:
    """Constants each of which is small enough to be computed when the model is loaded."""
    parts = [f"part{index}" for index in range(count)]
    made = [make_node("ConstantOfShape", ["sizes"], [part]) for part in parts]
    return _large([*made, make_node("Sum", parts, ["big"])], _sizes(60_000_000))


def _expanded(kind: str, *constants: TensorProto) -> bytes:
    return _large([make_node(kind, ["one", "sizes"], ["big"])], _ONE, *constants)


def _text() -> bytes:
    """Strings, whose bytes ONNX Runtime takes from no arena."""
    nodes = [
        *(make_node("StringConcat", [f"s{n}", f"s{n}"], [f"s{n + 1}"]) for n in range(31)),
        make_node("StringNormalizer", ["s31"], ["lower"], case_change_action="LOWER"),
        make_node("Shape", ["lower"], ["n"]),
        make_node("Cast", ["n"], ["big"], to=_FLOAT),
    ]
    return _large(nodes, onnx.numpy_helper.from_array(np.array(["abcd"], np.object_), "s0"))


FILES = {
    "ConstantOfShape": lambda: _large([make_node("ConstantOfShape", ["sizes"], ["big"])], _sizes(_MANY)),
    "Expand": lambda: _expanded("Expand", _sizes(_MANY)),
    "Tile": lambda: _expanded("Tile", _sizes(_MANY)),
    "Pad": lambda: _expanded("Pad", _sizes(0, _MANY)),
    "Range": lambda: _large(
        [make_node("Range", ["zero", "most_", "step"], ["big"])],
        *(
            make_tensor(name, _FLOAT, [], [value])
            for name, value in (("zero", 0.0), ("most_", 6e8), ("step", 1.0))
        ),
    ),
    "Resize": lambda: _large(
        [make_node("Resize", ["square", "", "", "sizes"], ["big"], mode="nearest")],
        make_tensor("square", _FLOAT, [1, 1], [1.0]),
        _sizes(1, _MANY),
    ),
    "doubling": lambda: _doubling(30),
    "several": lambda: _several(20),
    "branch": _within_a_branch,
    "loop": _within_a_loop,
    "function": lambda: _large(
        [make_node("Make", ["sizes"], ["big"], domain="own")], _sizes(_MANY), functions=True
    ),
    "text": _text,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, build in FILES.items():
        content = build()
        assert len(content) < 4096
        (folder / f"{name}.onnx").write_bytes(content)
    (folder / "sound.onnx").write_bytes(_doubling(20))
    return folder


@pytest.mark.parametrize("program", [_SERVER, _TRAINING], ids=["server", "training"])
def test_a_small_file_cannot_take_much_memory(files: Path, program: str) -> None:
    child = [sys.executable, "-c", program + _CHILD, str(files)]
    finished = subprocess.run(child, capture_output=True, check=False, timeout=120)
    assert finished.returncode == 0, finished.stderr.decode()
    reasons, most = json.loads(finished.stdout)
    assert reasons == {**dict.fromkeys(FILES, "ModelMemory"), "sound": "Loaded"}
    assert most < 450 * 1024
