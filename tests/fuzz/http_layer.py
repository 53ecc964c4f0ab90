"""Feeds bytes to an HTTP connection of the real server, as the network would, and holds its answers to HTTP/1.1.

An input is two bytes that say how it arrives, and then what arrives.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from fuzz import http_inputs, models
from fuzz.arrival import CONTROL_BYTES, Arrival, play
from fuzz.asked import asked
from fuzz.engine import Finding
from fuzz.http_checks import MAX_BODY, check_answer, check_number, differ, final, shown
from fuzz.models import Model
from fuzz.mutations import mutated
from fuzz.replies import Reply, replies
from fuzz.rig import Rig
from modelwright_serving.predictions import Predictions


class HttpLayer:
    """The HTTP port of a server with a small model."""

    def __init__(self) -> None:
        self._model = Model(models.doubled())
        self.renew()

    def renew(self) -> None:
        """Limits are such that small inputs can reach them."""
        self._rig = Rig(self._model.content, "--max-body-bytes", str(MAX_BODY), "--feedback-keys", "none")
        self._rig.take_feedback(http_inputs.KEY, Predictions((0, 1), 1, None, 0))
        self._limits = replace(self._rig.limits, memory=4 * MAX_BODY, head=2048, target=512, pipelined=8)

    def seeds(self) -> Iterable[bytes]:
        for mode in range(4):
            yield from (bytes([mode | 4, 0]) + wire for wire in http_inputs.REQUESTS)

    def mutate(self, chance: random.Random, data: bytes, other: bytes) -> bytes:
        control, wire = data[:CONTROL_BYTES].ljust(2, b"\0"), data[CONTROL_BYTES:]
        if chance.random() < 0.5:
            flags = chance.choice((0, 0, 0, chance.randrange(64))) << 2
            control = bytes([chance.randrange(4) | flags, chance.randrange(256)])
        if chance.random() < 0.4:
            wire = b"".join((wire, other[2:], chance.choice(http_inputs.REQUESTS))[: chance.randint(2, 3)])
        if chance.random() < 0.9:
            wire = mutated(chance, wire, other[2:], http_inputs.WORDS)
        return control + wire

    def run(self, data: bytes) -> Iterable[str]:
        return self._checked(Arrival.of(*data[:CONTROL_BYTES].ljust(2, b"\0")), data[CONTROL_BYTES:])

    def _checked(self, arrival: Arrival, wire: bytes) -> set[str]:
        got = self._answers(arrival, wire)
        if arrival.plain and (arrival.pieces or arrival.turns_between):
            whole = self._answers(Arrival.of(0, 0), wire)
            if differ(whole, got):
                raise Finding(f"in one piece it is answered {shown(whole)}, in several {shown(got)}")
        said = [reply.said for reply in got]
        last = "closes" if got and got[-1].closes else "stays"
        pairs = {f"{one.status} then {other.status}" for one, other in pairwise(got)}
        return {*said, *pairs, f"{min(len(got), 4)} {last}", f"mode {arrival.pieces}"}

    def _answers(self, arrival: Arrival, wire: bytes) -> list[Reply]:
        played = play(self._rig, self._rig.http(self._limits), arrival, wire)
        got, taken = replies(played.written), wire[: played.read]
        seen = asked(taken)
        check_number(got, seen, taken, arrival)
        for request, reply in zip(seen.requests, final(got), strict=False):
            check_answer(self._model, request, reply, pipelined=len(taken))
        return got
