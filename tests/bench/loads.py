"""Loads: which requests, over how many connections, at which servers; and the interleaved rounds that measure them."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import bodies, proc, wrk
from bench.arithmetic import there_and_back
from bench.bodies import as_binary, as_json, batches
from bench.checks import check_grpc, check_http, check_outcome
from bench.contenders import Contender, Starter, listens
from bench.generator import Outcome
from bench.h2load import H2Load
from bench.model import Model
from bench.progress import Pace, say
from bench.results import BEFORE, FASTAPI, KSERVE, MLSERVER, OURS, Load, Sample, Series
from bench.targets import BINARY
from bench.wrk import Wrk

PEERS = (FASTAPI, MLSERVER, KSERVE)
CHECKED = 8


class Generator(Protocol):
    """A load generator with everything it needs but the time."""

    def run(self, seconds: int) -> Outcome: ...


@dataclass(frozen=True)
class Target:
    """A server under a load."""

    contender: str
    pid: int
    generator: Generator
    answer_bytes: int = 0

    def measure(self, seconds: int) -> Sample:
        """One measurement; an answer that is none ends the bench."""
        began, cpu = _used(), proc.cpu_seconds(self.pid)
        outcome = self.generator.run(seconds)
        cpu = proc.cpu_seconds(self.pid) - cpu
        wall, generator, everybody = (after - before for before, after in zip(began, _used(), strict=True))
        check_outcome(self.contender, outcome, self.answer_bytes)
        return Sample(
            requests=outcome.requests,
            rate=outcome.requests / outcome.seconds,
            cpu_us=cpu / outcome.requests * 1e6,
            server_busy=cpu / wall,
            generator_busy=generator / wall,
            others_busy=max(everybody - generator - cpu, 0) / wall,
            mean_us=outcome.mean_us,
            p50_us=outcome.p50_us,
            p99_us=outcome.p99_us,
        )


def rounds(name: str, title: str, connections: int, targets: Sequence[Target], pace: Pace) -> Load:
    """Warm everybody up, then measure there and back."""
    for target in targets:
        target.generator.run(pace.warm_up)
    found: dict[str, list[Sample]] = {target.contender: [] for target in targets}
    for order in there_and_back(targets, pace.passes):
        for target in order:
            found[target.contender].append(target.measure(pace.seconds))
    shown = ", ".join(
        f"{one} {statistics.median(s.rate for s in many):,.0f}/s" for one, many in found.items()
    )
    say(f"{title}: {shown}")
    series = [Series(contender=one, samples=many) for one, many in found.items()]
    return Load(name=name, title=title, connections=connections, series=series)


class Field:
    """All servers running with one model, everything they are sent being checked first."""

    def __init__(self, model: Model, servers: Mapping[str, Contender], folder: Path) -> None:
        self._model = model
        self._servers = servers
        self._folder = folder
        self._mine = [name for name in (OURS, BEFORE) if name in servers]

    def one_row(self, connections: int, pace: Pace, others: Sequence[str] = PEERS) -> Load:
        asked = [(rows, as_json(self._model, rows)) for rows in batches(self._model, 1)]
        targets = [self._http(name, asked, connections) for name in (*self._mine, *others)]
        title = f"One row JSON, {connections} connection{'s' if connections > 1 else ''}"
        return rounds(f"one-{connections}", title, connections, targets, pace)

    def many_rows(self, connections: int, pace: Pace) -> Load:
        groups = batches(self._model, 32)
        text = [(rows, as_json(self._model, rows)) for rows in groups]
        binary = [(rows, as_binary(self._model, rows)) for rows in groups]
        targets = [
            *(self._http(name, text, connections) for name in (*self._mine, FASTAPI)),
            self._http(OURS, binary, connections, BINARY),
        ]
        return rounds("many-16", f"32 rows, {connections} connections", connections, targets, pace)

    def grpc(self, connections: int, pace: Pace) -> Load:
        targets = [self._grpc(name, connections) for name in (*self._mine, MLSERVER, KSERVE)]
        return rounds("grpc-16", f"gRPC, one row, {connections} connections", connections, targets, pace)

    def heavy(self, connections: int, pace: Pace) -> Load:
        asked = [(rows, as_json(self._model, rows)) for rows in batches(self._model, 1)]
        targets = [self._http(name, asked, connections) for name in self._servers]
        title = f"Model of 1 ms per 32 rows, one row JSON, {connections} connections"
        return rounds("heavy-64", title, connections, targets, pace)

    def _http(
        self, name: str, asked: Sequence[bodies.Asked], connections: int, contender: str | None = None
    ) -> Target:
        server = self._servers[name]
        check_http(name, server.http_port, self._model, asked)
        program = write_script(self._folder, [request for _, request in asked])
        return Target(contender or name, server.pid, Wrk(program, server.http_port, connections))

    def _grpc(self, name: str, connections: int) -> Target:
        server = self._servers[name]
        folder = self._folder / f"grpc-{name}"
        folder.mkdir(exist_ok=True)
        call = check_grpc(server, self._model, batches(self._model, 1, CHECKED), folder)
        generator = H2Load(call.message, server.grpc_port, connections)
        return Target(name, server.pid, generator, call.answer_bytes)


def write_script(folder: Path, requests: Sequence[wrk.Request]) -> Path:
    """The Lua program for these requests, in a file of its own."""
    path = folder / f"requests-{len(list(folder.iterdir()))}.lua"
    path.write_text(wrk.script(requests))
    return path


def started(model: Model, starters: Mapping[str, Starter], stack: ExitStack) -> dict[str, Contender]:
    """These servers with this model, until the stack unwinds."""
    first = as_json(model, model.rows[:1])
    return {name: stack.enter_context(start(model.path, first)) for name, start in starters.items()}


def all_loads(field: Field, pace: Pace) -> Iterator[Load]:
    """The loads over HTTP that share the small model."""
    yield field.one_row(16, pace)
    yield field.one_row(64, pace)
    yield field.one_row(1, pace, (FASTAPI,))
    yield field.many_rows(16, pace)


def serves_grpc(server: Contender) -> bool:
    return listens(server.grpc_port)


def _used() -> tuple[float, float, float]:
    """Seconds since some time past: on the clock, of CPU by generators that have ended, of CPU by everybody."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), ended.ru_utime + ended.ru_stime, proc.busy_ticks()[0] / proc.TICKS
