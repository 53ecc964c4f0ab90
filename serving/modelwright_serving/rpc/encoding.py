"""The model's outputs to ModelInferResponse; whatever answers of equal shape share is put together once."""

from typing import NamedTuple

from modelwright_serving.oip.answer import Answer
from modelwright_serving.oip.binary import to_bytes
from modelwright_serving.oip.request import InferRequest
from modelwright_serving.oip.signature import Signature
from modelwright_serving.rpc import protobuf
from modelwright_serving.rpc.framing import HEAD
from modelwright_serving.rpc.messages import tensor

_MAX_REMEMBERED = 256
_RAW = 6

Shapes = tuple[tuple[int, ...], ...]


class _Form(NamedTuple):
    """A framed response without its values: `before` each raw output come these bytes."""

    sizes: list[int]
    before: list[bytes]


class Encoder:
    """Writes the responses of one model, each with its gRPC prefix."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._signature = signature
        self._model = protobuf.string(1, name) + protobuf.string(2, version)
        self._forms: dict[object, _Form] = {}

    def encode(self, request: InferRequest, answer: Answer) -> bytes:
        """Every wanted output as raw contents, in the order in which they were asked for."""
        outputs, start, stop = answer.outputs, answer.start, answer.stop
        arrays = [outputs.array(position, start, stop) for position, _ in request.wanted]
        raws = [to_bytes(array) for array in arrays]
        shapes = tuple([array.shape for array in arrays])
        sizes = [len(raw) for raw in raws]
        form = None
        if request.id is None:
            form = self._forms.get((request.wanted, shapes))
        if form is None or form.sizes != sizes:
            form = self._form(request, shapes, sizes)
        parts: list[bytes] = []
        for before, raw in zip(form.before, raws, strict=True):
            parts += (before, raw)
        return b"".join(parts)

    def _form(self, request: InferRequest, shapes: Shapes, sizes: list[int]) -> _Form:
        identity = "" if request.id is None else request.id
        described = [
            protobuf.blob(5, tensor(self._signature.outputs[position], shape))
            for (position, _), shape in zip(request.wanted, shapes, strict=True)
        ]
        head = b"".join((self._model, protobuf.string(3, identity), *described))
        before = [protobuf.prefix(_RAW, size) for size in sizes]
        size = len(head) + sum(sizes) + sum(map(len, before))
        before[0] = HEAD.pack(0, size) + head + before[0]
        form = _Form(sizes, before)
        if request.id is None:
            if len(self._forms) >= _MAX_REMEMBERED:
                self._forms.clear()
            self._forms[request.wanted, shapes] = form
        return form
