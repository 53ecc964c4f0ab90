"""One phase of a scenario: waits until everything is Ready and the operator is quiet, and says what it took."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.generator import BenchError
from bench.machine import commit
from bench.progress import say
from bench.scale import objects
from bench.scale.api import Api, connected, definitions, prepare
from bench.scale.audit import counted, refused, work
from bench.scale.place import OPERATOR, Place, running
from bench.scale.probe import probing
from bench.scale.process import LEASE_NAMESPACE, Operator, operating
from bench.scale.results import Idle, Measured, Phase, Start
from cluster.paths import REPOSITORY

QUIET_SECONDS = 3.0


def beginning() -> Callable[[], Measured]:
    """Call it when a scenario begins, and what it returns when it ends: when it was, and how busy the machine was."""
    date, revision, load = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), commit(), os.getloadavg()[0]
    return lambda: Measured(date=date, commit=revision, load_before=load, load_after=os.getloadavg()[0])


@dataclass(frozen=True)
class Site:
    """A place with the operator's resources, nodes and namespaces in it."""

    place: Place
    api: Api


@asynccontextmanager
async def site(namespaces: int) -> AsyncIterator[Site]:
    """A fresh one, with so many namespaces: ns-0, ns-1 and so on."""
    with running() as place:
        async with connected(place.admin) as api:
            await prepare(api, definitions(REPOSITORY / "crds"), OPERATOR)
            await api.create_all(objects.nodes())
            for name in (LEASE_NAMESPACE, *names(namespaces)):
                await api.create_all(objects.namespace(name)[:1])
            for name in names(namespaces):
                await api.create_all(objects.namespace(name)[1:])
            await until(lambda: _has_accounts(api, namespaces), 60, "namespaces have no service account")
            yield Site(place, api)


def names(namespaces: int) -> list[str]:
    """The names of the namespaces."""
    return [f"ns-{number}" for number in range(namespaces)]


async def _has_accounts(api: Api, namespaces: int) -> bool:
    accounts = await api.get("api/v1/serviceaccounts", fieldSelector="metadata.name=default")
    return len(accounts["items"]) >= namespaces


async def phase(
    where: Site,
    operator: Operator,
    resource: str,
    prefix: str,
    make: Callable[[], Awaitable[None]],
    within: float,
) -> Phase:
    """Makes objects whose names begin with the prefix, and waits until all of the resource are Ready."""
    mark, cpu, began = where.place.mark(), operator.cpu, time.monotonic()
    await make()
    say(f"  made after {time.monotonic() - began:.0f} s")
    count = await _all_ready(where.api, operator, resource, within)
    seconds = time.monotonic() - began
    await quiet(where.place, operator)
    found = where.place.requests(mark)
    own = counted(found, prefix)
    everything = counted(found)
    others = {what: many - own.get(what, 0) for what, many in everything.items() if many > own.get(what, 0)}
    result = Phase(
        objects=count,
        seconds=seconds,
        cpu_seconds=operator.cpu - cpu,
        requests=own,
        others=others,
        refused=refused(found),
    )
    say(
        f"  {count} Ready after {seconds:.0f} s: {result.each:.2f} requests and "
        f"{1000 * result.cpu_seconds / count:.1f} ms of CPU each; load {os.getloadavg()[0]:.1f}"
    )
    return result


async def _all_ready(api: Api, operator: Operator, resource: str, within: float) -> int:
    deadline = time.monotonic() + within
    while True:
        asked = time.monotonic()
        ready, count = await api.ready(resource)
        if ready == count:
            return count
        operator.require_running()
        if asked > deadline:
            raise BenchError(f"only {ready} of {count} {resource} are Ready after {within:.0f} s")
        # A list of thousands costs the API server time, which is not to be a part of the measurement.
        await asyncio.sleep(min(5.0, max(0.5, 10 * (time.monotonic() - asked))))


async def quiet(place: Place, operator: Operator, within: float = 120) -> float:
    """Waits until the operator has had nothing to do for a while; gives the time of its last request."""
    deadline = time.monotonic() + within
    mark, since = place.mark(), time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        await asyncio.sleep(0.25)
        if work(place.requests(mark)) or not await operator.is_idle():
            mark, since = place.mark(), time.monotonic()
        if time.monotonic() > deadline:
            say(f"  the operator is not quiet after {within:.0f} s")
            return time.monotonic()
    return since


async def idle(place: Place, operator: Operator, seconds: float) -> Idle:
    """What the operator does while nothing changes."""
    mark, cpu = place.mark(), operator.cpu
    await asyncio.sleep(seconds)
    found = work(place.requests(mark))
    writes = sum(request.writes for request in found)
    return Idle(seconds=seconds, cpu_seconds=operator.cpu - cpu, writes=writes, reads=len(found) - writes)


@asynccontextmanager
async def started(place: Place) -> AsyncIterator[tuple[Operator, Start]]:
    """An operator that has just started beside what is there, and how it did."""
    mark, began = place.mark(), time.monotonic()
    async with operating(place) as operator:
        with probing(operator.pid, operator.port) as blocks:
            await operator.wait_ready()
            ready = time.monotonic() - began
            last = await quiet(place, operator)
        found = work(place.requests(mark))
        writes = sum(request.writes for request in found)
        start = Start(
            ready_seconds=ready,
            quiet_seconds=last - began,
            cpu_seconds=operator.cpu,
            writes=writes,
            reads=len(found) - writes,
            longest_block=blocks.longest,
            longest_busy=blocks.longest_busy,
            resident_mib=operator.resident,
        )
        say(
            f"  started: ready after {ready:.1f} s, quiet after {start.quiet_seconds:.1f} s, {start.cpu_seconds:.1f} s "
            f"of CPU, longest block {1000 * blocks.longest:.0f} ms (busy {1000 * blocks.longest_busy:.0f} ms of it), "
            f"{writes} writes, {start.reads} reads"
        )
        yield operator, start


async def until(holds: Callable[[], Awaitable[bool]], seconds: float, otherwise: str) -> None:
    """Asks again and again until it holds."""
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise BenchError(otherwise)
        await asyncio.sleep(0.2)
