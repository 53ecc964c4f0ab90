"""The model's outputs to ModelInferResponse; whatever answers of one run, or of equal shape, share is made once."""

from dataclasses import replace
from itertools import chain

import numpy as np

from modelwright_serving import protobuf
from modelwright_serving.oip.answer import Answer, RunOutputs, Tokens
from modelwright_serving.oip.binary import to_bytes
from modelwright_serving.oip.request import PREDICTION_TOKENS, InferRequest
from modelwright_serving.oip.signature import Signature
from modelwright_serving.oip.tensors import Tensor
from modelwright_serving.rpc.framing import HEAD, HEAD_SIZE
from modelwright_serving.rpc.messages import parameter, tensor

_MAX_REMEMBERED = 256
_MAX_RUN = 1024**2  # bytes; of a larger run each answer is made from its own rows
_RAW = 6

Shape = tuple[int, ...]


class _Run:
    """The bytes of one run's outputs, row by row, made when the first answer needs them."""

    __slots__ = ("_rows", "_shapes", "outputs")

    def __init__(self, outputs: RunOutputs) -> None:
        self.outputs = outputs
        self._rows: list[tuple[bytes, int] | list[bytes] | None] = [None] * len(outputs.arrays)
        self._shapes: dict[object, tuple[Shape, ...]] = {}

    def raw(self, position: int, start: int, stop: int) -> bytes:
        rows = self._rows[position]
        if rows is None:
            rows = self._rows[position] = _rows(self.outputs.arrays[position])
        if isinstance(rows, tuple):
            content, width = rows
            return content[start * width : stop * width]
        return rows[start] if stop - start == 1 else b"".join(rows[start:stop])

    def shapes_of(self, wanted: tuple[tuple[int, bool], ...], rows: int) -> tuple[Shape, ...]:
        """The shapes of these outputs in an answer with so many rows."""
        shapes = self._shapes.get((wanted, rows))
        if shapes is None:
            arrays = self.outputs.arrays
            shapes = tuple([(rows, *arrays[position].shape[1:]) for position, _ in wanted])
            self._shapes[wanted, rows] = shapes
        return shapes


class ResponseEncoder:
    """Writes the responses of one model, each with its gRPC prefix."""

    def __init__(self, signature: Signature, name: str, version: str, tokens: Tokens | None = None) -> None:
        self._signature = signature
        self._tokens = tokens
        self._model = protobuf.string(1, name) + protobuf.string(2, version)
        # What stands before each raw output, of responses that differ in nothing but the values.
        self._forms: dict[object, list[bytes]] = {}
        self._run: _Run | None = None

    def encode(self, request: InferRequest, answer: Answer) -> bytes:
        """Every wanted output as raw contents, in the order in which they were asked for."""
        if request.tokens:
            return self._with_tokens(request, answer)
        outputs, start, stop = answer.outputs, answer.start, answer.stop
        run = self._run
        if run is None or run.outputs is not outputs:
            run = self._begin(answer)
        shapes: tuple[Shape, ...]
        if run is None:
            arrays = [outputs.array(position, start, stop) for position, _ in request.wanted]
            raws = [to_bytes(array) for array in arrays]
            shapes = tuple([array.shape for array in arrays])
        else:
            raws = [run.raw(position, start, stop) for position, _ in request.wanted]
            shapes = run.shapes_of(request.wanted, stop - start)
        before = self._before(request, shapes, tuple([len(raw) for raw in raws]))
        return b"".join(chain.from_iterable(zip(before, raws, strict=True)))

    def _with_tokens(self, request: InferRequest, answer: Answer) -> bytes:
        """The same with the tokens of its predictions, as one text with commas between them."""
        message = self.encode(replace(request, tokens=False), answer)
        tokens = [] if self._tokens is None else self._tokens(answer)
        if not tokens:
            return message
        more = parameter(PREDICTION_TOKENS, b",".join(tokens))
        return b"".join((HEAD.pack(0, len(message) - HEAD_SIZE + len(more)), message[HEAD_SIZE:], more))

    def _begin(self, answer: Answer) -> _Run | None:
        """What the answers of a run have in common, if there are several and they are small enough to be kept."""
        outputs = answer.outputs
        shared = outputs.by_row and len(outputs.arrays[0]) > answer.stop - answer.start
        small = shared and sum([array.nbytes for array in outputs.arrays]) <= _MAX_RUN
        run = self._run = _Run(outputs) if small else None
        return run  # the worker may have begun another by now

    def _before(
        self, request: InferRequest, shapes: tuple[Shape, ...], sizes: tuple[int, ...]
    ) -> list[bytes]:
        if request.id is not None:
            return self._form(request, shapes, sizes)
        key = (request.wanted, shapes, sizes)
        before = self._forms.get(key)
        if before is None:
            if len(self._forms) >= _MAX_REMEMBERED:
                self._forms.clear()
            before = self._forms[key] = self._form(request, shapes, sizes)
        return before

    def _form(self, request: InferRequest, shapes: tuple[Shape, ...], sizes: tuple[int, ...]) -> list[bytes]:
        described = [
            protobuf.blob(5, tensor(self._signature.outputs[position], shape))
            for (position, _), shape in zip(request.wanted, shapes, strict=True)
        ]
        head = b"".join((self._model, protobuf.string(3, request.id or ""), *described))
        before = [protobuf.prefix(_RAW, size) for size in sizes]
        before[0] = HEAD.pack(0, len(head) + sum(sizes) + sum(map(len, before))) + head + before[0]
        return before


def _rows(array: Tensor) -> tuple[bytes, int] | list[bytes]:
    """All rows in one piece and the width of each, or a piece for each row where widths differ."""
    if array.dtype != object:
        return array.tobytes(), array[:1].nbytes
    if array.ndim > 1:
        return [to_bytes(row) for row in array]
    texts = array.tolist()
    labels = {text: to_bytes(np.array([text], np.object_)) for text in set(texts)}
    return [labels[text] for text in texts]
