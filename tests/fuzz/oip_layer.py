"""Sends inference requests of every kind to models of every kind, beside good ones of other callers.

An input is a byte for the model, four for the length of the JSON part (negative: not told), and then the body.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unit.serving import models as known

from fuzz import models, oip_inputs
from fuzz.answers import agree, check_records, read, same
from fuzz.engine import Finding
from fuzz.http_inputs import HEADER_LENGTH, INFER, request
from fuzz.models import Model
from fuzz.mutations import mutated
from fuzz.replies import Reply, replies
from fuzz.rig import Rig
from fuzz.transport import Recorder
from modelwright_serving import runtime
from modelwright_serving.oip.errors import OipError
from modelwright_serving.oip.request import InferRequest, decode
from modelwright_serving.oip.tensors import Tensor

MODELS = {
    "doubled": models.doubled,
    "any width": models.any_width,
    "fixed shape": models.fixed_shape,
    "two inputs": models.two_inputs,
    "every datatype": known.every_datatype,
    "share of batch": known.share_of_batch,
    "table": known.fails_on_large_numbers,
    "plans": known.plans,
    "two inputs, slowly": models.two_inputs,
}
# Documents grow by being doubled again and again; large ones show nothing that small ones do not.
MAX_BODY = 8192
# A few rows of text become a few rows of numbers; what is larger was made of nothing.
MAX_AMPLIFICATION = 100
_CONTROL = struct.Struct("<Bi")
_WORDS = (
    b'"',
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-",
    b"1e9",
    b"\\u0000",
    b"\\ud800",
)


@dataclass(frozen=True)
class Case:
    """A request for one of the models."""

    model: int
    header_length: int | None
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Case:
        model, length = _CONTROL.unpack(data[: _CONTROL.size].ljust(_CONTROL.size, b"\0"))
        return cls(model % len(MODELS), None if length < 0 else length, data[_CONTROL.size :])

    @property
    def data(self) -> bytes:
        length = -1 if self.header_length is None else self.header_length
        return _CONTROL.pack(self.model, length) + self.body

    @property
    def wire(self) -> bytes:
        """The request as HTTP."""
        length = () if self.header_length is None else (HEADER_LENGTH + b"%d" % self.header_length,)
        return request(b"POST", INFER, *length, body=self.body)


class OipLayer:
    """Inference, from the body to the answer."""

    def __init__(self) -> None:
        self._names = list(MODELS)
        self._models = [Model(make()) for make in MODELS.values()]
        self._rigs: dict[int, Rig] = {}
        self._good: dict[int, list[tuple[bytes, Reply]]] = {}
        self._asked = 0

    def renew(self) -> None:
        """The model that was asked last is loaded again when it is asked next."""
        self._rigs.pop(self._asked, None)

    def _rig(self, number: int) -> Rig:
        """The server of a model, which has answered the good requests."""
        if number not in self._rigs:
            self._rigs[number] = Rig(self._models[number].content, by_worker="slowly" in self._names[number])
            self._good[number] = self._good_requests(number)
        return self._rigs[number]

    def _good_requests(self, number: int) -> list[tuple[bytes, Reply]]:
        """Requests of others, and the answers that they get alone."""
        chance, found = random.Random(number), list[tuple[bytes, Reply]]()
        while len(found) < 2:
            wire = self._valid(chance, number).wire
            (reply,) = self._sent(number, wire)
            if reply.status == 200:
                found.append((wire, reply))
        return found

    def _valid(self, chance: random.Random, number: int) -> Case:
        document, blob = oip_inputs.request(chance, self._models[number].signature)
        body, length = oip_inputs.encoded(chance, document, blob)
        return Case(number, length, body)

    def seeds(self) -> Iterable[bytes]:
        chance = random.Random(0)
        for number in range(len(MODELS)):
            yield from (self._valid(chance, number).data for _ in range(10))

    def mutate(self, chance: random.Random, data: bytes, other: bytes) -> bytes:
        case = Case.of(data)
        kind = chance.random()
        if kind < 0.65:
            return self._structured(chance, case, fresh=kind < 0.5).data
        body = mutated(chance, case.body, Case.of(other).body, _WORDS)
        length = case.header_length
        if chance.random() < 0.2:
            length = chance.choice((None, 0, len(body), chance.randint(0, len(body) + 2), 2**31 - 1))
        return Case(case.model, length, body).data

    def _structured(self, chance: random.Random, case: Case, *, fresh: bool) -> Case:
        """A document that is wrong in a few places, or in none."""
        number = chance.randrange(len(MODELS)) if fresh else case.model
        make = oip_inputs.records if chance.random() < 0.1 else oip_inputs.request
        document, blob = make(chance, self._models[number].signature)
        try:
            if not fresh:
                document = json.loads(case.body[: case.header_length])
            for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
                document = oip_inputs.broken(chance, document)
            body, length = oip_inputs.encoded(chance, document, blob)
        except (ValueError, RecursionError):  # it is no JSON, or nested too deeply to be written again
            return case
        return Case(number, length, body) if len(body) <= MAX_BODY else case

    def run(self, data: bytes) -> Iterable[str]:
        case = Case.of(data)
        name, signature = self._names[case.model], self._models[case.model].signature
        self._asked = case.model
        self._rig(case.model)
        good = self._good[case.model]
        first, got, last = self._sent(case.model, good[0][0], case.wire, good[1][0])
        for reply, (_, alone) in zip((first, last), good, strict=True):
            if not agree(signature, reply, alone):
                raise Finding(f"a neighbour gets {reply}, but alone {alone} ({name})")
        self._check(case, got)
        return {f"{got.status} {got.content_type} {name}", got.said}

    def _check(self, case: Case, got: Reply) -> None:
        """Finding if the answer does not follow from the request."""
        name = self._names[case.model]
        if got.status not in {200, 400, 413}:
            raise Finding(f"{got.status} {got.body[:300]!r} ({name})")
        if len(got.body) > MAX_AMPLIFICATION * len(case.wire):
            raise Finding(f"{len(case.wire)} bytes are answered by {len(got.body)} ({name})")
        signature = self._models[case.model].signature
        try:
            decoded = decode(signature, case.body, case.header_length)
        except OipError as error:
            if got.status != error.problem.value or got.error != error.message:
                raise Finding(f"wrong ({error.message}), but answered {got} ({name})") from None
            return
        tensors = self._tensors(case, decoded)
        if got.status == 200:
            self._compare(case, got, decoded, self._models[case.model].reference.run(tensors))
        elif self._takes(case, tensors):
            raise Finding(f"valid, but answered {got} ({name})")

    def _tensors(self, case: Case, decoded: InferRequest) -> dict[str, Tensor]:
        """The inputs as others read them; Finding if the server reads them in another way."""
        signature = self._models[case.model].signature
        known = self._models[case.model].reference.tensors(case.body, case.header_length, signature.features)
        for spec, tensor in zip(signature.inputs, decoded.tensors(signature), strict=True):
            if not same(tensor, known[spec.name]):
                raise Finding(f"{spec} is read as {tensor!r}, but it is {known[spec.name]!r}")
        return known

    def _takes(self, case: Case, tensors: dict[str, Tensor]) -> bool:
        """Whether the model answers, and the server lets it: rows that do not match are its own refusal."""
        if len({tensor.shape[:1] for tensor in tensors.values()}) > 1:
            return False
        try:
            self._models[case.model].reference.run(tensors)
        except runtime.RunFailed:
            return False
        return True

    def _compare(self, case: Case, got: Reply, decoded: InferRequest, expected: dict[str, Tensor]) -> None:
        if decoded.by_record:
            check_records(got, decoded, expected)
        else:
            read(self._models[case.model].signature, got).compare(decoded, expected)

    def _sent(self, number: int, *wires: bytes) -> list[Reply]:
        """The answers to requests of several callers that arrive in one turn."""
        rig = self._rig(number)
        host = rig.http(rig.limits)
        connections = [host.connect() for _ in wires]
        transports = [Recorder(connection) for connection in connections]
        for connection, wire in zip(connections, wires, strict=True):
            connection.data_received(wire)
        rig.settle()
        rig.lose(host, *zip(connections, transports, strict=True))
        return list(_only(transport.written for transport in transports))


def _only(written: Iterable[bytes]) -> Iterator[Reply]:
    for each in written:
        found = replies(each)
        if len(found) != 1:
            raise Finding(f"one request, but {len(found)} answers: {found}")
        yield found[0]
