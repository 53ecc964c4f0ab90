"""Records: rows as objects that name their features, and answers as objects that name their classes.

An extension of the protocol's inference request and response. Pure functions; the rest of the request (id, who asks
for it) is left to `request`, running the model to `batch`.
"""

from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from math import nan, prod
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from modelwright_serving.limits import MAX_VALUES
from modelwright_serving.oip.errors import CostlyError, OipError, Problem
from modelwright_serving.oip.signature import NUMPY_TYPES, TYPECODES, Signature, TensorSpec
from modelwright_serving.oip.tensors import Tensor

# An empty record costs a caller three bytes, but the server a value for each feature.
_AT_ONCE = 2**16

_EXAMPLE = '{"records": [{"age": 41, "plan": "pro"}]}'
_KINDS = {"BOOL": "true or false", "BYTES": "a string", "FP64": "a number"}
# What scikit-learn's converter calls the outputs, and what they are.
_PLAIN_NAMES = {"output_label": "label", "output_probability": "probabilities", "variable": "value"}
_MEANINGS = {"label", "probabilities", "scores", "value"}


def decode(signature: Signature, document: dict[str, Any], *, at_once: bool = False) -> list[Tensor]:
    """The model's inputs from a request with `records`, in the model's order.

    CostlyError if it has to be done `at_once` and there are many values.
    """
    records = document.get("records")
    if type(records) is not list:
        raise OipError(f"records has to be a list of objects, such as {_EXAMPLE}")
    if "inputs" in document:
        raise OipError("a request has either inputs or records, not both")
    names = _names(signature)
    _check_count(signature, len(records), len(names))
    if at_once and len(records) * len(names) > _AT_ONCE:
        raise CostlyError
    rows = _rows(records, names)
    if len(signature.inputs) == 1:
        return [_tensor(signature.inputs[0], list(chain.from_iterable(rows)), names)]
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(names)
    return [
        _tensor(spec, column, (name,))
        for spec, column, name in zip(signature.inputs, columns, names, strict=True)
    ]


def _names(signature: Signature) -> tuple[str, ...]:
    """The features, of a model that can be asked by record at all."""
    if not signature.features:
        raise OipError(
            "this model does not say what its features are called, so it takes no records: send inputs, or give "
            "the model the property dev.modelwright.features, a JSON list with the name of each column"
        )
    sizes = {spec.shape[0] for spec in signature.inputs} | {-1}
    for spec in signature.outputs:
        if not spec.shape or spec.shape[0] not in sizes:
            raise OipError(
                f"this model does not answer row by row (output {spec.name!r} has shape {list(spec.shape)}), "
                "so it takes no records: send inputs"
            )
    return signature.features


def _check_count(signature: Signature, count: int, width: int) -> None:
    most = min(signature.max_rows, MAX_VALUES // width)
    if count > most and any(spec.shape[0] == -1 for spec in signature.inputs):
        raise OipError(
            f"{count} records of {width} features are too many for one request; send at most {most} at a time",
            Problem.TOO_LARGE,
            "Rows",
        )
    for spec in signature.inputs:
        if spec.shape[0] not in {-1, count}:
            raise OipError(
                f"the model takes exactly {spec.shape[0]} rows at a time, but there are {count} records"
            )


def _rows(records: list[Any], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The values of each record in the order of the features, with None for what it does not have."""
    width = len(names)
    get: Callable[[Any], tuple[Any, ...]] = itemgetter(*names)  # a tuple, as long as there are several
    known = frozenset(names)
    rows: list[tuple[Any, ...]] = []
    for index, record in enumerate(records):
        try:
            row = get(record)
            complete = width > 1 and len(record) == width
        except (KeyError, TypeError):
            complete = False
        # Most records are complete: then nothing has to be looked for.
        rows.append(row if complete else _completed(record, index, names, known))
    return rows


def _completed(record: object, index: int, names: tuple[str, ...], known: frozenset[str]) -> tuple[Any, ...]:
    if type(record) is not dict:
        raise OipError(f"records[{index}] has to be an object, such as the one in {_EXAMPLE}")
    unknown = next((name for name in record if name not in known), None)
    if unknown is not None:
        raise OipError(
            f"records[{index}]: the model has no feature {unknown[:100]!r}; it has {_listed(names)}"
        )
    return tuple(map(record.get, names))


def _tensor(spec: TensorSpec, values: Sequence[Any], names: tuple[str, ...]) -> Tensor:
    """The values, record by record, as the model's input."""
    try:
        tensor = _converted(values, spec.datatype)
    except (TypeError, OverflowError):
        raise _unsuitable(spec.datatype, values, names) from None
    return tensor.reshape((-1, len(names)) if len(spec.shape) == 2 else -1)


def _converted(values: Sequence[Any], datatype: str) -> Tensor:
    """True and false are 1 and 0 where the model takes numbers, as they are in the data it has learnt from."""
    if datatype == "BYTES":
        return _objects(["" if value is None else value for value in values], str)
    if datatype == "BOOL":
        return _objects(values, bool).astype(np.bool_)
    typecode = TYPECODES.get(datatype, "f")
    try:
        packed = array(typecode, values)
    except TypeError:
        packed = array(typecode, [_mended(value, missing=typecode in "fd") for value in values])
    numbers = np.frombuffer(packed, dtype=typecode)
    if datatype == "FP16":
        with np.errstate(over="ignore"):
            numbers = numbers.astype(np.float16)
    if typecode == "f" and np.isinf(numbers).any():  # JSON has no infinity: this one was a number
        raise OverflowError
    return numbers


def _mended(value: object, *, missing: bool) -> object:
    """What JSON writes in other ways: a missing value as null, a whole number as 1.0.

    A whole number below the 64-bit ones has been read as the nearest float, so it is another by now.
    """
    if value is None and missing:
        return nan
    return int(value) if isinstance(value, float) and value.is_integer() and value > -(2**63) else value


def _objects(values: Sequence[Any], kind: type) -> Tensor:
    if set(map(type, values)) - {kind}:
        raise TypeError
    found = np.empty(len(values), dtype=np.object_)
    found[:] = values
    return found


def _unsuitable(datatype: str, values: Sequence[Any], names: tuple[str, ...]) -> OipError:
    """Name the first value that does not fit."""
    for position, value in enumerate(values):
        try:
            _converted([value], datatype)
        except (TypeError, OverflowError):
            index, column = divmod(position, len(names))
            takes = f"the model takes {_kind(datatype)} there ({datatype})"
            return OipError(f"records[{index}]: feature {names[column]!r} is {_shown(value)}, but {takes}")
    return OipError(f"records hold values that do not fit {datatype}")


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    try:
        return orjson.dumps(value)[:40].decode("utf-8", "replace")
    except orjson.JSONEncodeError:  # what can be read can be nested too deeply to be written
        return "a list or an object"


def _kind(datatype: str) -> str:
    if datatype in _KINDS:
        return _KINDS[datatype]
    dtype = NUMPY_TYPES[datatype]
    if dtype.kind == "f":
        limit = np.finfo(dtype.name).max
        return f"a number from {-limit:.4g} to {limit:.4g}"
    bounds = np.iinfo(dtype.name)
    return f"a whole number from {bounds.min} to {bounds.max}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


class RecordsEncoder:
    """Writes a model's answers to records."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._head = b'{"model_name":%b,"model_version":%b,' % (orjson.dumps(name), orjson.dumps(version))
        classes = [_escaped(found) for found in signature.classes]
        self._columns = [_Column(_escaped(name), classes) for name in _output_names(signature)]

    def encode(self, identity: str | None, arrays: list[Tensor], count: int) -> bytes:
        """The response to `count` records, each of which has to have its row in every output."""
        if any(tensor.shape[:1] != (count,) for tensor in arrays):
            shapes = ", ".join(str(list(tensor.shape)) for tensor in arrays)
            raise OipError(
                f"the model does not answer row by row: to {count} records its outputs have shapes {shapes}",
                Problem.INTERNAL,
            )
        parts = [column.parts(tensor) for column, tensor in zip(self._columns, arrays, strict=True)]
        template = b"{%b}" % b",".join(template for template, _ in parts)
        values = [texts for _, columns in parts for texts in columns]
        records = map(template.__mod__, zip(*values, strict=True)) if values else [template % ()] * count
        known = b"" if identity is None else b'"id":%b,' % orjson.dumps(identity)
        return b'%b%b"records":[%b]}' % (self._head, known, b",".join(records))


class _Column:
    """One output: as a value, a list, or an object with a value for each class."""

    def __init__(self, key: bytes, classes: list[bytes]) -> None:
        self._key = key
        self._classes = classes

    def parts(self, tensor: Tensor) -> tuple[bytes, list[list[bytes]]]:
        """The template of this output in each record, and for each gap in it the texts of all records."""
        if tensor.ndim > 2:
            return b"%b:%%b" % self._key, [[_dump(row) for row in tensor]]
        width = prod(tensor.shape[1:])
        texts = _texts(tensor)
        columns = [texts[start::width] for start in range(width)]
        if self._classes and tensor.shape[1:] == (len(self._classes),) and tensor.dtype != object:
            pairs = b",".join(b"%b:%%b" % name for name in self._classes)
            return b"%b:{%b}" % (self._key, pairs), columns
        if width == 1:
            return b"%b:%%b" % self._key, columns
        return b"%b:[%b]" % (self._key, b",".join([b"%b"] * width)), columns


def _output_names(signature: Signature) -> list[str]:
    names = [_PLAIN_NAMES.get(spec.name, spec.name) for spec in signature.outputs]
    if len(names) == 1 and names[0] not in _MEANINGS:
        return ["value"]
    return names if len(set(names)) == len(names) else [spec.name for spec in signature.outputs]


def _escaped(name: str) -> bytes:
    """A key in a template."""
    return orjson.dumps(name).replace(b"%", b"%%")


def _texts(tensor: Tensor) -> list[bytes]:
    """Each element as JSON. Numbers hold no commas, so all can be written at once and cut where they meet."""
    if tensor.dtype == object:
        return [orjson.dumps(text) for text in tensor.reshape(-1).tolist()]
    return _dump(tensor.reshape(-1))[1:-1].split(b",") if tensor.size else []


def _dump(tensor: Tensor) -> bytes:
    if tensor.dtype == object:
        return orjson.dumps(tensor.tolist())
    return orjson.dumps(
        tensor if tensor.flags.c_contiguous else tensor.copy(), option=orjson.OPT_SERIALIZE_NUMPY
    )
