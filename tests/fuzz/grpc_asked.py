"""Reads what callers sent on an HTTP/2 connection, by hpack and protobuf: the calls that are surely there."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from conformance.contents import FIELDS
from google.protobuf.message import DecodeError
from hpack import Decoder, HPACKError
from tritonclient.grpc import service_pb2 as pb

from fuzz.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    parse,
)
from fuzz.reference import Array, unpacked
from fuzz.rig import MODEL
from modelwright_serving.oip.signature import NUMPY_TYPES, Signature, TensorSpec

DEFAULT_WINDOW = 65_535
Fields = list[tuple[bytes, bytes]]


@dataclass
class Call:
    """A request as far as it came."""

    fields: Fields
    body: bytes = b""
    complete: bool = False
    reset: bool = False

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.fields)

    @property
    def message(self) -> bytes | None:
        """The only message, if it is not compressed."""
        if len(self.body) < 5 or struct.unpack_from(">BL", self.body) != (0, len(self.body) - 5):
            return None
        return self.body[5:]


@dataclass
class Asked:
    """The calls, in their order; `clean` if there is nothing that the server might end the connection for."""

    calls: dict[int, Call] = field(default_factory=dict)
    clean: bool = True
    windows: dict[int, int] = field(default_factory=dict)
    initial: int = DEFAULT_WINDOW
    shrunk: bool = False
    last: int = 0

    def window(self, stream: int) -> int:
        """The most that may be sent on a stream, or (0) on the connection."""
        return (self.initial if stream else DEFAULT_WINDOW) + self.windows.get(stream, 0)


def asked(wire: bytes) -> Asked:
    """Reads it as leniently as any server could; what no server has to take makes it unclean."""
    found = Asked()
    if not wire.startswith(PREFACE):
        found.clean = False
        return found
    frames, rest = parse(wire[len(PREFACE) :])
    found.clean = not rest and bool(frames) and frames[0].kind == SETTINGS
    for frame in frames:
        if frame.kind in {HEADERS, DATA, RST_STREAM}:
            _of_a_stream(found, frame)
        elif frame.kind == SETTINGS:
            _settings(found, frame)
        elif frame.kind == WINDOW_UPDATE:
            found.windows[frame.stream] = found.windows.get(frame.stream, 0) + frame.number
            known = frame.stream == 0 or frame.stream in found.calls
            found.clean &= known and len(frame.payload) == 4 and 0 < frame.number < 2**20
        else:
            plain = frame.kind == PING and frame.stream == 0 and len(frame.payload) == 8
            found.clean &= plain or (frame.kind == PRIORITY and _is_priority(frame))
    return found


def _is_priority(frame: Frame) -> bool:
    return frame.stream > 0 and len(frame.payload) == 5 and frame.number != frame.stream


def _settings(found: Asked, frame: Frame) -> None:
    found.clean &= frame.stream == 0 and not frame.flags & ACK and len(frame.payload) % 6 == 0
    for at in range(0, len(frame.payload) - 5, 6):
        name, number = struct.unpack_from(">HL", frame.payload, at)
        if name == INITIAL_WINDOW_SIZE:
            found.shrunk |= number < DEFAULT_WINDOW
            # What is in force when a call begins is known only of what came before all calls.
            found.initial = max(found.initial, number) if found.last else number
            found.clean &= number < 2**30
        else:
            found.clean &= name == 3


def _of_a_stream(found: Asked, frame: Frame) -> None:
    payload, call = frame.unpadded(), found.calls.get(frame.stream)
    if payload is None:
        found.clean = False
    elif frame.kind == HEADERS:
        _headers(found, frame, payload)
    elif frame.kind == RST_STREAM:
        found.clean &= call is not None and len(frame.payload) == 4
        if call is not None:
            call.reset = True
    elif call is None or call.complete or call.reset:
        found.clean = False
    else:
        call.body += payload
        call.complete = bool(frame.flags & END_STREAM)


def _headers(found: Asked, frame: Frame, block: bytes) -> None:
    """A call begins; trailers and pieces of blocks are more than is surely understood."""
    last, found.last = found.last, max(found.last, frame.stream)
    if frame.stream <= last or not frame.stream & 1 or not frame.flags & END_HEADERS or frame.flags & PADDED:
        found.clean = False
        return
    fields = _fields(block)
    if fields is None:
        found.clean = False
    else:
        found.calls[frame.stream] = Call(fields, complete=bool(frame.flags & END_STREAM))


@lru_cache(maxsize=4096)
def _fields(block: bytes) -> Fields | None:
    """The fields of a block that refers to no other one."""
    try:
        return [(bytes(name), bytes(text)) for name, text in Decoder().decode(block, raw=True)]
    except (HPACKError, IndexError):
        return None


def is_ordinary(call: Call) -> bool:
    """Whether its header fields leave nothing to say but what the method does."""
    headers = call.headers
    names = {b":method", b":scheme", b":path", b":authority", b"content-type", b"te"}
    known = headers.keys() == names and len(headers) == len(call.fields)
    return (
        known
        and (headers[b":method"], headers[b"content-type"]) == (b"POST", b"application/grpc")
        and headers[b"te"] == b"trailers"
        and bool(headers[b":scheme"])
        and all(0x20 <= byte < 0x7F for text in headers.values() for byte in text)
    )


def request_in(message: bytes) -> Any | None:
    """The inference request, if protobuf takes the message."""
    try:
        return pb.ModelInferRequest.FromString(message)
    except DecodeError:
        return None


def tensors(signature: Signature, request: Any) -> dict[str, Array]:
    """The inputs by name; ValueError if anything about the request is wrong."""
    specs = {spec.name: spec for spec in signature.inputs}
    raws = list(request.raw_input_contents)
    wanted = [output.name for output in request.outputs]
    _need(request.model_name == MODEL and request.model_version in {"", "1"})
    _need(sorted(given.name for given in request.inputs) == sorted(specs))
    _need(not raws or len(raws) == len(request.inputs))
    _need(len(set(wanted)) == len(wanted) and set(wanted) <= signature.output_positions.keys())
    found = {}
    for at, given in enumerate(request.inputs):
        spec = specs[given.name]
        _need(
            given.datatype == spec.datatype and spec.admits(given.shape) and min(given.shape, default=0) >= 0
        )
        flat = _raw(spec, raws[at]) if raws else _typed(spec, given)
        _need(not raws or not given.contents.ListFields())
        found[given.name] = flat.reshape(given.shape)
    _need(len({tensor.shape[:1] for tensor in found.values()}) == 1)
    return found


def _need(right: bool) -> None:
    if not right:
        raise ValueError


def _raw(spec: TensorSpec, blob: bytes) -> Array:
    try:
        return unpacked(blob, spec.dtype)
    except struct.error:
        raise ValueError from None


def _typed(spec: TensorSpec, given: Any) -> Array:
    _need(spec.datatype in FIELDS)
    name = FIELDS[spec.datatype]
    _need(all(found.name == name for found, _ in given.contents.ListFields()))
    numbers = list(getattr(given.contents, name))
    if spec.datatype == "BYTES":
        return np.array([text.decode() for text in numbers], np.object_)
    try:
        return np.array(numbers, NUMPY_TYPES[spec.datatype])
    except OverflowError:
        raise ValueError from None
