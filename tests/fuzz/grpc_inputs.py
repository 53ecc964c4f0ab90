"""What callers of the gRPC port send: calls of every method, with messages for any signature."""

from __future__ import annotations

import random
import struct
from functools import lru_cache
from typing import Any

import numpy as np
from conformance.contents import FIELDS
from hpack import Encoder
from tritonclient.grpc import service_pb2 as pb

from fuzz.frames import DATA, END_HEADERS, END_STREAM, HEADERS, Frame
from fuzz.oip_inputs import packed, value
from fuzz.rig import MODEL
from modelwright_serving.oip.signature import Signature, TensorSpec

SERVICE = "/inference.GRPCInferenceService/"
HEALTH = "/grpc.health.v1.Health/"
INFER = SERVICE + "ModelInfer"
STATISTICS = SERVICE + "ModelStatistics"
WATCH = HEALTH + "Watch"
METHODS = (
    *(INFER, INFER, INFER, INFER, WATCH, HEALTH + "Check", SERVICE + "ServerLive", SERVICE + "ServerReady"),
    *(SERVICE + "ServerMetadata", SERVICE + "ModelReady", SERVICE + "ModelMetadata", SERVICE + "ModelConfig"),
    *(STATISTICS, SERVICE + "RepositoryIndex", SERVICE + "RepositoryModelLoad", "/nowhere"),
)
EXTRAS: tuple[tuple[tuple[str, str], ...], ...] = (
    *((), (), (), (("grpc-timeout", "1H"),), (("grpc-timeout", "0n"),), (("grpc-timeout", "x"),)),
    *((("grpc-encoding", "gzip"),), (("grpc-encoding", "br"),), (("content-length", "9"),)),
    *((("te", "gzip"),), (("Upper", "x"),), (("connection", "close"),), ((":path", "/again"),)),
    *((("x-note", "y" * 2000),), (("x-note", "\0"),), (("grpc-encoding", "identity"),)),
)


@lru_cache(maxsize=256)
def block(path: str, extra: tuple[tuple[str, str], ...] = (), method: str = "POST") -> bytes:
    """A request's header block, which refers to no other one."""
    fields = (
        *((":method", method), (":scheme", "http"), (":path", path), (":authority", "fuzz")),
        *(("content-type", "application/grpc"), ("te", "trailers"), *extra),
    )
    return Encoder().encode(fields, huffman=len(path) % 2 == 0)


def call(stream: int, header_block: bytes, message: bytes) -> list[Frame]:
    """The frames of a unary call."""
    return [
        Frame(HEADERS, END_HEADERS, stream, header_block),
        Frame(DATA, END_STREAM, stream, struct.pack(">BL", 0, len(message)) + message),
    ]


def infer_message(chance: random.Random, signature: Signature) -> bytes:
    """An inference request that the signature allows."""
    rows = chance.choice((0, 1, 1, 1, 2, 3))
    raw = chance.random() < 0.6 or any(spec.datatype == "FP16" for spec in signature.inputs)
    request = pb.ModelInferRequest(model_name=MODEL, id=chance.choice(("", "", "7", "é")))
    request.model_version = chance.choice(("", "1"))
    for spec in chance.sample(signature.inputs, len(signature.inputs)):
        shape = [size if size != -1 else rows if not at else 2 for at, size in enumerate(spec.shape)]
        values = [value(chance, spec.datatype) for _ in range(int(np.prod(shape)))]
        tensor = request.inputs.add(name=spec.name, datatype=spec.datatype, shape=shape)
        if raw:
            request.raw_input_contents.append(packed(spec.datatype, values))
        else:
            _fill(tensor.contents, spec, values)
    if chance.random() < 0.3:
        for spec in chance.sample(signature.outputs, chance.randint(1, len(signature.outputs))):
            request.outputs.add(name=spec.name)
    if chance.random() < 0.2:
        request.parameters["prediction_tokens"].bool_param = chance.random() < 0.5
    return bytes(request.SerializeToString())


def _fill(contents: Any, spec: TensorSpec, values: list[Any]) -> None:
    texts = [text.encode() for text in values] if spec.datatype == "BYTES" else values
    getattr(contents, FIELDS[spec.datatype]).extend(texts)


def other_message(chance: random.Random) -> bytes:
    """A request that names a model, or a service, or nothing."""
    name = chance.choice((MODEL, MODEL, "other", "")).encode()
    return chance.choice((b"", b"\x0a" + bytes([len(name)]) + name, b"\x12\x00", b"\xff"))
