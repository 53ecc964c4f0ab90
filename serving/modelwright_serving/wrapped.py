"""Outputs that scikit-learn's converter wraps in dictionaries or a sequence, as plain tensors.

A ZipMap makes a dictionary from class to probability for each row, a SequenceConstruct a list of tensors. Only those
of the main graph are known; judging what else a model gives is left to `runtime`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np

from modelwright_serving import graph
from modelwright_serving.graph import ML_DOMAIN, Node
from modelwright_serving.oip.signature import ONNX_TYPES, TensorSpec
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.protobuf import WireError

_MARKS = (b"ZipMap", b"SequenceConstruct")
# The attribute with the labels, by the output's type.
_LABELS = {
    "seq(map(int64,tensor(float)))": "classlabels_int64s",
    "seq(map(string,tensor(float)))": "classlabels_strings",
}


@dataclass(frozen=True)
class Dictionaries:
    """An output with a dictionary for each row; `labels` are its keys in the order of the columns."""

    name: str
    labels: tuple[object, ...]

    def specs(self) -> list[TensorSpec]:
        return [TensorSpec(self.name, "FP32", (-1, len(self.labels)))]

    def tensors(self, rows: list[dict[object, float]]) -> list[Tensor]:
        values = map(itemgetter(*self.labels), rows)
        flat = values if len(self.labels) == 1 else chain.from_iterable(values)
        shape = (len(rows), len(self.labels))
        return [np.fromiter(flat, np.float32, shape[0] * shape[1]).reshape(shape)]


@dataclass(frozen=True)
class Items:
    """An output with a list of `count` tensors."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    count: int

    def specs(self) -> list[TensorSpec]:
        return [TensorSpec(f"{self.name}_{index}", self.datatype, self.shape) for index in range(self.count)]

    def tensors(self, items: list[Tensor]) -> list[Tensor]:
        return items


Wrapper: TypeAlias = Dictionaries | Items


def find(content: bytes, types: Sequence[tuple[str, str]]) -> dict[int, Wrapper]:
    """The wrapped outputs of a model file by position; `types` are the name and ONNX type of each output."""
    if not any(mark in content for mark in _MARKS):
        return {}
    try:
        main = graph.read(content).graph
        nodes = {node.outputs[0]: node for node in main.nodes if len(node.outputs) == 1}
        found = {
            position: _wrapper(nodes[name], name, kind, main.outputs[name])
            for position, (name, kind) in enumerate(types)
            if name in nodes
        }
    except WireError:
        return {}
    return {position: wrapper for position, wrapper in found.items() if wrapper is not None}


def classes(wrappers: Mapping[int, Wrapper]) -> str | None:
    """The labels as a JSON list; None if there are none, or dictionaries of several kinds."""
    found = {wrapper.labels for wrapper in wrappers.values() if isinstance(wrapper, Dictionaries)}
    return json.dumps(found.pop(), ensure_ascii=False) if len(found) == 1 else None


def opened(outputs: list[Any], wrappers: Mapping[int, Wrapper]) -> list[Tensor]:
    """What ONNX Runtime gave, with one or several tensors in the place of each wrapped output."""
    tensors: list[Tensor] = []
    for position, output in enumerate(outputs):
        wrapper = wrappers.get(position)
        tensors += [output] if wrapper is None else wrapper.tensors(output)
    return tensors


def _wrapper(node: Node, name: str, kind: str, shape: graph.Shape) -> Wrapper | None:
    if (node.domain, node.op_type) == (ML_DOMAIN, "ZipMap") and kind in _LABELS:
        labels = node.attributes.get(_LABELS[kind])
        if isinstance(labels, tuple) and labels and len(set(labels)) == len(labels):
            return Dictionaries(name, labels)
    if (node.domain, node.op_type) == ("", "SequenceConstruct"):
        datatype = ONNX_TYPES.get(kind.removeprefix("seq(").removesuffix(")"))
        return None if datatype is None else Items(name, datatype, shape or (), len(node.inputs))
    return None
