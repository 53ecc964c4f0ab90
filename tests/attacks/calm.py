"""What is no attack, for comparison: what the callers beside notice of a neighbour at work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from attacks.aim import Aim, attack
from attacks.bombs import repeated
from attacks.questions import document, post
from attacks.wire import Line


@attack("no attack: a neighbour that only computes, on the callers' core")
def nothing(aim: Aim) -> None:
    def script(_: Line) -> Iterator[bytes | float]:
        while True:
            sum(range(100_000))
            yield 0.0001

    aim.http(script)


@attack("no attack: 64 ordinary callers, one row at a time each")
def callers(aim: Aim) -> None:
    aim.http(repeated(post(document("X", np.ones((1, 1), np.float32))), ahead=1), count=64)
