"""Puts in front of a converted pipeline what turns the features of a request into the pipeline's columns.

Callers send each column as the data has it; numpy does the same for the trainer in `frames`."""

from collections.abc import Mapping

import onnx
import onnx.helper

from modelwright_training.documents import Dataset, Feature
from modelwright_training.features.date_nodes import date_nodes
from modelwright_training.features.nodes import Nodes
from modelwright_training.features.prepared import columns_of
from modelwright_training.features.wide import difference_nodes

# The operators on text that dates need are younger than what other pipelines need.
OPSET, OPSET_OF_DATES = 17, 20

TYPES = {"FP64": onnx.TensorProto.DOUBLE, "INT64": onnx.TensorProto.INT64}
# No converter uses a slash in names.
PREFIX = "prepare/"


def opset(dataset: Dataset) -> int:
    """The version of ai.onnx that the pipeline has to be converted to."""
    return OPSET_OF_DATES if any(feature.kind == "date" for feature in dataset.features) else OPSET


def attach(model: onnx.ModelProto, dataset: Dataset) -> None:
    """Change a pipeline that takes prepared columns into a model that takes features, each as an input [-1, 1].

    `model` has one input for each of `prepared(dataset)`, named alike. The new inputs are in the order of the
    features; the caller names them."""
    graph = model.graph
    nodes = Nodes(PREFIX)
    inputs = []
    for place, feature in enumerate(dataset.features):
        raw = f"{PREFIX}feature_{place}"
        inputs.append(onnx.helper.make_tensor_value_info(raw, _type(feature), [None, 1]))
        _prepare(nodes, raw, feature, {column.part: column.name for column in columns_of(feature, place)})
    behind = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.input.extend(inputs)
    graph.node.extend([*nodes.nodes, *behind])
    graph.initializer.extend(nodes.constants)
    _declare(model, opset(dataset))


def _type(feature: Feature) -> int:
    if feature.kind != "numeric":
        return onnx.TensorProto.STRING
    return TYPES[feature.datatype] if feature.datatype else onnx.TensorProto.FLOAT


def _prepare(nodes: Nodes, raw: str, feature: Feature, columns: Mapping[str | None, str]) -> None:
    """Compute the columns of a feature, whose names are given by part."""
    values: dict[str | None, str] = {None: raw}
    if feature.kind == "date":
        values.update(date_nodes(nodes, raw, feature))
    elif feature.datatype:
        values[None] = difference_nodes(nodes, raw, feature)
    for part, column in columns.items():
        nodes.add("Identity", values[part], to_name=column)


def _declare(model: onnx.ModelProto, version: int) -> None:
    """Declare the version that the pipeline was converted to; the converter declares the oldest that its nodes fit."""
    versions = {known.domain: known.version for known in model.opset_import} | {"": version}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*known) for known in versions.items())
    standard = [entry for entry in model.opset_import if not entry.domain.startswith("com.")]
    model.ir_version = max(model.ir_version, onnx.helper.find_min_ir_version_for(standard))
