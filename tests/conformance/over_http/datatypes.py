"""Each datatype of the protocol that the model takes, in JSON and as bytes."""

from typing import Any

import numpy as np

from conformance import bodies
from conformance.checks import Check, Group, Run, Severity, expect
from conformance.sources import binary, grpc
from conformance.target import Target
from conformance.tensors import DATATYPES, FLOATS, Tensor, same

GROUP = Group("http")
TABLE = grpc("Tensor data types are shown in the following table along with the size of each type, in bytes.")
NATIVE = binary("All tensor data types are representable as binary data in the native size of the data type.")


def _extremes(tensor: Tensor) -> Tensor:
    """The same shape, filled with what is easily lost on the way: ends of the range, odd texts."""
    dtype = tensor.values.dtype
    values: list[Any]
    if tensor.datatype == "BYTES":
        values = [b"", "\u00e4\u65e5\U0001f600".encode(), b'"\\\n', b" x "]
    elif tensor.datatype == "BOOL":
        values = [True, False]
    elif tensor.datatype in FLOATS:
        values = [float(np.finfo(dtype).max), float(np.finfo(dtype).tiny), -0.0, 1 / 3]
    else:
        limits = np.iinfo(dtype)
        values = [limits.max, limits.min, limits.max - 1, 1]
    filled = np.resize(np.array(values, dtype=dtype), tensor.values.shape)
    return Tensor(tensor.name, tensor.datatype, filled)


def _in_json(datatype: str) -> Run:
    """Extreme values in JSON mean what they mean as bytes; a model that cannot take them refuses both."""

    def run(target: Target) -> None:
        position = target.input_of(datatype)
        tensors = target.tensors()
        tensors[position] = _extremes(tensors[position])
        as_text = target.post(bodies.plain(tensors))
        as_bytes = target.post(bodies.binary(tensors, only={tensors[position].name}))
        if as_bytes.status != 200:
            expect(as_text.status != 200 or bodies.read(as_text), "an answer that cannot be read")
            return
        expected, found = bodies.read(as_bytes).outputs, bodies.read(as_text).outputs
        expect(
            all(same(found[name], expected[name]) for name in expected), "answers differ from those to bytes"
        )

    return run


def _in_bytes(datatype: str) -> Run:
    def run(target: Target) -> None:
        position = target.input_of(datatype)
        target.need_binary()
        body = bodies.binary(target.tensors(), only={target.inputs[position].name})
        target.expect_baseline(target.infer(body).outputs)

    return run


for _name in DATATYPES:
    _json = Check(
        f"datatype.{_name}",
        f"{_name} in JSON, to the ends of its range",
        Severity.MUST,
        TABLE,
        "http",
        _in_json(_name),
    )
    _bytes = Check(
        f"datatype.{_name}-binary", f"{_name} as bytes", Severity.SHOULD, NATIVE, "http", _in_bytes(_name)
    )
    GROUP.add(_json)
    GROUP.add(_bytes)
