"""The operator asks real servers for their metrics, and what they say reaches the planner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web
from unit.given.questions import sampling, until
from unit.given.resources import InferenceService, a_served_version, a_version
from unit.inferenceservice.rollout.test_canary import rollout

from modelwright.common.facts import POD_COUNTS
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.scrape_targets import Pod
from modelwright.sampling import http
from modelwright.sampling.pods import PodCounts

STABLE, CANARY = "127.0.0.1", "127.0.0.2"


class Pods:
    """What the pods at these addresses answer; nothing from an address that is not there."""

    def __init__(self, revision: str) -> None:
        self.counts: dict[str, dict[str, int]] = {STABLE: {}, CANARY: {}}
        self.revision = revision
        self.asked = 0
        self.questions: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self, request: web.Request) -> web.Response:
        assert request.query_string == "view=rollout"
        self.asked += 1
        host = request.host.partition(":")[0]
        self.questions.put_nowait(host)
        if host not in self.counts:
            raise web.HTTPServiceUnavailable
        lines = [
            f'modelwright_delegated_requests_total{{revision="{self.revision}",outcome="{outcome}"}} {count}'
            for outcome, count in self.counts[host].items()
        ]
        return web.Response(text="\n".join(["# TYPE modelwright_delegated_requests counter", *lines, ""]))


@asynccontextmanager
async def serving(pods: Pods, host: str = "0.0.0.0") -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/metrics", pods.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


def with_pods() -> InferenceService:
    """churn-2 has its first share; each revision has one pod that is older than that."""
    service = a_served_version(replicas=1, rollout=rollout())
    place(service, "stable", STABLE)
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    place(service, "canary", CANARY)
    return service.has_ready(1).settles()


def place(service: InferenceService, part: str, address: str) -> None:
    pod = service.starts(part)
    ready = [{"type": "Ready", "status": "True"}]
    service.world.edit(pod.key, status={**pod.body["status"], "podIP": address, "conditions": ready})
    service.settles()


def found(service: InferenceService) -> StepCounts | None:
    counted: StepCounts | None = service.world.cache.fact(service.key, POD_COUNTS)
    return counted


async def asked(pods: Pods, times: int) -> None:
    """So many questions more, and time to take in what was answered before the last."""
    for _ in range(times):
        await pods.questions.get()
    await asyncio.sleep(0.05)


class Eager(PodCounts):
    """Asks every pod in every round."""

    def every(self, target: Pod) -> float:
        return 0.0


@asynccontextmanager
async def operator(
    service: InferenceService, pods: Pods, leads: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """An operator that asks these pods again and again, however the world's time goes."""
    async with serving(pods) as port, http.session(reuse=True) as session:
        source = Eager(session, port)
        source.limits = replace(source.limits, every=0.01, timeout=0.5)
        async with sampling(source, service.world, leads):
            yield


async def test_what_pods_count_during_a_step_reaches_the_planner() -> None:
    service = with_pods()
    pods = Pods(service.revision("canary"))
    pods.counts[STABLE] = {"Answered": 1000}

    async with operator(service, pods):
        await asked(pods, 2)
        assert found(service) is not None
        assert found(service).requests == 0, "counted before the step was seen"  # type: ignore[union-attr]
        pods.counts[STABLE] = {"Answered": 1050, "Failed": 50}
        await asked(pods, 4)
        measured = found(service)
        assert measured is not None
        assert measured.delegated == {"Answered": 50, "Failed": 50}
        assert service.settles().reason == "RolledBack"


async def test_a_pod_that_does_not_answer_is_no_verdict() -> None:
    service = with_pods()
    pods = Pods(service.revision("canary"))
    del pods.counts[CANARY]

    async with operator(service, pods):
        await asked(pods, 6)
    assert service.settles().reason == "CanaryInProgress"


async def test_who_does_not_lead_asks_nobody() -> None:
    service = with_pods()
    pods = Pods(service.revision("canary"))

    async with operator(service, pods, lambda: False):
        await asyncio.sleep(0.2)
    assert pods.asked == 0


async def test_without_a_rollout_nobody_is_asked() -> None:
    service = with_pods()
    service.changes(model={"version": "churn-1"}).settles()
    pods = Pods("none")

    async with operator(service, pods):
        await asyncio.sleep(0.2)
    assert pods.asked == 0


async def test_what_was_counted_is_forgotten_once_no_rollout_is_running() -> None:
    service = with_pods()
    pods = Pods(service.revision("canary"))

    async with operator(service, pods):
        await asked(pods, 2)
        assert found(service) is not None
        service.changes(model={"version": "churn-1"}).settles()
        await until(lambda: found(service) is None)
