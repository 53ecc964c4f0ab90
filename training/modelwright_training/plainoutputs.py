"""Turns answers that converters wrap into lists and dictionaries back into plain tensors, exactly as the server does.

A ZipMap (a dictionary from class to probability for each row) becomes its input, and its class labels a property;
a SequenceConstruct becomes one output for each of its items. Judging what is left is done by `modelfile`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

MARKS = (b"ZipMap", b"SequenceConstruct")
# An Identity needs the operators of ONNX itself; every version has it.
IDENTITY_VERSION = 13


@dataclass(frozen=True)
class Plain:
    """A model whose outputs are tensors as far as they could be made so; `classes` is JSON text."""

    content: bytes
    classes: str | None = None


def plain_outputs(content: bytes) -> Plain:
    """The model with plain outputs; the very same bytes if there is nothing to do. DecodeError if it is no ONNX."""
    if not any(mark in content for mark in MARKS):
        return Plain(content)
    model = onnx.ModelProto.FromString(content)
    classes = {labels for labels in map(json.dumps, _opened(model.graph)) if labels != "[]"}
    if not any(not entry.domain for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", IDENTITY_VERSION))
    # Dictionaries of several kinds are several answers: no one list of classes says what their columns are.
    return Plain(model.SerializeToString(), classes.pop() if len(classes) == 1 else None)


def _opened(graph: onnx.GraphProto) -> Iterator[list[int | str]]:
    """Opens what wraps an output; gives the labels of each."""
    outputs = {output.name: output for output in graph.output}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if not (node.input and len(node.output) == 1 and node.output[0] in outputs):
            continue
        match node.domain, node.op_type:
            case "ai.onnx.ml", "ZipMap":
                labels = _labels(node)
                names, kinds = [node.output[0]], [_probabilities(len(labels))]
                yield labels
            case "", "SequenceConstruct":
                names = [f"{node.output[0]}_{item}" for item in range(len(node.input))]
                kinds = [outputs[node.output[0]].type.sequence_type.elem_type] * len(names)
            case _:
                continue
        _replace(graph, index, [helper.make_value_info(*named) for named in zip(names, kinds, strict=True)])


def _labels(node: onnx.NodeProto) -> list[int | str]:
    """The classes that a ZipMap names."""
    for attribute in node.attribute:
        if attribute.name == "classlabels_strings":
            return [label.decode() for label in attribute.strings]
        if attribute.name == "classlabels_int64s":
            return list(attribute.ints)
    return []


def _probabilities(width: int) -> onnx.TypeProto:
    """A row for each row; without labels the ZipMap got something else than rows, whose shape is left open."""
    return helper.make_tensor_type_proto(TensorProto.FLOAT, [None, width] if width else None)


def _replace(graph: onnx.GraphProto, index: int, opened: list[onnx.ValueInfoProto]) -> None:
    """Pass on what the node got, under the names of new outputs in the place of its own."""
    node = graph.node.pop(index)
    for value, source in reversed(list(zip(opened, node.input, strict=True))):
        graph.node.insert(index, helper.make_node("Identity", [source], [value.name]))
    for values in (graph.output, graph.value_info):
        for place in reversed(range(len(values))):
            if values[place].name == node.output[0]:
                values.pop(place)
                if values is graph.output:
                    for value in reversed(opened):
                        values.insert(place, value)
