"""Edits of an ONNX graph that change none of its answers: what its tensors are called, in which order things stand."""

from collections.abc import Iterator, Mapping
from itertools import chain

import onnx

INNER = "inner/"


def settle(model: onnx.ModelProto, outer: Mapping[str, str]) -> None:
    """Call inputs and outputs as `outer` says, and bring what has no order of its own into one.

    Every other tensor gets a prefix that no name outside starts with: a caller's column may be called like a
    weight or an intermediate result of the converter."""
    prefix = INNER
    while any(name.startswith(prefix) for name in outer.values()):
        prefix += "/"
    names = _Names(outer, prefix)
    for graph in _graphs(model.graph):
        _rename(graph, names)
    imports = sorted(model.opset_import, key=lambda entry: str(entry.domain))
    del model.opset_import[:]
    model.opset_import.extend(imports)


class _Names(dict[str, str]):
    """New names by old ones."""

    def __init__(self, outer: Mapping[str, str], prefix: str) -> None:
        super().__init__({"": ""} | dict(outer))  # an optional input that is left out has no name
        self.prefix = prefix

    def __missing__(self, name: str) -> str:
        return self.prefix + name


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the bodies of its loops and branches: they see the names around them."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in chain([attribute.g] if attribute.HasField("g") else [], attribute.graphs):
                yield from _graphs(inner)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names[name] for name in ends]
    for value in chain(graph.input, graph.output, graph.value_info):
        value.name = names[value.name]
    sparse = ([tensor.values, tensor.indices] for tensor in graph.sparse_initializer)
    for weight in chain(graph.initializer, *sparse):
        weight.name = names[weight.name]
