"""The training steps and the server take the same operators: those that docs/serving.md lists."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def
from unit.serving import models
from unit.training.pod import Pod
from unit.training.test_verify import document, stored

from modelwright_serving import model as served
from modelwright_serving import taken
from modelwright_serving.failures import StepError
from modelwright_training.errors import InputError
from modelwright_training.onnxfile import modelfile

GUIDE = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()
TEXTS = Path(__file__).parent / "text"
# They load what others have compiled, draw random numbers, call subgraphs without a bound, or serve tests.
REFUSED = ("BeamSearch", "EPContext", "GreedySearch", "SampleOp", "Sampling", "Snpe", "WhisperBeamSearch")


def _documented() -> set[str]:
    section = GUIDE.split("### Operators")[1].split("###")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall("`([A-Za-z0-9]+)`", row.split("|")[1])}


def test_both_programs_take_what_the_guide_lists() -> None:
    assert taken.ADDED == modelfile.ADDED == _documented()
    assert taken.RUNTIMES_OWN == modelfile.RUNTIMES_OWN
    assert not taken.ADDED & set(REFUSED)


def test_onnx_runtime_has_a_kernel_for_each() -> None:
    kernels = {
        found.op_name
        for found in get_all_opkernel_def()
        if (found.domain, found.provider) == ("com.microsoft", "CPUExecutionProvider")
    }
    assert kernels >= taken.ADDED


def _of(domain: str, name: str, *, own: bool = False) -> bytes:
    """A model of one operator, which it defines as a function of its `own`."""
    node = helper.make_node(name, ["x"], ["y"], domain=domain)
    graph = helper.make_graph([node], "test", [models.matrix("x")], [models.matrix("y")])
    versions = [helper.make_opsetid("", 20), helper.make_opsetid(domain, 1)]
    body = [helper.make_node("Neg", ["x"], ["y"])]
    functions = [helper.make_function(domain, name, ["x"], ["y"], body, versions)] if own else []
    made = helper.make_model(graph, opset_imports=versions, functions=functions, ir_version=9)
    return bytes(made.SerializeToString())


def _within_a_branch() -> bytes:
    node = helper.make_node("SampleOp", ["x"], ["z"], domain="com.microsoft")
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["rows", 2])
    branch = helper.make_graph([node], "branch", [], [out])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)]
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    return models.model(nodes, [models.matrix("x")], [models.matrix("y")], [yes], versions)


BUILDERS: dict[str, Callable[[], bytes]] = {
    **{name: partial(_of, "com.microsoft", name) for name in REFUSED},
    "an operator of the user's own": lambda: _of("evil", "Steal"),
    "within a branch": _within_a_branch,
    "a function in the name of ONNX Runtime's": lambda: _of("com.microsoft", "SampleOp", own=True),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_both_programs_refuse_the_others(build: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    (name,) = {node.op_type for node in _nodes(onnx.load(path))} - {"If", "Neg"}
    with pytest.raises(InputError, match=name) as by_training:
        modelfile.check(modelfile.read(path))
    assert by_training.value.reason == "CustomOperators"
    with pytest.raises(StepError, match=f"not taken: .*{name}") as by_server:
        served.load(path, None)
    assert by_server.value.reason == "UnsupportedModel"


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    inner = [attribute.g.node for node in model.graph.node for attribute in node.attribute]
    return [*model.graph.node, *(node for nodes in inner for node in nodes)]


@pytest.mark.parametrize(
    "build", [lambda: _of("com.microsoft", "Gelu"), lambda: _of("mine", "Twice", own=True)]
)
def test_both_programs_take_a_listed_operator_and_a_function_of_the_file(
    build: Callable[[], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(build())
    modelfile.check(modelfile.read(path))
    served.load(path, None)


def test_a_model_that_lowers_letters_is_verified_and_served(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    path, digest = stored(pod, (TEXTS / "lower.onnx").read_bytes())
    assert pod.verify(document(digest)).result["signature"]["inputs"] == [
        {"name": "text", "datatype": "BYTES", "shape": [-1]}
    ]
    model = served.load(path, digest)
    (values,) = model.run([np.array(["RED", "Green", "blue", ""], np.object_)])
    assert values.tolist() == [1, 2, 0, 0]
    assert model.joins_rows


def test_a_text_classifier_of_scikit_learn_is_verified_and_served(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    path, digest = stored(pod, (TEXTS / "tfidf.onnx").read_bytes())
    assert pod.verify(document(digest)).code == 0
    model = served.load(path, digest)
    labels, _ = model.run([np.array([["Win MONEY now"], ["minutes of a meeting"], [""]], np.object_)])
    assert labels.tolist()[:2] == ["spam", "ham"]
    # The words of a row are filled up to those of the longest one, so each request runs alone, off the event loop.
    assert "Tokenizer (which makes 'tokenized') fills every row up" in model.sharing.reason
    assert not model.pace.steady


def test_a_locale_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = onnx.load(TEXTS / "lower.onnx")
    found.graph.node[0].attribute.append(helper.make_attribute("locale", "xx_YY.UTF-8"))
    path = tmp_path / "model.onnx"
    onnx.save(found, path)
    with pytest.raises(StepError, match=r"needs the locale xx_YY.UTF-8.*images have en_US.UTF-8"):
        served.load(path, None)


@pytest.mark.parametrize("words", [[], ["red"]])
def test_rows_share_runs_unless_stop_words_drop_some(words: list[str], tmp_path: Path) -> None:
    found = onnx.load(TEXTS / "lower.onnx")
    if words:
        found.graph.node[0].attribute.append(helper.make_attribute("stopwords", words))
    path = tmp_path / "model.onnx"
    onnx.save(found, path)
    sharing = served.load(path, None).sharing
    assert sharing.allowed == (not words)
    assert not words or "drops the rows that hold a stop word" in sharing.reason
