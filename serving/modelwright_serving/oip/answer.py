"""The model's outputs to the bytes of inference responses, encoding an array once for all requests of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, TypeAlias

import numpy as np
import orjson

from modelwright_serving.limits import MAX_ANSWER
from modelwright_serving.oip.binary import to_bytes
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.records import RecordsEncoder
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import Signature
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.predictions import Predictions, Read

# More kinds of answers than a model with outputs of varying width usually has.
_MAX_TEMPLATES = 64
# Elements written in one go: others want the interpreter, too.
_PORTION = 65_536
# An element takes at most so many bytes of JSON for each of its own; a short string takes about as much.
JSON_GROWTH = 8
_TEXT = 64

Wanted = tuple[tuple[int, bool], ...]


def answer_size(signature: Signature, wanted: Wanted, rows: int) -> int:
    """Bytes that an answer of so many rows takes, as far as the signature says."""
    sizes = [
        _size(
            spec.dtype,
            prod(rows if place == 0 else 1 if size == -1 else size for place, size in enumerate(spec.shape)),
            binary=binary,
        )
        for spec, binary in ((signature.outputs[position], binary) for position, binary in wanted)
    ]
    return sum(sizes)


def _size(dtype: np.dtype[Any], count: int, *, binary: bool) -> int:
    if dtype.hasobject:
        return _TEXT * count
    return count * (dtype.itemsize if binary else 3 * dtype.itemsize + 3)


def check_answer(size: int) -> None:
    """OipError if an answer is too large."""
    if size > MAX_ANSWER:
        raise OipError(
            f"the answer would take about {size} bytes, and at most {MAX_ANSWER} are sent; send fewer rows, select "
            "outputs, or ask for binary data",
            Problem.TOO_LARGE,
            "AnswerSize",
        )


class RunOutputs:
    """What one run of the model gave, for one request or for the rows of several.

    `by_row`: every array has one entry for each row of the run, so that rows can be told apart.
    """

    __slots__ = ("_predictions", "_rows", "arrays", "bodies", "by_row")

    def __init__(self, arrays: list[Tensor], *, by_row: bool) -> None:
        self.arrays = arrays
        self.by_row = by_row
        self._rows: list[list[bytes] | None] = [None] * len(arrays)
        self.bodies: list[bytes] = []
        self._predictions: Read | None = None

    @property
    def size(self) -> int:
        """The bytes of all arrays."""
        return sum([array.nbytes for array in self.arrays])

    def array(self, position: int, start: int, stop: int) -> Tensor:
        return self.arrays[position][start:stop] if self.by_row else self.arrays[position]

    def json(self, position: int, start: int, stop: int) -> bytes:
        """The elements of one output's rows, row by row, without the brackets around them."""
        array = self.arrays[position]
        if not self.by_row or stop - start == len(array):
            return _elements(array)
        if not array.size:
            return b""
        rows = self.rows(position)
        return rows[start] if stop - start == 1 else b",".join(rows[start:stop])

    def predictions(self, how: Predictions) -> Read:
        """What has been predicted for all rows."""
        if self._predictions is None:
            self._predictions = how.read(self.arrays)
        return self._predictions

    def rows(self, position: int) -> list[bytes]:
        """The elements of one output, a piece for each row."""
        rows = self._rows[position]
        if rows is None:
            rows = self._rows[position] = _split_rows(self.arrays[position])
        return rows

    def fill(self, template: bytes) -> list[bytes]:
        """The bodies: the template with the elements of all outputs, once for each row."""
        every = map(self.rows, range(len(self.arrays)))
        self.bodies = [template % elements for elements in zip(*every, strict=True)]
        return self.bodies


class Answer:
    """One request's share of a run."""

    __slots__ = ("outputs", "start", "stop")

    def __init__(self, outputs: RunOutputs, start: int = 0, stop: int = 0) -> None:
        self.outputs = outputs
        self.start = start
        self.stop = stop

    def predictions(self, how: Predictions) -> Read:
        """What has been predicted for its rows."""
        read = self.outputs.predictions(how)
        if not self.outputs.by_row:
            return read
        return Read(read.labels[self.start : self.stop], read.values[self.start : self.stop])

    def size(self, wanted: Wanted) -> int:
        """About the bytes that it takes."""
        sizes = [
            _array_size(self.outputs.array(position, self.start, self.stop), binary=binary)
            for position, binary in wanted
        ]
        return sum(sizes)


# Gives a token for the prediction of each row of an answer, or none at all.
Tokens: TypeAlias = Callable[[Answer], list[bytes]]


class Encoder:
    """Writes responses of one model; everything that never changes is encoded once."""

    def __init__(self, signature: Signature, name: str, version: str, tokens: Tokens | None = None) -> None:
        self._tokens = tokens
        self._head = b'{"model_name":%b,"model_version":%b,' % (orjson.dumps(name), orjson.dumps(version))
        self._tensors = [
            b'{"name":%b,"datatype":"%b","shape":[' % (orjson.dumps(spec.name), spec.datatype.encode())
            for spec in signature.outputs
        ]
        self._records = RecordsEncoder(signature, name, version)
        self._usual = signature.all_outputs[False]
        self._templates: dict[tuple[tuple[int, ...], ...], bytes] = {}

    def encode(self, request: InferRequest, answer: Answer) -> tuple[bytes, int | None]:
        """The body, and the length of its JSON part if binary data follows it.

        OipError if the model's answer cannot be told by record.
        """
        outputs = answer.outputs
        if request.tokens:
            return self._with_tokens(request, answer)
        if request.by_record:
            return self._by_record(request, answer), None
        rows = answer.stop - answer.start
        if request.wanted is self._usual and rows == 1 and outputs.by_row:
            bodies = outputs.bodies or outputs.fill(self._template(outputs))
            return _identified(bodies[answer.start], request.id), None
        return self._encode(request, answer)

    def _with_tokens(self, request: InferRequest, answer: Answer) -> tuple[bytes, int | None]:
        """The same with the tokens of its predictions, as the last member of the JSON object."""
        body, length = self.encode(replace(request, tokens=False), answer)
        tokens = [] if self._tokens is None else self._tokens(answer)
        if not tokens:
            return body, length
        end = len(body) if length is None else length
        parameters = b',"parameters":{"prediction_tokens":["%b"]}}' % b'","'.join(tokens)
        whole = b"".join((body[: end - 1], parameters, body[end:]))
        return whole, None if length is None else end - 1 + len(parameters)

    def _by_record(self, request: InferRequest, answer: Answer) -> bytes:
        outputs = answer.outputs
        positions = range(len(outputs.arrays))
        arrays = [outputs.array(position, answer.start, answer.stop) for position in positions]
        return self._records.encode(request.id, arrays, request.inputs[0].shape[0])

    def _template(self, outputs: RunOutputs) -> bytes:
        """A response for one row of the run, all outputs as JSON, with a gap for the elements of each."""
        shapes = tuple([array.shape[1:] for array in outputs.arrays])
        template = self._templates.get(shapes)
        if template is None:
            tensors = b",".join(
                b'%b%b],"data":[\0]}' % (tensor, ",".join(map(str, (1, *shape))).encode())
                for tensor, shape in zip(self._tensors, shapes, strict=True)
            )
            whole = b'%b"outputs":[%b]}' % (self._head, tensors)
            template = whole.replace(b"%", b"%%").replace(b"\0", b"%b")
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            self._templates[shapes] = template
        return template

    def _encode(self, request: InferRequest, answer: Answer) -> tuple[bytes, int | None]:
        tensors: list[bytes] = []
        blobs: list[bytes] = []
        for position, binary in request.wanted:
            if binary:
                blobs.append(to_bytes(answer.outputs.array(position, answer.start, answer.stop)))
            tensors.append(self._tensor(position, answer, len(blobs[-1]) if binary else None))
        header = _identified(b'%b"outputs":[%b]}' % (self._head, b",".join(tensors)), request.id)
        if not blobs:
            return header, None
        return b"".join((header, *blobs)), len(header)

    def _tensor(self, position: int, answer: Answer, binary_size: int | None) -> bytes:
        outputs = answer.outputs
        shape = outputs.arrays[position].shape
        if outputs.by_row:
            shape = (answer.stop - answer.start, *shape[1:])
        sizes = ",".join(map(str, shape)).encode()
        if binary_size is not None:
            return b'%b%b],"parameters":{"binary_data_size":%d}}' % (
                self._tensors[position],
                sizes,
                binary_size,
            )
        return b'%b%b],"data":[%b]}' % (
            self._tensors[position],
            sizes,
            outputs.json(position, answer.start, answer.stop),
        )


def _identified(document: bytes, identity: str | None) -> bytes:
    """The JSON object with the request's id, if that has one, as its last member."""
    return document if identity is None else b'%b,"id":%b}' % (document[:-1], orjson.dumps(identity))


def _array_size(array: Tensor, *, binary: bool) -> int:
    if array.dtype == object:
        return sum(map(len, array.flat)) + 4 * array.size
    return _size(array.dtype, array.size, binary=binary)


def _elements(array: Tensor) -> bytes:
    flat = array.reshape(-1)
    portions = [flat[start : start + _PORTION] for start in range(0, len(flat), _PORTION)]
    return b",".join([_portion(portion)[1:-1] for portion in portions])


def _portion(flat: Tensor) -> bytes:
    return orjson.dumps(flat.tolist()) if flat.dtype == object else _dump(flat)


def _split_rows(array: Tensor) -> list[bytes]:
    """One piece per row. Numbers hold neither brackets nor commas, so the text can be cut where rows meet."""
    if not array.size:
        return [b""] * len(array)
    if array.dtype == object:
        return [orjson.dumps(row)[1:-1] for row in array.reshape(len(array), -1).tolist()]
    if array.ndim == 1:
        return _dump(array)[1:-1].split(b",")
    return _dump(array.reshape(array.shape[0], -1))[2:-2].split(b"],[")


def _dump(array: Tensor) -> bytes:
    return orjson.dumps(
        array if array.flags.c_contiguous else array.copy(), option=orjson.OPT_SERIALIZE_NUMPY
    )
