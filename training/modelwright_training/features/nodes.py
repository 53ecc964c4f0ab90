"""Collects ONNX nodes and constants under names that cannot clash with others."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.helper
import onnx.numpy_helper


class Nodes:
    """A growing piece of a graph. `prefix` begins the name of every tensor in it."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(
        self,
        operator: str,
        *inputs: str,
        name: str = "",
        to_name: str = "",
        unused: int = 0,
        **attributes: Any,
    ) -> str:
        """Append a node; the name of its first output, which is `to_name` if that is given.

        `unused` is how many outputs it has besides."""
        output = to_name or f"{self._prefix}{len(self.nodes)}"
        others = [f"{output}_{place}" for place in range(unused)]
        node = onnx.helper.make_node(operator, inputs, [output, *others], **attributes)
        node.name = name or output
        self.nodes.append(node)
        return output

    def constant(self, value: npt.ArrayLike) -> str:
        """A tensor that stands in the file: a number, a text, or an array of one type."""
        array = np.asarray(value, dtype=object if isinstance(value, str) else None)
        name = f"{self._prefix}constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name
