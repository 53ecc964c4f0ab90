"""Whether two answers to the same request say the same: to the bit, but for rounding, or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import orjson
from tritonclient.grpc import service_pb2 as pb

Numbers = npt.NDArray[np.float64]
TOLERANCE = 1e-5
ROUNDED, WRONG = "other bits", "wrong"
TYPES = {"FP32": "<f4", "INT64": "<i8"}


def in_json(first: bytes, later: bytes) -> str:
    """Of two bodies over HTTP."""
    one, other = (
        {output["name"]: np.asarray(output["data"], np.float64) for output in orjson.loads(body)["outputs"]}
        for body in (first, later)
    )
    return _said(one, other)


def in_protobuf(first: bytes, later: bytes) -> str:
    """Of two messages over gRPC, each with its five bytes in front."""
    return _said(_tensors(first), _tensors(later))


COMPARED: Mapping[str, Callable[[bytes, bytes], str]] = {
    "http": in_json,
    "seldom": in_json,
    "grpc": in_protobuf,
}


def _tensors(message: bytes) -> dict[str, Numbers]:
    found = pb.ModelInferResponse.FromString(message[5:])
    return {
        output.name: np.frombuffer(raw, TYPES[output.datatype]).astype(np.float64)
        for output, raw in zip(found.outputs, found.raw_output_contents, strict=True)
    }


def _said(
    one: Mapping[str, Numbers],
    other: Mapping[str, Numbers],
) -> str:
    close = one.keys() == other.keys() and all(
        values.shape == other[name].shape and np.allclose(values, other[name], TOLERANCE, TOLERANCE)
        for name, values in one.items()
    )
    return ROUNDED if close else WRONG
