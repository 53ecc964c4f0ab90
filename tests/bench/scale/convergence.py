"""Scenarios with many services and as many versions in several namespaces: from nothing to Ready, idle, restarted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bench.generator import BenchError
from bench.progress import say
from bench.scale import objects
from bench.scale.api import SERVICES, VERSIONS, Api, together
from bench.scale.audit import longest_lease_gap
from bench.scale.measuring import Site, beginning, idle, names, phase, site, started
from bench.scale.objects import SERVICE, VERSION
from bench.scale.process import Operator
from bench.scale.results import Convergence

CHANGES = 5


@dataclass(frozen=True)
class Size:
    """So many services, and a version for each; `verified`: the versions are made with a status that is ready."""

    count: int
    namespaces: int
    idle_seconds: float
    within: float
    verified: bool = False

    def places(self) -> list[tuple[str, str]]:
        """A namespace and a number for each."""
        spaces = names(self.namespaces)
        return [(spaces[number % len(spaces)], f"{number:05}") for number in range(self.count)]


async def converge(size: Size) -> Convergence:
    """Runs the scenario."""
    measured = beginning()
    async with site(size.namespaces) as where:
        if size.verified:
            await _verified(where, size)
        mark = where.place.mark()
        async with started(where.place) as (operator, _):
            version_phase = None
            if not size.verified:
                version_phase = await phase(
                    where, operator, VERSIONS, VERSION, lambda: _make_versions(where.api, size), size.within
                )
            service_phase = await phase(
                where, operator, SERVICES, SERVICE, lambda: _make_services(where.api, size), size.within
            )
            resident = operator.resident
            rest = await idle(where.place, operator, size.idle_seconds)
            say(f"  idle: {rest.writes} writes, {rest.reads} reads, {rest.cpu_seconds:.2f} s of CPU")
            highest = operator.highest
            lease_gap = longest_lease_gap(where.place.requests(mark))
        async with started(where.place) as (operator, start):
            changes = [await _change(where.api, place, operator) for place in size.places()[:CHANGES]]
        return Convergence(
            services=size.count,
            versions=size.count,
            namespaces=size.namespaces,
            version_phase=version_phase,
            service_phase=service_phase,
            resident_mib=resident,
            highest_mib=highest,
            idle=rest,
            start=start,
            change_seconds=changes,
            lease_gap_seconds=lease_gap,
            measured=measured(),
        )


async def _make_versions(api: Api, size: Size) -> None:
    await api.create_all(
        objects.version(space, f"{VERSION}{number}", f"model-{number}") for space, number in size.places()
    )


async def _make_services(api: Api, size: Size) -> None:
    await api.create_all(
        objects.service(space, f"{SERVICE}{number}", {"version": f"{VERSION}{number}"})
        for space, number in size.places()
    )


async def _verified(where: Site, size: Size) -> None:
    """Versions with the status that the operator writes: of one it is taken, the others are given it."""
    status = await verified_status(where)
    await _make_versions(where.api, size)
    await together(
        where.api.patch(f"{version_path(space, f'{VERSION}{number}')}/status", status)
        for space, number in size.places()
    )


async def verified_status(where: Site) -> objects.Object:
    """The status that the operator writes for a version that was verified."""
    name = "pattern"
    async with started(where.place) as (operator, _):
        await where.api.create(objects.version("ns-0", name, name))
        deadline = time.monotonic() + 60
        while (await where.api.ready(VERSIONS))[0] < 1:
            operator.require_running()
            if time.monotonic() > deadline:
                raise BenchError("the first ModelVersion does not get Ready")
            await asyncio.sleep(0.2)
        written = await where.api.get(version_path("ns-0", name))
    return {"status": objects.ready_status(written)}


def version_path(space: str, name: str) -> str:
    """Where a ModelVersion is."""
    return f"apis/modelwright.dev/v1alpha1/namespaces/{space}/modelversions/{name}"


def service_path(space: str, name: str) -> str:
    """Where an InferenceService is."""
    return f"apis/modelwright.dev/v1alpha1/namespaces/{space}/inferenceservices/{name}"


async def _change(api: Api, place: tuple[str, str], operator: Operator) -> float:
    """Seconds from a change of a service's spec to the Deployment that follows from it."""
    space, name = place[0], f"{SERVICE}{place[1]}"
    deployments = f"apis/apps/v1/namespaces/{space}/deployments"
    selector = f"modelwright.dev/inference-service={name}"
    known = len((await api.get(deployments, labelSelector=selector))["items"])
    began = time.monotonic()
    await api.patch(service_path(space, name), {"spec": {"resources": {"requests": {"cpu": "20m"}}}})
    while len((await api.get(deployments, labelSelector=selector))["items"]) == known:
        operator.require_running()
        if time.monotonic() - began > 60:
            raise BenchError(f"a change of {name} has no Deployment after 60 s")
        await asyncio.sleep(0.01)
    return time.monotonic() - began
