"""Puts in front of a converted pipeline what turns the features of a request into the pipeline's columns.

Callers send each column as the data has it; numpy does the same for the trainer in `frames`."""

import onnx
import onnx.helper

from modelwright_training.documents import Dataset, Feature
from modelwright_training.features.nodes import Nodes
from modelwright_training.features.prepared import prepared
from modelwright_training.features.wide import difference_nodes

# The operators on text that dates need are younger than what other pipelines need.
OPSET, OPSET_OF_DATES = 17, 20

TYPES = {"FP64": onnx.TensorProto.DOUBLE, "INT64": onnx.TensorProto.INT64}


def opset(dataset: Dataset) -> int:
    """The version of ai.onnx that the pipeline has to be converted to."""
    return OPSET_OF_DATES if any(feature.kind == "date" for feature in dataset.features) else OPSET


def attach(model: onnx.ModelProto, dataset: Dataset) -> None:
    """Change a pipeline that takes prepared columns into a model that takes features, each as an input [-1, 1].

    `model` has one input for each of `prepared(dataset)`, named alike. All of its tensors get other names, its
    outputs too, so that none is called as a feature."""
    graph = model.graph
    prefix = _prefix(dataset)
    _rename(graph, f"{prefix}pipeline/")
    nodes = Nodes(f"{prefix}prepare/")
    columns = {column.name: f"{prefix}pipeline/{column.name}" for column in prepared(dataset)}
    for place, feature in enumerate(dataset.features):
        _prepare(nodes, feature, columns[f"column_{place}"])
    behind = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.input.extend(
        onnx.helper.make_tensor_value_info(feature.name, _type(feature), [None, 1])
        for feature in dataset.features
    )
    graph.node.extend([*nodes.nodes, *behind])
    graph.initializer.extend(nodes.constants)
    _declare(model, opset(dataset))


def _type(feature: Feature) -> int:
    if feature.kind != "numeric":
        return onnx.TensorProto.STRING
    return TYPES[feature.datatype] if feature.datatype else onnx.TensorProto.FLOAT


def _prepare(nodes: Nodes, feature: Feature, column: str) -> None:
    value = difference_nodes(nodes, feature.name, feature) if feature.datatype else feature.name
    nodes.add("Identity", value, to_name=column)


def _prefix(dataset: Dataset) -> str:
    """What no feature's name begins with."""
    prefix = "inner/"
    while any(name.startswith(prefix) for name in dataset.names):
        prefix += "inner/"
    return prefix


def _declare(model: onnx.ModelProto, version: int) -> None:
    """Declare the version that the pipeline was converted to; the converter declares the oldest that its nodes fit."""
    versions = {known.domain: known.version for known in model.opset_import} | {"": version}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*known) for known in sorted(versions.items()))
    model.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(model.opset_import))


def _rename(graph: onnx.GraphProto, prefix: str) -> None:
    """Put a prefix before the name of every tensor, also in the graphs that nodes hold."""
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [prefix + name if name else "" for name in ends]  # no name: the input is left out
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for held in [*inner, *attribute.graphs]:
                _rename(held, prefix)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = prefix + value.name
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        tensor.name = prefix + tensor.name
