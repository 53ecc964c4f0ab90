"""The body of an inference request to the tensors that the model takes. Running them is left to `batch`."""

from dataclasses import dataclass
from math import prod
from typing import Any

import orjson

from modelwright_serving.limits import AT_ONCE, LARGE, MAX_DOCUMENT, MAX_EMPTY, RECORDS_AT_ONCE
from modelwright_serving.oip import records
from modelwright_serving.oip.binary import Tail, from_bytes
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.oip.signature import Signature, TensorSpec
from modelwright_serving.oip.tensors import Part, Tensor, footprint, from_json, unpack

MAX_DIMENSION = 2**31 - 1
# The parameter that asks for a token for each prediction, and the one of the answer that has them.
PREDICTION_TOKENS = "prediction_tokens"
# Bytes of memory for each value that follows a comma, each list, object, and either end of a string.
_COSTS = ((b",", 32), (b"[", 72), (b"{", 200), (b'"', 32))
_COUNTED_AT_ONCE = 256 * 1024
_BAD_SHAPE = "shape has to be a list of sizes, such as [1, 4]"


@dataclass(slots=True)
class InferRequest:
    """One decoded request: `inputs` in the model's order; `wanted` outputs by position, each binary or JSON.

    `by_record`: it came as records, and so goes its answer. `tokens`: its predictions are to get tokens.
    """

    inputs: list[Part]
    wanted: tuple[tuple[int, bool], ...]
    id: str | None = None
    by_record: bool = False
    tokens: bool = False

    @property
    def footprint(self) -> int:
        """About the bytes that the inputs take beside the body."""
        return sum(map(footprint, self.inputs))

    def tensors(self, signature: Signature) -> list[Tensor]:
        """The inputs as arrays."""
        return [unpack(spec.dtype, part) for spec, part in zip(signature.inputs, self.inputs, strict=True)]


def decode(
    signature: Signature, body: bytes, header_length: int | None = None, *, at_once: bool = False
) -> InferRequest:
    """Decode a body; `header_length` is the value of Inference-Header-Content-Length, if there is one.

    CostlyError if it has to be done `at_once` and takes long, OipError if the body is no request.
    """
    if at_once and (len(body) > LARGE or (len(body) > AT_ONCE and header_length is None)):
        raise CostlyError
    if header_length == 0:
        return _decode_raw(signature, body)
    if header_length is None:
        header, tail = body, None
    else:
        if header_length > len(body):
            raise OipError(
                f"Inference-Header-Content-Length is {header_length}, but the body has {len(body)} bytes"
            )
        header, tail = body[:header_length], Tail(memoryview(body)[header_length:])
    document = _parse(header)
    tokens = "parameters" in document and _flag(document["parameters"], PREDICTION_TOKENS, default=False)
    if "records" in document and "inputs" not in document:
        if at_once and len(header) > RECORDS_AT_ONCE:
            raise CostlyError
        rows: list[Part] = list(records.decode(signature, document, at_once=at_once))
        return InferRequest(rows, signature.all_outputs[False], _id(document), by_record=True, tokens=tokens)
    # Two single letters are found ten times as fast as two words, and are not in the words of every request.
    booleans = (b"r" in header and b"true" in header) or (b"l" in header and b"false" in header)
    inputs = _inputs(signature, document, tail, booleans=booleans)
    if tail is not None:
        tail.expect_empty()
    return InferRequest(inputs, _wanted(signature, document), _id(document), tokens=tokens)


def _parse(header: bytes) -> dict[str, Any]:
    if len(header) > LARGE:
        _check_cost(header)
    try:
        document = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise OipError(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise OipError("the body has to be a JSON object with a list of inputs")
    return document


def document_cost(document: bytes) -> int:
    """About the bytes of memory that the values of a JSON document take."""
    cost = len(document)
    for start in range(0, len(document), _COUNTED_AT_ONCE):  # between two parts other threads have their turn
        cost += sum([document.count(mark, start, start + _COUNTED_AT_ONCE) * size for mark, size in _COSTS])
    return cost


def _check_cost(header: bytes) -> None:
    """OipError if the values of a document would take too much memory, wherever in it they stand."""
    cost = document_cost(header)
    if cost > MAX_DOCUMENT:
        raise OipError(
            f"the values of the JSON document would take about {cost} bytes of memory, and at most {MAX_DOCUMENT} "
            "are given to one request; send fewer rows, or binary data",
            Problem.TOO_LARGE,
            "DocumentSize",
        )


def _id(document: dict[str, Any]) -> str | None:
    value = document.get("id")
    if value is not None and type(value) is not str:
        raise OipError("id has to be a string")
    return value


def _inputs(
    signature: Signature, document: dict[str, Any], tail: Tail | None, *, booleans: bool
) -> list[Part]:
    entries = document.get("inputs")
    if type(entries) is not list:
        raise OipError("inputs has to be a list of tensors")
    found: list[Part | None] = [None] * len(signature.inputs)
    for index, entry in enumerate(entries):
        position = _position(entry, f"inputs[{index}]", signature.input_positions, "input")
        if found[position] is not None:
            raise OipError(f"inputs[{index}]: input {entry['name']!r} is given twice")
        try:
            found[position] = _tensor(signature, signature.inputs[position], entry, tail, booleans=booleans)
        except OipError as error:
            raise error.within(f"inputs[{index}] ({entry['name']})") from None
    return _complete(signature, found)


def _complete(signature: Signature, found: list[Part | None]) -> list[Part]:
    inputs = [part for part in found if part is not None]
    if len(inputs) != len(found):
        missing = [spec.name for spec, part in zip(signature.inputs, found, strict=True) if part is None]
        raise OipError(f"inputs: the model also needs {_listed(missing)}")
    return inputs


def _position(entry: object, where: str, positions: dict[str, int], kind: str) -> int:
    if type(entry) is not dict:
        raise OipError(f"{where} has to be an object")
    name = entry.get("name")
    if type(name) is not str:
        raise OipError(f"{where}.name has to be a string")
    position = positions.get(name)
    if position is None:
        raise OipError(f"{where}: the model has no {kind} {name[:100]!r}; it has {_listed(list(positions))}")
    return position


def _tensor(
    signature: Signature, spec: TensorSpec, entry: dict[str, Any], tail: Tail | None, *, booleans: bool
) -> Part:
    datatype = entry.get("datatype")
    if datatype != spec.datatype:
        raise OipError(f"datatype is {_shown(datatype)}, but the model takes {spec.datatype}")
    shape, count = _shape(spec, entry.get("shape"))
    signature.check_rows(spec, shape)
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is None:
        if "data" not in entry:
            raise OipError("data is missing")
        return from_json(entry["data"], spec.datatype, shape, count, booleans=booleans)
    if type(size) is not int or size < 0:
        raise OipError("parameters.binary_data_size has to be a number of bytes")
    if tail is None:
        raise OipError(
            "binary_data_size is given, but the request has no header Inference-Header-Content-Length"
        )
    return from_bytes(tail.take(size), spec.datatype, shape)


def _shape(spec: TensorSpec, shape: object) -> tuple[list[int], int]:
    """The checked shape, and how many elements it makes."""
    if type(shape) is not list:
        raise OipError(_BAD_SHAPE)
    count = 1
    for size in shape:
        if type(size) is not int or not 0 <= size <= MAX_DIMENSION:
            raise OipError(_BAD_SHAPE)
        count *= size
    if not spec.admits(shape):
        raise OipError(f"shape is {shape}, but the model takes {list(spec.shape)} (-1: any size)")
    if not count:
        check_empty(shape)
    return shape, count


def check_empty(shape: list[int]) -> None:
    """OipError if a tensor without elements claims much room: no data bound what a run then makes of it."""
    if prod(size for size in shape if size) > MAX_EMPTY:
        raise OipError(f"shape {shape} holds no elements, but sizes that make more than {MAX_EMPTY}")


def _wanted(signature: Signature, document: dict[str, Any]) -> tuple[tuple[int, bool], ...]:
    if "outputs" not in document and "parameters" not in document:
        return signature.all_outputs[False]
    binary = _flag(document.get("parameters"), "binary_data_output", default=False)
    entries = document.get("outputs")
    if entries is None or entries == []:
        return signature.all_outputs[binary]
    if type(entries) is not list:
        raise OipError("outputs has to be a list of the outputs that are wanted")
    wanted: dict[int, bool] = {}
    for index, entry in enumerate(entries):
        position = _position(entry, f"outputs[{index}]", signature.output_positions, "output")
        if position in wanted:
            raise OipError(f"outputs[{index}]: output {entry['name']!r} is asked for twice")
        wanted[position] = _flag(entry.get("parameters"), "binary_data", default=binary)
    return tuple(wanted.items())


def _flag(parameters: object, name: str, *, default: bool) -> bool:
    value = parameters.get(name, default) if isinstance(parameters, dict) else default
    if type(value) is not bool:
        raise OipError(f"parameters.{name} has to be true or false")
    return value


def _decode_raw(signature: Signature, body: bytes) -> InferRequest:
    """A body that is nothing but the only input's bytes; every output goes back the same way."""
    if len(signature.inputs) != 1:
        raise OipError("a body without JSON needs a model with one input; this one has several")
    spec = signature.inputs[0]
    if spec.datatype == "BYTES":
        shape = [1 if size == -1 else size for size in spec.shape]
    else:
        shape = _raw_shape(spec, len(body))
    signature.check_rows(spec, shape)
    try:
        tensor = from_bytes(memoryview(body), spec.datatype, shape)
    except OipError as error:
        raise error.within(f"input {spec.name}") from None
    return InferRequest([tensor], signature.all_outputs[True])


def _raw_shape(spec: TensorSpec, size: int) -> list[int]:
    if spec.shape.count(-1) > 1:
        raise OipError(f"a body without JSON cannot say the shape of input {spec.name}: {list(spec.shape)}")
    row = prod(size for size in spec.shape if size != -1) * spec.dtype.itemsize
    rows, rest = divmod(size, row) if row else (0, size)
    if rest:
        raise OipError(f"input {spec.name}: {size} bytes are not a whole number of rows of {row} bytes")
    return [rows if size == -1 else size for size in spec.shape]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


def _shown(value: object) -> str:
    return f"{value[:40]!r}" if isinstance(value, str) else "missing" if value is None else "no string"
