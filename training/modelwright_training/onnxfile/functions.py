"""Bounds what the functions of a model become: ONNX Runtime copies a function's nodes into each node that calls it."""

from collections.abc import Mapping

import onnx

from modelwright_training.errors import InputError

# A file of 2 kB can call itself apart into millions of nodes: each of 21 functions calls the one before it twice.
MOST_NODES = 1_000_000
MOST_DEEP = 100

Calls = Mapping[tuple[str, str], onnx.FunctionProto]


def check(model: onnx.ModelProto) -> None:
    """Refuse a model whose functions make too many nodes, or call each other too deep."""
    functions = {(function.domain, function.name): function for function in model.functions}
    counted: dict[tuple[str, str], int] = {}
    nodes = _count(model.graph, functions, counted, 0)
    if nodes > MOST_NODES:
        raise _too_much(f"become {nodes:,} nodes, more than {MOST_NODES:,}")


def _count(
    graph: onnx.GraphProto | onnx.FunctionProto,
    functions: Calls,
    counted: dict[tuple[str, str], int],
    depth: int,
) -> int:
    """The nodes of a graph with those of all that it calls. A function that calls itself is left to ONNX's checker."""
    if depth > MOST_DEEP:
        raise _too_much(f"call each other more than {MOST_DEEP} deep")
    total = len(graph.node)
    for node in graph.node:
        called = (node.domain, node.op_type)
        if called in functions:
            if called not in counted:
                counted[called] = 0
                counted[called] = _count(functions[called], functions, counted, depth + 1)
            total += counted[called]
        for attribute in node.attribute:
            inner: list[onnx.GraphProto] = [attribute.g, *attribute.graphs]
            total += sum(_count(part, functions, counted, depth + 1) for part in inner if part.node)
    return total


def _too_much(what: str) -> InputError:
    return InputError(
        "ModelMemory", f"The functions of the model {what}. Export it without functions, or with fewer."
    )
