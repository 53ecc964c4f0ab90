"""Triton's extensions in gRPC: the model's configuration, its statistics, the index of models.

Each answer is the document that HTTP gives, which is the message's own JSON form; what stands in them is left to
`oip.documents`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from modelwright_serving import protobuf
from modelwright_serving.oip.errors import OipError
from modelwright_serving.protobuf import VARINT, WireError

_Write = Callable[[int, Any], bytes]
_Fields = Mapping[str, tuple[int, _Write]]


def configuration(document: bytes) -> bytes:
    """ModelConfigResponse."""
    return _message(_CONFIG)(1, orjson.loads(document))


def statistics(document: bytes) -> bytes:
    """ModelStatisticsResponse."""
    return _write(_ALL_STATISTICS, orjson.loads(document))


def index(document: bytes) -> bytes:
    """RepositoryIndexResponse."""
    return _each(_message(_INDEX))(1, orjson.loads(document))


def asks_for_ready(request: bytes) -> bool:
    """Whether a RepositoryIndexRequest is only about models that take requests; OipError if the bytes are none."""
    ready = 0
    try:
        for item in protobuf.read(request, 0, len(request)):
            if item.number == 2 and item.kind == VARINT:
                ready = item.value
    except WireError as error:
        raise OipError(f"the message cannot be read: {error}") from None
    return ready != 0


def _write(fields: _Fields, document: Mapping[str, Any]) -> bytes:
    """A message from its JSON form, whose every field has to be known."""
    return b"".join(fields[name][1](fields[name][0], value) for name, value in document.items())


def _message(fields: _Fields) -> _Write:
    return lambda number, document: protobuf.blob(number, _write(fields, document))


def _each(write: _Write) -> _Write:
    return lambda number, values: b"".join(write(number, value) for value in values)


def _map(write: _Write) -> _Write:
    """Entries are messages of a key and a value."""

    def entry(number: int, item: tuple[str, Any]) -> bytes:
        return protobuf.blob(number, protobuf.string(1, item[0]) + write(2, item[1]))

    return lambda number, values: _each(entry)(number, values.items())


def _enum(*names: str) -> _Write:
    return lambda number, name: protobuf.integer(number, names.index(name))


def _numbers(number: int, values: list[int]) -> bytes:
    return protobuf.numbers(number, tuple(values))


def _truth(number: int, value: object) -> bytes:
    return protobuf.truth(number, value=bool(value))


_TYPE = _enum(
    *("TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64"),
    *("TYPE_INT8", "TYPE_INT16", "TYPE_INT32", "TYPE_INT64"),
    *("TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING"),
)
_INPUT: _Fields = {
    "name": (1, protobuf.string),
    "data_type": (2, _TYPE),
    "format": (3, _enum("FORMAT_NONE")),
    "dims": (4, _numbers),
    "is_shape_tensor": (6, _truth),
    "allow_ragged_batch": (7, _truth),
    "optional": (8, _truth),
}
_OUTPUT: _Fields = {
    "name": (1, protobuf.string),
    "data_type": (2, _TYPE),
    "dims": (3, _numbers),
    "label_filename": (4, protobuf.string),
    "is_shape_tensor": (6, _truth),
}
_GROUP: _Fields = {
    "name": (1, protobuf.string),
    "count": (2, protobuf.integer),
    "kind": (4, _enum("KIND_AUTO", "KIND_GPU", "KIND_CPU")),
}
_CONFIG: _Fields = {
    "name": (1, protobuf.string),
    "platform": (2, protobuf.string),
    "version_policy": (3, _message({"latest": (1, _message({"num_versions": (1, protobuf.integer)}))})),
    "max_batch_size": (4, protobuf.integer),
    "input": (5, _each(_message(_INPUT))),
    "output": (6, _each(_message(_OUTPUT))),
    "instance_group": (7, _each(_message(_GROUP))),
    "dynamic_batching": (11, _message({})),
    "parameters": (14, _map(_message({"string_value": (1, protobuf.string)}))),
    "backend": (17, protobuf.string),
    "model_transaction_policy": (19, _message({"decoupled": (1, _truth)})),
}
_DURATION = _message({"count": (1, protobuf.integer), "ns": (2, protobuf.integer)})
_STAGES = (
    *("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"),
    *("cache_hit", "cache_miss"),
)
_STATISTICS: _Fields = {
    "name": (1, protobuf.string),
    "version": (2, protobuf.string),
    "last_inference": (3, protobuf.integer),
    "inference_count": (4, protobuf.integer),
    "execution_count": (5, protobuf.integer),
    "inference_stats": (
        6,
        _message({stage: (number, _DURATION) for number, stage in enumerate(_STAGES, 1)}),
    ),
    "batch_stats": (7, _each(_message({}))),
}
_ALL_STATISTICS: _Fields = {"model_stats": (1, _each(_message(_STATISTICS)))}
_INDEX: _Fields = {
    name: (number, protobuf.string) for number, name in enumerate(("name", "version", "state", "reason"), 1)
}
