"""Numbers that float32 cannot tell apart, such as ids and Unix times: an offset is subtracted exactly before rounding.

In numpy for the trainer and as ONNX nodes for callers; both give the same float32 numbers, bit for bit."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from modelwright_training.documents import Feature
from modelwright_training.features.nodes import Nodes

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def difference(values: npt.NDArray[Any], feature: Feature) -> npt.NDArray[np.float32]:
    """The values minus the feature's offset, computed as float64 or int64; NaN stays NaN."""
    if feature.datatype == "FP64":
        exact = values.astype(np.float64) - np.float64(feature.offset or 0)
        with np.errstate(over="ignore"):  # infinite, as in ONNX
            return exact.astype(np.float32)
    offset = int(feature.offset or 0)
    low, high = bounds(offset)
    return (np.clip(values.astype(np.int64), low, high) - np.int64(offset)).astype(np.float32)


def difference_nodes(nodes: Nodes, raw: str, feature: Feature) -> str:
    """The same as nodes behind the input `raw`."""
    if feature.datatype == "FP64":
        exact = nodes.add("Sub", raw, nodes.constant(np.float64(feature.offset or 0)))
    else:
        offset = int(feature.offset or 0)
        low, high = (nodes.constant(np.int64(bound)) for bound in bounds(offset))
        exact = nodes.add("Sub", nodes.add("Clip", raw, low, high), nodes.constant(np.int64(offset)))
    return nodes.add("Cast", exact, to=onnx.TensorProto.FLOAT)


def bounds(offset: int) -> tuple[int, int]:
    """The values whose difference from the offset is an int64; others are taken for the nearest of these.

    They are more than 2^63 away from the offset, so that only callers send them."""
    return max(INT64_MIN, INT64_MIN + offset), min(INT64_MAX, INT64_MAX + offset)
