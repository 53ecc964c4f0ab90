"""Reads a model file and refuses what is not a self-contained ONNX model of operators that the server takes.

Nothing of the file is run here; that is left to the session."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.checker
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from modelwright_training.errors import InputError, listing, storage
from modelwright_training.files import digest_of, regular, size_of
from modelwright_training.onnxfile import functions

MAX_BYTES = 2 << 30
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# Of the operators that ONNX Runtime adds: those that exporters and its own tools write. They compute their outputs from
# their inputs alone. The server takes the same; docs/serving.md says what each is for.
ADDED_DOMAIN = "com.microsoft"
_ADDED = (
    "Attention BiasGelu CDist DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul "
    "EmbedLayerNormalization FastGelu FusedConv FusedGemm FusedMatMul GatherBlockQuantized Gelu "
    "GroupQueryAttention Inverse MatMulInteger16 MatMulIntegerToFloat MatMulNBits MultiHeadAttention "
    "QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv "
    "QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere "
    "QuantizeLinear QuickGelu RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization "
    "Tokenizer Trilu"
)
ADDED = frozenset(_ADDED.split())
# Domains whose operators ONNX Runtime may have itself, whatever function of that name the file brings.
RUNTIMES_OWN = ("ai.onnx", "com.microsoft", "com.ms", "org.pytorch")

Graph = onnx.GraphProto | onnx.FunctionProto


@dataclass(frozen=True)
class ModelFile:
    """The bytes of a model and what identifies them."""

    content: bytes
    digest: str

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.content)


def read(path: Path) -> ModelFile:
    """Read a model file of a size that can be served; checks nothing else."""
    with storage(f"Reading {path}"), regular(path) as file:
        if file is None:
            raise InputError(
                "ModelMissing", f"The trainer has left no {path}. It has to write the model there."
            )
        size = size_of(file)
        if size > MAX_BYTES:
            raise InputError("ModelTooLarge", f"{path.name} has {size} bytes; the limit is {MAX_BYTES}.")
        content = file.read()
    return ModelFile(content, digest_of(content))


def check(model: ModelFile) -> None:
    """Refuse what is no ONNX model, is not whole, or needs code that the server does not have."""
    try:
        proto = onnx.ModelProto.FromString(model.content)
    except DecodeError as error:
        raise InputError("NotOnnx", "model.onnx is not an ONNX model: it cannot be parsed.") from error
    _check_external(proto)
    _check_operators(proto)
    functions.check(proto)
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        detail = str(error).strip().split("\n")[0][:300]
        raise InputError("NotOnnx", f"model.onnx is not a valid ONNX model: {detail}") from error


def _graphs(graph: Graph) -> Iterator[Graph]:
    """A graph and all that its nodes hold."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            graphs: list[onnx.GraphProto] = [attribute.g, *attribute.graphs]
            for inner in graphs:
                if inner.node or inner.initializer:
                    yield from _graphs(inner)


def _all_graphs(model: onnx.ModelProto) -> Iterator[Graph]:
    tops: list[Graph] = [model.graph, *model.functions]
    for top in tops:
        yield from _graphs(top)


def _tensors(graph: Graph) -> Iterator[onnx.TensorProto]:
    if isinstance(graph, onnx.GraphProto):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def _check_external(model: onnx.ModelProto) -> None:
    for graph in _all_graphs(model):
        for tensor in _tensors(graph):
            if uses_external_data(tensor):
                raise InputError(
                    "ExternalData",
                    f"Tensor {tensor.name!r} lies in another file. Save the model as one file "
                    "(onnx.save_model with save_as_external_data=False).",
                )


def _check_operators(model: onnx.ModelProto) -> None:
    own = {
        (function.domain, function.name)
        for function in model.functions
        if not function.domain.startswith(RUNTIMES_OWN)
    }
    custom = {
        f"{node.domain}:{node.op_type}"
        for graph in _all_graphs(model)
        for node in graph.node
        if not _taken(node) and (node.domain, node.op_type) not in own
    }
    if custom:
        raise InputError(
            "CustomOperators",
            f"The model needs operators that the server does not take: {listing(sorted(custom))}. Export it with "
            f"operators of the domains ai.onnx and ai.onnx.ml; of {ADDED_DOMAIN}, those that docs/serving.md lists.",
        )


def _taken(node: onnx.NodeProto) -> bool:
    return node.domain in DOMAINS or (node.domain == ADDED_DOMAIN and node.op_type in ADDED)
