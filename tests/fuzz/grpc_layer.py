"""Feeds bytes to an HTTP/2 connection of the real server, and holds its answers to the protocol, gRPC and the model.

An input is a byte for the model, two bytes that say how it arrives, and then what arrives.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from unit.serving import models as known

from fuzz import models
from fuzz.arrival import Arrival, play
from fuzz.engine import without_details
from fuzz.frames import (
    EXTRAS,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    Frame,
    changed,
    parse,
    settings,
    widened,
)
from fuzz.grpc_asked import Asked, asked
from fuzz.grpc_checks import check_answer, check_number, differ, same_every_time
from fuzz.grpc_inputs import EXTRAS as HEADER_EXTRAS
from fuzz.grpc_inputs import INFER, METHODS, block, call, infer_message, other_message
from fuzz.grpc_replies import Heard, heard
from fuzz.models import Model
from fuzz.mutations import mutated
from fuzz.rig import Rig

MODELS = (models.doubled, models.two_inputs, known.every_datatype, models.any_width)
CONTROL_BYTES = 3
MAX_BODY = 4096
_GREETING = PREFACE + settings().wire
_WORDS = (PREFACE, _GREETING, b"GET / HTTP/1.1\r\n\r\n", *(frame.wire for frame in EXTRAS))


class GrpcLayer:
    """The gRPC ports of servers with small models."""

    def __init__(self) -> None:
        self._models = [Model(make()) for make in MODELS]
        self.renew()

    def renew(self) -> None:
        """Limits are such that small inputs can reach them."""
        self._rigs: dict[int, Rig] = {}

    def _rig(self, number: int) -> Rig:
        if number not in self._rigs:
            self._rigs[number] = Rig(self._models[number].content, "--max-body-bytes", str(MAX_BODY))
        return self._rigs[number]

    def seeds(self) -> Iterable[bytes]:
        chance = random.Random(0)
        for number, model in enumerate(self._models):
            for many in (1, 1, 1, 4, 8):
                calls = [
                    call(2 * at + 1, block(INFER), infer_message(chance, model.signature))
                    for at in range(many)
                ]
                yield bytes([number, 4, 0]) + _GREETING + b"".join(map(_wire, calls))
        for size in (0, 1, 20, 70):
            small, wide = settings((INITIAL_WINDOW_SIZE, size)), widened(1, 30)
            call_of_one = call(1, block(INFER), infer_message(chance, self._models[0].signature))
            yield bytes([0, 4, 0]) + _GREETING + _wire([small, *call_of_one, wide])
        for at, path in enumerate(METHODS):
            yield bytes([0, at % 4, 0]) + _GREETING + _wire(call(1, block(path), b""))

    def mutate(self, chance: random.Random, data: bytes, other: bytes) -> bytes:
        control, wire = data[:CONTROL_BYTES].ljust(CONTROL_BYTES, b"\0"), data[CONTROL_BYTES:]
        if chance.random() < 0.5:
            flags = chance.choice((0, 0, 0, chance.randrange(64))) << 2
            control = bytes([control[0], chance.randrange(4) | flags, chance.randrange(256)])
        if chance.random() < 0.1:
            return control + mutated(chance, wire, other[CONTROL_BYTES:], _WORDS)
        if not wire.startswith(PREFACE):
            return control + _GREETING + wire
        frames, rest = parse(wire[len(PREFACE) :])
        frames = frames[: chance.choice((1, 3, 5, 9, 15))]
        if chance.random() < 0.5:
            frames += self._call(chance, control[0] % len(MODELS), frames)
        if chance.random() < 0.8:
            frames = changed(chance, frames)
        return control + PREFACE + _wire(frames)[: 1 << 14] + rest[:100]

    def _call(self, chance: random.Random, number: int, frames: list[Frame]) -> list[Frame]:
        """One more call, which may be wrong, too."""
        stream = max((frame.stream for frame in frames[-50:] if frame.kind == HEADERS), default=-1) + 2
        path = chance.choice(METHODS)
        signature = self._models[number].signature
        message = infer_message(chance, signature) if path == INFER else other_message(chance)
        if chance.random() < 0.4:
            message = mutated(
                chance, message, message, (b"\x0a\0", b"\x2a\0", b"\x3a\0", b"\xff" * 9, b"churn")
            )
        extra = chance.choice(HEADER_EXTRAS) if chance.random() < 0.2 else ()
        method = "GET" if chance.random() < 0.02 else "POST"
        return call(min(stream, 2**31 - 1), block(path, extra, method), message)

    def run(self, data: bytes) -> Iterable[str]:
        control, wire = data[:CONTROL_BYTES].ljust(CONTROL_BYTES, b"\0"), data[CONTROL_BYTES:]
        number, arrival = control[0] % len(MODELS), Arrival.of(control[1], control[2])
        got, seen = self._answers(number, arrival, wire)
        if (
            arrival.plain
            and (arrival.pieces or arrival.turns_between)
            and seen.clean
            and same_every_time(seen)
        ):
            whole, _ = self._answers(number, Arrival.of(0, 0), wire)
            differ(whole, got, seen)
        said = {answer.said for answer in got.answers.values()}
        models_said = {f"model {number} answers" for answer in got.answers.values() if answer.code == 0}
        end = "stays" if got.goaway is None else f"{got.goaway[0]} {without_details(got.goaway[1])}"
        return {*said, *models_said, end, f"{min(len(got.answers), 4)} answers", f"mode {arrival.pieces}"}

    def _answers(self, number: int, arrival: Arrival, wire: bytes) -> tuple[Heard, Asked]:
        rig = self._rig(number)
        limits = replace(rig.limits, memory=8 * MAX_BODY, head=2048)
        played = play(rig, rig.grpc(limits), arrival, wire, watches=True)
        got, seen = heard(played.written), asked(wire[: played.read])
        check_number(got, seen, arrival)
        for stream, answer in got.answers.items():
            if stream in seen.calls:
                check_answer(self._models[number], seen, seen.calls[stream], answer)
        return got, seen


def _wire(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.wire for frame in frames)
