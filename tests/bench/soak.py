"""Eight hours' worth of a typical service's requests at full speed, and whether anything grows meanwhile.

A leg is a run of wrk (JSON, binary, refused requests) and one of h2load, each with connections of its own, so
connections come and go as well. Memory and file descriptors are read between legs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import proc
from bench.arithmetic import slope
from bench.asking import get
from bench.bodies import as_binary, as_json, bad, batches
from bench.checks import check_grpc, check_outcome
from bench.contenders import Contender, listens, ours
from bench.exposition import answers
from bench.generator import BenchError, Outcome
from bench.h2load import H2Load
from bench.loads import write_script
from bench.model import Model
from bench.progress import Pace, say
from bench.results import Soak
from bench.wrk import Request, Wrk

CONNECTIONS = 32
LEG_SECONDS = 2
LEAST_LEGS = 8
WARM_UP = 0.25
Seen = tuple[int, float, int]


@dataclass(frozen=True)
class Mix:
    """Requests in turn, and how many of a round are to be refused."""

    requests: Sequence[Request]
    refused: int

    def check(self, outcome: Outcome) -> None:
        """Nothing broke, and exactly the bad requests were refused (the rounds at the ends may be cut off)."""
        expected = outcome.requests * self.refused / len(self.requests)
        if outcome.broken or abs(outcome.refused - expected) > self.refused + CONNECTIONS:
            raise BenchError(
                f"soak: {outcome.broken} broken; {outcome.refused} of {outcome.requests} refused, "
                f"expected {expected:.0f}"
            )


def mix(model: Model) -> Mix:
    """Of a hundred: 80 single rows and 6 of 32 rows in JSON, 10 single rows in binary, 4 bad."""
    refused = bad(model)
    single = [as_json(model, rows) for rows in batches(model, 1, 80)]
    many = [as_json(model, rows) for rows in batches(model, 32, 6)]
    binary = [as_binary(model, rows) for rows in batches(model, 1, 10)]
    requests = [*single, *many, *binary]
    for number, request in enumerate(refused):
        requests.insert(number * 25, request)
    return Mix(requests, len(refused))


def soak(model: Model, folder: Path, pace: Pace) -> Soak:
    """As many requests as the pace says, in legs."""
    mixed = mix(model)
    script = write_script(folder, mixed.requests)
    with ExitStack() as stack:
        server = stack.enter_context(ours(model.path, as_json(model, model.rows[:1])))
        legs = _legs(server, mixed, Wrk(script, server.http_port, CONNECTIONS), _grpc(server, model, folder))
        began = time.perf_counter()
        before = _answers(server)
        seen = [_look(server, 0, None)]
        for requests in legs:
            seen.append(_look(server, seen[-1][0] + requests, seen[0][2]))
            if seen[-1][0] >= pace.soak_requests and len(seen) > LEAST_LEGS:
                break
        # Less those that found the server still loading.
        counted = {name: int(count - before.get(name, 0)) for name, count in _answers(server).items()}
    found = summary(seen, counted, pace.soak_mib_per_million)
    say(f"soak: {found.requests:,} requests, {found.growth_mib_per_million:+.2f} MiB per million")
    return found.model_copy(update={"seconds": time.perf_counter() - began})


def summary(seen: Sequence[Seen], counted: dict[str, int], allowed: float) -> Soak:
    """What the looks between the legs say about growth; the first quarter of the requests is warm-up."""
    warm = [one for one in seen if one[0] >= WARM_UP * seen[-1][0]]
    return Soak(
        requests=seen[-1][0],
        seconds=0,
        answers=counted,
        resident_start_mib=seen[0][1],
        resident_end_mib=seen[-1][1],
        growth_mib_per_million=slope([(requests / 1e6, resident) for requests, resident, _ in warm]),
        allowed_mib_per_million=allowed,
        descriptors_start=seen[0][2],
        descriptors_end=seen[-1][2],
        samples=list(seen),
    )


def _grpc(server: Contender, model: Model, folder: Path) -> tuple[H2Load, int] | None:
    if not listens(server.grpc_port):
        return None
    place = folder / "soak"
    place.mkdir(exist_ok=True)
    call = check_grpc(server, model, batches(model, 1, 2), place)
    return H2Load(call.message, server.grpc_port, CONNECTIONS), call.answer_bytes


def _legs(server: Contender, mixed: Mix, http: Wrk, grpc: tuple[H2Load, int] | None) -> Iterator[int]:
    """Requests of each leg, for ever."""
    while True:
        outcome = http.run(LEG_SECONDS)
        mixed.check(outcome)
        answered = outcome.requests
        if grpc:
            generator, size = grpc
            outcome = generator.run(LEG_SECONDS // 2)
            check_outcome(server.name, outcome, size)
            answered += outcome.requests
        yield answered


def _answers(server: Contender) -> dict[str, float]:
    return answers(get(server.admin_port, "/metrics"))


def _look(server: Contender, requests: int, descriptors: int | None) -> Seen:
    """Memory and descriptors now; connections that were closed a moment ago get time to go."""
    deadline = time.monotonic() + 2
    while (
        descriptors is not None and proc.descriptors(server.pid) > descriptors and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return requests, proc.resident_mib(server.pid), proc.descriptors(server.pid)
