"""Inference requests for any signature: valid ones at random, and ways in which a document can be wrong."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from modelwright_serving.oip.signature import NUMPY_TYPES, Signature, TensorSpec

MAX_ROWS = 4
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 0.5, -0.0, 1e300, 1e-320, 2**31 - 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**70)),
    *("", "x", "y", "FP32", "INT64", "BYTES", "FP16", "BF16", "fp32", "\0", "é\U0001f600", "%s%n%b", "a" * 300),
    *([], {}, [[]], [None], [1, [2]], [[1], [2]], {"name": "x"}, [0], [-1], [2**31 - 1, 0], [0, 0], [1] * 70),
)  # fmt: skip
KEYS = (
    *("inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "id", "binary_data_size"),
    *("binary_data", "binary_data_output", "prediction_tokens", "records", "extra", ""),
)
_WORDS = ("", "a", "free", "pro", "né", "\U0001f600", '"quoted"', "a,b", "],[", "%d")


def request(chance: random.Random, signature: Signature) -> tuple[dict[str, Any], bytes]:
    """A request that the signature allows, and the binary data that follows it."""
    rows = chance.choice((0, 1, 1, 1, 2, 3, MAX_ROWS))
    binary = chance.random() < 0.3
    blobs: list[bytes] = []
    inputs = [_tensor(chance, spec, rows, blobs, binary=binary) for spec in signature.inputs]
    document: dict[str, Any] = {"inputs": chance.sample(inputs, len(inputs)) if not blobs else inputs}
    if chance.random() < 0.3:
        document["id"] = chance.choice(("", "7", "é"))
    if chance.random() < 0.3:
        wanted = chance.sample(signature.outputs, chance.randint(1, len(signature.outputs)))
        document["outputs"] = [_output(chance, spec.name) for spec in wanted]
    if chance.random() < 0.2:
        names = ("binary_data_output", "prediction_tokens")
        document["parameters"] = {name: chance.random() < 0.5 for name in names if chance.random() < 0.7}
    return document, b"".join(blobs)


def records(chance: random.Random, signature: Signature) -> tuple[dict[str, Any], bytes]:
    """Rows that name their features, some with gaps."""
    kinds = {name: signature.inputs[at % len(signature.inputs)] for at, name in enumerate(signature.features)}
    rows = [
        {name: value(chance, spec.datatype) for name, spec in kinds.items() if chance.random() < 0.95}
        for _ in range(chance.randint(0, MAX_ROWS))
    ]
    return {"records": rows}, b""


def _output(chance: random.Random, name: str) -> dict[str, Any]:
    if chance.random() < 0.5:
        return {"name": name}
    return {"name": name, "parameters": {"binary_data": chance.random() < 0.5}}


def _tensor(
    chance: random.Random, spec: TensorSpec, rows: int, blobs: list[bytes], *, binary: bool
) -> dict[str, Any]:
    shape = [
        size if size != -1 else rows if not at else chance.randint(0, 3) for at, size in enumerate(spec.shape)
    ]
    values = [value(chance, spec.datatype) for _ in range(int(np.prod(shape)))]
    tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": shape}
    if binary and chance.random() < 0.8:
        blobs.append(packed(spec.datatype, values))
        tensor["parameters"] = {"binary_data_size": len(blobs[-1])}
    else:
        nested = chance.random() < 0.5 and all(shape)
        tensor["data"] = np.array(values, dtype=object).reshape(shape).tolist() if nested else values
    return tensor


def value(chance: random.Random, datatype: str) -> Any:
    """An element of a tensor."""
    if datatype == "BYTES":
        return chance.choice(_WORDS)
    if datatype == "BOOL":
        return chance.random() < 0.5
    if datatype.startswith("FP"):
        return chance.choice((0.0, 1.0, -1.5, 65504.0, chance.uniform(-100, 100)))
    bounds = np.iinfo(NUMPY_TYPES[datatype].name)
    return chance.choice((0, 1, 7, int(bounds.max), int(bounds.min)))


def packed(datatype: str, values: list[Any]) -> bytes:
    """Elements in the binary form."""
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array(values, NUMPY_TYPES[datatype]).tobytes()


def encoded(chance: random.Random, document: Any, blob: bytes) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON part where it has to be told."""
    header = json.dumps(document, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return header + blob, len(header) if blob or chance.random() < 0.1 else None


def broken(chance: random.Random, document: Any) -> Any:
    """The document with something wrong somewhere in it; the document itself is changed."""
    holder, key = _somewhere(chance, document)
    if holder is None:
        return deepcopy(chance.choice(STRANGE))
    chance.choice(_DAMAGES)(chance, holder, key)
    return document


def _somewhere(chance: random.Random, document: Any) -> tuple[Any, Any]:
    """A place in the document: what holds it, and its key."""
    holder: Any = None
    key: Any = None
    found = document
    while isinstance(found, dict | list) and found and (holder is None or chance.random() < 0.75):
        holder = found
        key = chance.choice(list(found)) if isinstance(found, dict) else chance.randrange(len(found))
        found = holder[key]
    return holder, key


def _replace(chance: random.Random, holder: Any, key: Any) -> None:
    holder[key] = deepcopy(chance.choice(STRANGE))


def _drop(_: random.Random, holder: Any, key: Any) -> None:
    del holder[key]


def _double(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, list):
        holder[key:key] = [deepcopy(holder[key]) for _ in range(chance.choice((1, 1, 2, 50)))]
    else:
        holder[chance.choice(KEYS)] = deepcopy(holder[key])


def _rename(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[chance.choice(KEYS)] = holder.pop(key)


def _wrap(_: random.Random, holder: Any, key: Any) -> None:
    holder[key] = [holder[key]]


def _unwrap(_: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder[key], list) and holder[key]:
        holder[key] = holder[key][0]


def _off_by_one(chance: random.Random, holder: Any, key: Any) -> None:
    if isinstance(holder[key], int | float):
        holder[key] += chance.choice((-1, 1, 0.5, 256, 2**31))


def _deepen(chance: random.Random, holder: Any, key: Any) -> None:
    for _ in range(chance.choice((1, 20, 200))):
        holder[key] = [holder[key]]


def _hollow(chance: random.Random, holder: Any, key: Any) -> None:
    """A tensor that is huge by its shape, but holds nothing."""
    for tensor in (holder, holder[key]):
        if isinstance(tensor, dict) and isinstance(tensor.get("shape"), list) and len(tensor["shape"]) > 1:
            tensor["shape"] = [chance.choice((10**5, 10**6)), *[0] * (len(tensor["shape"]) - 1)]
            tensor["data"] = []
            tensor.pop("parameters", None)


_DAMAGES: tuple[Callable[[random.Random, Any, Any], None], ...] = (
    *(_replace, _replace, _replace, _drop, _double, _rename, _wrap, _unwrap),
    *(_off_by_one, _off_by_one, _deepen, _hollow),
)
