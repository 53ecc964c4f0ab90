"""Scenario with ten versions of every model beside its service, all in one namespace: what single events cost there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.progress import say
from bench.scale import objects
from bench.scale.api import SERVICES, Api, together
from bench.scale.convergence import service_path, verified_status, version_path
from bench.scale.measuring import beginning, phase, site, started, until
from bench.scale.objects import SERVICE, VERSION
from bench.scale.process import Operator
from bench.scale.results import Crowd

SPACE = "ns-0"
EVENTS = 500
PAUSE = 0.02
REST_SECONDS = 5.0


@dataclass(frozen=True)
class Size:
    """So many services, each of which tracks a model of its own with so many versions."""

    services: int
    versions_each: int
    within: float


async def crowded(size: Size) -> Crowd:
    """Runs the scenario."""
    measured = beginning()
    models = range(size.services)
    versions = [f"{VERSION}{model:04}-{number}" for model in models for number in range(size.versions_each)]
    services = [f"{SERVICE}{model:04}" for model in models]
    async with site(1) as where:
        status = await verified_status(where)
        await where.api.create_all(
            objects.version(SPACE, name, name.removeprefix(VERSION).rpartition("-")[0]) for name in versions
        )
        await together(where.api.patch(f"{version_path(SPACE, name)}/status", status) for name in versions)
        say(f"  {len(versions)} versions are there")
        async with started(where.place) as (operator, first):

            async def make() -> None:
                await where.api.create_all(
                    objects.service(SPACE, name, {"name": name.removeprefix(SERVICE), "track": "Latest"})
                    for name in services
                )

            service_phase = await phase(where, operator, SERVICES, SERVICE, make, size.within)
        async with started(where.place) as (operator, start):
            service_event = await _cost(
                where.api, operator, [service_path(SPACE, name) for name in services[:EVENTS]]
            )
            version_event = await _cost(
                where.api,
                operator,
                [version_path(SPACE, name) for name in versions[:: size.versions_each][:EVENTS]],
            )
            resident = operator.resident
        say(f"  CPU for an event: of a service {service_event:.2f} ms, of a version {version_event:.2f} ms")
        return Crowd(
            services=len(services),
            versions=len(versions) + 1,
            first_start=first,
            service_phase=service_phase,
            start=start,
            service_event_ms=service_event,
            version_event_ms=version_event,
            resident_mib=resident,
            measured=measured(),
        )


async def _cost(api: Api, operator: Operator, paths: Sequence[str]) -> float:
    """Milliseconds of CPU for a change of one object without consequences, beyond what the operator uses at rest."""
    cpu, began = operator.cpu, time.monotonic()
    await asyncio.sleep(REST_SECONDS)
    rest = (operator.cpu - cpu) / (time.monotonic() - began)
    cpu, began = operator.cpu, time.monotonic()
    for path in paths:
        await api.patch(path, {"metadata": {"annotations": {"bench": f"{began}"}}})
        await asyncio.sleep(PAUSE)
    await until(operator.is_idle, 120, "the operator does not get through the events")
    await asyncio.sleep(1.0)
    used = operator.cpu - cpu - rest * (time.monotonic() - began)
    return 1000 * used / len(paths)
