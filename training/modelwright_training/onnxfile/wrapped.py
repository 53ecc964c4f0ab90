"""Outputs that scikit-learn's converter wraps in dictionaries or a sequence, as plain tensors, as the server does it.

A ZipMap makes a dictionary from class to probability for each row, a SequenceConstruct a list of tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

Declared = tuple[str, str, Sequence[object]]
"""Name, ONNX type and shape of an output, as ONNX Runtime has them."""

LABELS = {
    "seq(map(int64,tensor(float)))": "classlabels_int64s",
    "seq(map(string,tensor(float)))": "classlabels_strings",
}


@dataclass(frozen=True)
class Wrapper:
    """A wrapped output: the tensors that it holds, and for dictionaries their keys in the order of the columns."""

    tensors: list[Declared]
    labels: list[int | str] | None = None

    def open(self, answer: Sequence[Any]) -> Sequence[npt.NDArray[Any]]:
        """The tensors in an answer of ONNX Runtime."""
        if self.labels is None:
            return answer
        rows = [[row[label] for label in self.labels] for row in answer]
        return [np.array(rows, np.float32).reshape(len(rows), len(self.labels))]


def find(graph: onnx.GraphProto, outputs: Sequence[Declared]) -> dict[str, Wrapper]:
    """The wrapped outputs by name."""
    nodes = {node.output[0]: node for node in graph.node if len(node.output) == 1}
    shapes = {value.name: value.type.sequence_type.elem_type.tensor_type.shape for value in graph.output}
    found: dict[str, Wrapper] = {}
    for name, kind, _ in outputs:
        node = nodes.get(name, onnx.NodeProto())
        match node.domain, node.op_type:
            case "ai.onnx.ml", "ZipMap" if kind in LABELS:
                labels = _labels(node, LABELS[kind])
                if labels and len(set(labels)) == len(labels):
                    found[name] = Wrapper([(name, "tensor(float)", (None, len(labels)))], labels)
            case "" | "ai.onnx", "SequenceConstruct":
                inner = kind.removeprefix("seq(").removesuffix(")")
                shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in shapes[name].dim]
                found[name] = Wrapper([(f"{name}_{item}", inner, shape) for item in range(len(node.input))])
    return found


def classes(wrappers: Mapping[str, Wrapper]) -> list[int | str] | None:
    """The labels of the dictionaries; None if there are none, or several kinds."""
    found = [wrapper.labels for wrapper in wrappers.values() if wrapper.labels is not None]
    return found[0] if found and all(labels == found[0] for labels in found) else None


def _labels(node: onnx.NodeProto, name: str) -> list[int | str]:
    for attribute in node.attribute:
        if attribute.name == name:
            return [*attribute.ints, *(label.decode() for label in attribute.strings)]
    return []
