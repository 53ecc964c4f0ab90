"""The targets, and whether what was found meets them. Pure: a target that was not measured is not met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.arithmetic import ratio
from bench.results import BEFORE, FASTAPI, KSERVE, MLSERVER, OURS, Results

BINARY = f"{OURS} binary"
NAMES = {BEFORE: BEFORE, FASTAPI: "FastAPI", MLSERVER: "MLServer", KSERVE: "KServe SDK"}
MAX_RESIDENT_MIB = 70.0
MAX_START_SECONDS = 0.3
MAX_HEALTH_P99_MS = 10.0
MAX_METRICS_COST = 0.03


@dataclass(frozen=True)
class Verdict:
    """One line of the table; `met` is None where nothing was measured."""

    what: str
    target: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Faster:
    """Ours is to answer at least so many times the requests per second of another server."""

    load: str
    what: str
    other: str
    times: float
    mine: str = OURS


FASTER = (
    Faster("one-16", "one row JSON, 16 connections", FASTAPI, 12),
    Faster("one-16", "one row JSON, 16 connections", MLSERVER, 20),
    Faster("one-16", "one row JSON, 16 connections", KSERVE, 20),
    Faster("one-64", "one row JSON, 64 connections", FASTAPI, 12),
    Faster("one-64", "one row JSON, 64 connections", MLSERVER, 20),
    Faster("one-64", "one row JSON, 64 connections", KSERVE, 20),
    Faster("one-1", "one row JSON, 1 connection", FASTAPI, 2),
    Faster("many-16", "32 rows JSON, 16 connections", FASTAPI, 4),
    Faster("many-16", "32 rows binary, 16 connections", FASTAPI, 8, BINARY),
    Faster("grpc-16", "gRPC, one row, 16 connections", MLSERVER, 10),
    Faster("grpc-16", "gRPC, one row, 16 connections", KSERVE, 10),
    Faster("heavy-64", "model of 1 ms per batch, 64 connections", FASTAPI, 5),
)


def verdicts(results: Results) -> list[Verdict]:
    """Every target, in the order of the table."""
    return [
        *(_faster(results, target) for target in FASTER),
        _latency(results),
        *_footprint(results),
        _health(results),
        _metrics(results),
        _soak(results),
    ]


def _faster(results: Results, target: Faster) -> Verdict:
    wanted = f">= {target.times:g}x {NAMES[target.other]}" + (" (JSON)" if target.mine == BINARY else "")
    load = results.load(target.load)
    mine, other = (load.of(target.mine), load.of(target.other)) if load else (None, None)
    if mine is None or other is None:
        return _unmeasured(target.what, wanted)
    found = ratio(mine.rates(), other.rates())
    by_cpu = ratio(other.cpu(), mine.cpu()).middle
    shown = f"{found.middle:.1f}x ({found.low:.1f}-{found.high:.1f}); by CPU {by_cpu:.1f}x"
    return Verdict(target.what, wanted, shown, found.middle >= target.times)


def _latency(results: Results) -> Verdict:
    what, wanted = "one row JSON, 1 connection", "p99 <= FastAPI's p50"
    load = results.load("one-1")
    mine, other = (load.of(OURS), load.of(FASTAPI)) if load else (None, None)
    if mine is None or other is None or (ours := mine.p99()) is None or (theirs := other.p50()) is None:
        return _unmeasured(what, wanted)
    return Verdict(what, wanted, f"{ours:.0f} us against {theirs:.0f} us", ours <= theirs)


def _footprint(results: Results) -> Iterator[Verdict]:
    memory, start = f"<= {MAX_RESIDENT_MIB:g} MiB", f"<= {MAX_START_SECONDS:g} s"
    found = results.footprint(OURS)
    if found is None:
        yield _unmeasured("resident memory after the loads", memory)
        yield _unmeasured("from exec to the first answer", start)
        return
    resident, seconds = found.resident_mib, statistics.median(found.start_seconds)
    yield Verdict(
        "resident memory after the loads", memory, f"{resident:.0f} MiB", resident <= MAX_RESIDENT_MIB
    )
    spread = f"{seconds:.2f} s ({min(found.start_seconds):.2f}-{max(found.start_seconds):.2f})"
    yield Verdict("from exec to the first answer", start, spread, seconds <= MAX_START_SECONDS)


def _health(results: Results) -> Verdict:
    what, wanted = "health probe while the 1 ms model is loaded", f"p99 <= {MAX_HEALTH_P99_MS:g} ms"
    if results.health is None:
        return _unmeasured(what, wanted)
    found = results.health.p99_ms
    return Verdict(what, wanted, f"{found:.1f} ms", found <= MAX_HEALTH_P99_MS)


def _metrics(results: Results) -> Verdict:
    what, wanted = "cost of counting, in CPU per request", f"<= {MAX_METRICS_COST:.0%}"
    if results.metrics is None:
        return _unmeasured(what, wanted)
    counted, uncounted = results.metrics.counted.cpu(), results.metrics.uncounted.cpu()
    # Whatever else the machine does only adds: the best rounds are nearest to the cost itself.
    cost = round(min(counted) / min(uncounted) - 1, 3)
    middle = ratio(counted, uncounted).middle - 1
    shown = f"{cost:+.1%} in the best rounds ({middle:+.1%} by the medians)"
    return Verdict(what, wanted, shown, cost <= MAX_METRICS_COST)


def _soak(results: Results) -> Verdict:
    what, wanted = "soak: growth after warm-up", "none"
    soak = results.soak
    if soak is None:
        return _unmeasured(what, wanted)
    shown = (
        f"{soak.growth_mib_per_million:+.2f} MiB per million requests, "
        f"{soak.descriptors_end - soak.descriptors_start:+d} file descriptors"
    )
    wanted = f"<= {soak.allowed_mib_per_million:g} MiB per million requests, no file descriptor"
    return Verdict(what, wanted, shown, soak.steady())


def _unmeasured(what: str, wanted: str) -> Verdict:
    return Verdict(what, wanted, "not measured", None)
