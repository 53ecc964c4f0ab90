"""An operator that asks an address while churn-2 has its first share, and what it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from aiohttp import web
from unit.given.resources import InferenceService
from unit.given.world import World
from unit.inferenceservice.rollout.test_canary import GOOD, a_canary, measures

from modelwright.common.facts import QUERY_RESULTS
from modelwright.common.settings import Prometheus
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, QueryResults, Reading
from modelwright.sampling import http
from modelwright.sampling.loop import Context, Loop, Source
from modelwright.sampling.prometheus import Queries

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ONE = {"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Something at an address that answers every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def asking(*texts: str, interval: int = 15) -> InferenceService:
    """churn-2 has had its first share for a minute, and these queries are asked: q0, q1, ..."""
    queries = [
        {"name": f"q{number}", "query": text, "max": 0.3, "intervalSeconds": interval}
        for number, text in enumerate(texts)
    ]
    service = a_canary(analysis={"queries": queries})
    measures(service, GOOD).settles()
    service.world.after(60)
    return service


def readings(service: InferenceService) -> Mapping[str, Reading]:
    found: QueryResults | None = service.world.cache.fact(service.key, QUERY_RESULTS)
    return {} if found is None else found.readings


async def until(holds: Callable[[], object]) -> None:
    """Waits for something that has to happen; the test's own time limit ends what never does."""
    while not holds():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def sampling(
    source: Source[Any, Any, Any], world: World, leads: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """An operator that asks for one fact; fails the test if it ends."""
    context = Context(world.cache, leads, clock=lambda: float(world.now.timestamp()), now=lambda: world.now)
    task = asyncio.create_task(Loop([source], context).run())
    yield
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def operator(
    service: InferenceService,
    url: str | Prometheus | None,
    leads: Callable[[], bool] = lambda: True,
    patience: float = 5.0,
) -> AsyncIterator[None]:
    """An operator that asks this Prometheus."""
    async with http.session(reuse=False) as session:
        source = Queries(session, url if isinstance(url, Prometheus) else Prometheus(url))
        source.limits = replace(source.limits, every=0.01, timeout=patience)
        async with sampling(source, service.world, leads):
            yield


async def answered(
    service: InferenceService, url: str | Prometheus | None, patience: float = 5.0
) -> list[float | NoValue]:
    """The first answer to each query."""
    wanted = len(service.body["spec"]["rollout"]["analysis"]["queries"])
    async with operator(service, url, patience=patience):
        await until(lambda: len(readings(service)) == wanted)
    return [readings(service)[f"q{number}"].result for number in range(wanted)]
