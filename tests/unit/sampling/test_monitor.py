"""The operator asks real servers what they have counted, and believes only what can be believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from unit.given.monitoring import CONTENT, PROFILE, WINDOW, a_watched_service, a_window, document
from unit.given.questions import sampling, until
from unit.given.resources import InferenceService, a_served_version, a_version

from modelwright.common.facts import MONITOR_REPORTS
from modelwright.common.resources import INFERENCE_SERVICES
from modelwright.engine.objects import Key
from modelwright.inferenceservice.monitoring.reports import Reference, Reports, read_report
from modelwright.inferenceservice.monitoring.targets import MonitorTargets, Pod
from modelwright.sampling import http
from modelwright.sampling.loop import Unanswered
from modelwright.sampling.monitor import Answer, MonitorAnswers, MonitorReports

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
FEW = 0.02


class Servers:
    """What the servers at these addresses answer."""

    def __init__(self, service: InferenceService) -> None:
        self.service = service
        self.said: dict[str, Callable[[], web.Response]] = {}
        self.asked: list[tuple[str, str]] = []
        self.profile = CONTENT

    def counts(self, host: str, *windows: dict[str, Any], **more: Any) -> None:
        def answer() -> web.Response:
            now = self.service.world.now.timestamp()
            return web.json_response(document(windows, now, **more))

        self.said[host] = answer

    async def answer(self, request: web.Request) -> web.Response:
        host = request.host.partition(":")[0]
        self.asked.append((host, request.path_qs))
        if request.path == "/monitor/profile":
            return web.Response(body=self.profile)
        assert request.path_qs == f"/monitor?window={WINDOW}"
        return self.said[host]() if host in self.said else web.Response(status=404)

    def asked_for(self, path: str) -> int:
        return sum(1 for _, asked in self.asked if asked == path)


@asynccontextmanager
async def asking(servers: Servers) -> AsyncIterator[None]:
    """An operator that asks these servers as often as it can."""
    app = web.Application()
    app.router.add_get("/{path:.*}", servers.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    async with http.session(reuse=True) as session:
        source = MonitorReports(session, int(runner.addresses[0][1]))
        source.limits = replace(source.limits, every=FEW)
        source.pause = lambda current: FEW  # type: ignore[method-assign]
        source.every = lambda target: FEW  # type: ignore[method-assign]
        async with sampling(source, servers.service.world):
            yield
    await runner.cleanup()


def watched(**spec: Any) -> tuple[InferenceService, Servers]:
    """A service with two pods that are Ready."""
    service = a_watched_service(**spec)
    for address in (FIRST, SECOND):
        add_pod(service, address)
    return service, Servers(service)


def add_pod(service: InferenceService, address: str, part: str = "stable") -> None:
    pod = service.starts(part)
    ready = [{"type": "Ready", "status": "True"}]
    service.world.edit(pod.key, status={**pod.body["status"], "podIP": address, "conditions": ready})


def found(service: InferenceService) -> Reports | None:
    fact: Reports | None = service.world.cache.fact(service.key, MONITOR_REPORTS)
    return fact


def number(service: InferenceService) -> int:
    """The window that is running."""
    return int(service.world.now.timestamp()) // WINDOW


async def test_a_window_is_judged_when_all_pods_were_asked_after_its_end() -> None:
    service, servers = watched()
    running = number(service)
    for host in (FIRST, SECOND):
        servers.counts(host, a_window(running))
    async with asking(servers):
        await until(lambda: (fact := found(service)) and len(fact.reports) == 2)
        service.settles()
        assert "monitoring" not in service.status
        service.world.after(WINDOW + 2)
        await until(lambda: (fact := found(service)) and fact.closable == running)
        service.settles()

    assert service.status["monitoring"]["rows"] == 2000
    assert service.status["monitoring"]["verdict"] == "NoDrift"
    assert servers.asked_for("/monitor/profile") <= 2, "the profile is asked for once"


async def test_no_question_is_asked_where_nothing_is_watched() -> None:
    for monitoring in (None, {"slo": {"availability": 0.99}}):
        service = a_served_version(None, **({"monitoring": monitoring} if monitoring else {}))
        add_pod(service, FIRST)
        servers = Servers(service)
        async with asking(servers):
            await asyncio.sleep(10 * FEW)
        assert servers.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda: web.Response(text="{"), "it is no JSON"),
        (lambda: web.Response(text="[" * 100_000), "it is no JSON"),
        (lambda: web.json_response(document([{"id": 0}], 1e9)), "a value is no count"),
        (lambda: web.json_response({**document([], 1e9), "window": 30}), "windows of another length"),
        (lambda: web.Response(status=500), "HTTP status 500"),
        (lambda: web.Response(body=b" " * (5 * 2**20)), "more than"),
        (
            lambda: web.json_response(document([{**a_window(0, [1]), "features": [[1, 0, 0, 0]]}], 1e9)),
            "do not fit its profile",
        ),
    ],
    ids=range(7),
)
async def test_a_pod_whose_answer_cannot_be_believed_is_a_silent_one(
    answer: Callable[[], web.Response], why: str
) -> None:
    service, servers = watched()
    servers.counts(FIRST, a_window(number(service)))
    servers.said[SECOND] = answer
    async with asking(servers):
        await until(lambda: (fact := found(service)) and len(fact.reports) == 1)
        assert (fact := found(service)) is not None
        assert fact.trouble is None, "one pod answers"
        servers.said[FIRST] = answer
        # Beyond the time that a pod may be silent, each time that it is asked.
        for _ in range(4):
            service.world.after(10)
            count = len(servers.asked)
            await until(lambda count=count: len(servers.asked) > count)  # type: ignore[misc]
        await until(lambda: (fact := found(service)) and fact.trouble)
    assert (fact := found(service)) is None or fact.trouble is not None
    service.settles()
    condition = service.condition("DriftDetected")
    assert condition["reason"] == "PodsSilent"
    assert why in condition["message"]


async def test_servers_that_do_not_count_are_named() -> None:
    service, servers = watched()
    async with asking(servers):
        await until(lambda: (fact := found(service)) and fact.trouble)
        service.settles()
    assert service.condition("DriftDetected")["reason"] == "ServerTooOld"


async def test_a_profile_that_is_not_the_one_that_pods_count_by_is_refused() -> None:
    service, servers = watched()
    servers.profile = CONTENT + b" "
    for host in (FIRST, SECOND):
        servers.counts(host, a_window(number(service)))
    async with asking(servers):
        await until(lambda: servers.asked_for("/monitor/profile") == 2)
        service.world.after(WINDOW)
        await until(lambda: servers.asked_for("/monitor/profile") == 4)
    assert (fact := found(service)) is None or fact.reports == ()


async def test_pods_without_a_profile_are_counted_and_not_judged() -> None:
    service, servers = watched()
    plain = {
        key: value for key, value in a_window(number(service)).items() if key in ("id", "requests", "rows")
    }
    for host in (FIRST, SECOND):
        servers.counts(host, {**plain, "counted": 0}, profile=None, reason="NoProfile")
    async with asking(servers):
        await until(lambda: (fact := found(service)) and fact.trouble)
        service.settles()
    assert service.condition("DriftDetected")["reason"] == "NoProfile"


async def test_pods_of_a_canary_are_not_asked() -> None:
    service, servers = watched()
    for host in (FIRST, SECOND):
        servers.counts(host, a_window(number(service)))
    a_version(service.world, "churn-2", "b").is_verified("b")
    service.changes(model={"version": "churn-2"}).settles()
    add_pod(service, "127.0.0.3", "canary")
    async with asking(servers):
        for _ in range(3):
            count = len(servers.asked)
            await until(lambda count=count: len(servers.asked) >= count + 2)  # type: ignore[misc]
            service.world.after(1)
    assert {host for host, _ in servers.asked} == {FIRST, SECOND}


async def test_many_pods_are_asked_less_often_than_their_windows_want() -> None:
    service, servers = watched()
    async with http.session(reuse=True) as session:
        source = MonitorReports(session)
        current = source.round(service.world.cache, service.key, service.world.now)
        assert current is not None
        assert source.pause(current) == 1.0
        for place in range(600):
            add_pod(service, f"127.0.1.{place % 250}")
        crowded = source.round(service.world.cache, service.key, service.world.now)
        assert crowded is not None
        assert source.pause(crowded) == pytest.approx(602 / 150)
        assert all(3.6 < source.every(pod) <= 602 / 150 for pod in crowded.targets)
    assert servers.asked == []


def in_turn(seconds: int, every: int) -> tuple[MonitorAnswers, list[Reports]]:
    """A pod that begins to count again between any two questions, with another profile each time."""
    target = Pod("pod", FIRST, WINDOW)
    current = MonitorTargets(
        Key(INFERENCE_SERVICES, "a", "b"), "u", "r", WINDOW, (target,), frozenset({"pod"}), frozenset({"pod"})
    )
    answers, facts = MonitorAnswers(lambda: 1.0), []
    for now in range(1_764_331_200, 1_764_331_200 + seconds, every):
        profile = f"sha256:{now:064x}"
        said = document([a_window(now // WINDOW)], now, started=now - 0.5, profile=profile)
        answers.add(target, Answer(read_report(said, "pod"), Reference.read(PROFILE)), moment(now))
        facts.append(answers.fact(current, moment(now)))
    return answers, facts


def moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def test_a_pod_whose_counts_begin_again_at_each_question_is_held_to_a_bound() -> None:
    _, facts = in_turn(600 * WINDOW, WINDOW // 20)

    assert max(len(fact.reports) for fact in facts) <= 16
    assert facts[-1].trouble is None or "too often" in facts[-1].trouble[1]


def test_a_pod_that_restarts_once_in_a_window_is_counted_each_time_and_forgotten() -> None:
    answers, facts = in_turn(100 * WINDOW, WINDOW)

    assert all(fact.trouble is None for fact in facts)
    assert facts[-1].closable >= (1_764_331_200 // WINDOW) + 97
    assert len(facts[-1].reports) <= 4
    assert facts[-1].reference is not None
    assert len(answers._profiles) <= 4


async def test_the_cause_of_a_silence_is_the_one_that_it_began_with() -> None:
    service, _ = watched()
    async with http.session(reuse=True) as session:
        current = MonitorReports(session).round(service.world.cache, service.key, service.world.now)
    assert current is not None
    answers, said = MonitorAnswers(lambda: 1.0), set()
    for second in range(60):
        for target in current.targets:
            answers.add(
                target, Unanswered("first" if not second else f"then {second % 2}"), moment(1e9 + second)
            )
        said.add(answers.fact(current, moment(1e9 + second)).trouble)
    assert said == {None, ("PodsSilent", "first")}
