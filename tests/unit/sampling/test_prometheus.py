"""The operator asks a real Prometheus, and things that only look like one; what comes of it reaches the planner."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from support.prometheus import running, wait_for
from unit.given.questions import ONE, answered, asking, operator, readings, serving, until
from unit.given.resources import InferenceService

from modelwright.common.facts import QUERY_RESULTS
from modelwright.common.times import from_timestamp
from modelwright.inferenceservice.analysis.prometheus_result import NoValue, QueryResults, Reading

EXPOSITION = """
# TYPE complaints gauge
complaints{version="churn-2",kind="one"} 0.25
complaints{version="churn-2",kind="two"} 0.5
complaints{version="churn-1",kind="one"} 0.01
# TYPE nothing gauge
nothing NaN
"""


class Target(http.server.BaseHTTPRequestHandler):
    """What Prometheus scrapes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(EXPOSITION.encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """The address of a Prometheus that knows the exposition."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target) as target:
        threading.Thread(target=target.serve_forever, daemon=True).start()
        scrape = {"job_name": "churn", "static_configs": [{"targets": [f"127.0.0.1:{target.server_port}"]}]}
        with running(scrape) as url:
            wait_for(url, "complaints")
            yield url
        target.shutdown()


async def test_a_real_prometheus_gives_values_and_reasons(real: str) -> None:
    service = asking(
        'max(complaints{version="$(version)"})',
        "scalar(vector(0.125))",
        "vector($(seconds))",
        'label_replace(vector(1), "a", "$(revision)$(stable)$(namespace)$(name)", "", "")',
        'complaints{version="$(version)"}',
        "nothing",
        "1 / 0",
        'complaints{version="churn-3"}',
        "complaints[$(seconds)s]",
        "sum(",
    )
    found = await answered(service, real)

    lasted = service.world.now - from_timestamp(service.status["canary"]["stepSince"])
    assert found[:4] == [0.5, 0.125, lasted.total_seconds(), 1.0]
    assert [none.reason for none in found[4:] if isinstance(none, NoValue)] == [
        "TooManySeries",
        "NotANumber",
        "NotANumber",
        "NoData",
        "BadQuery",
        "BadQuery",
    ]
    assert 'invalid parameter "query"' in found[-1].message  # type: ignore[union-attr]
    assert "unclosed left parenthesis" in found[-1].message  # type: ignore[union-attr]


async def test_a_real_prometheus_reads_odd_names_as_what_they_are(
    real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = """a"b'c`d\\e\nf{g}ü$"""
    monkeypatch.setattr("modelwright.inferenceservice.analysis.queries.name", lambda _: odd)
    double, single = (f"label_replace(vector(1), 'n', {quote}$(name){quote}, '', '')" for quote in "\"'")
    service = asking(f"{double} == on (n) {single}", 'absent(nope{n="$(name)"})')
    assert await answered(service, real) == [1.0, 1.0]
    seen: dict[str, Any] = {}

    async def keep(request: web.Request) -> web.Response:
        seen.update(await request.post())
        return web.json_response(ONE)

    async with serving(keep) as url:
        await answered(asking('absent(nope{n="$(name)"})'), url)
    assert odd not in str(seen["query"])


async def test_a_canary_that_prometheus_speaks_against_is_rolled_back(real: str) -> None:
    service = asking('max(complaints{version="$(version)"})')
    await answered(service, real)
    assert service.settles().reason == "RolledBack"
    assert "QueryAboveMax: q0 is 0.5, the limit 0.3" in service.message


async def test_a_prometheus_behind_a_path_is_asked_there() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, dict(await request.post())))
        return web.json_response(ONE)

    async with serving(answer) as url:
        assert await answered(asking("up"), f"{url}/prom") == [1.0]
    assert asked == [("POST", "/prom/api/v1/query", {"query": "up", "timeout": "4s", "limit": "2"})]


class Counting:
    """Answers 1, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once = 0
        self.most = 0

    async def answer(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.02)
        self.at_once -= 1
        return web.json_response(ONE)


async def test_a_query_is_not_asked_more_often_than_it_says() -> None:
    service, counting = asking("up", interval=20), Counting()
    async with serving(counting.answer) as url, operator(service, url):
        await until(lambda: counting.asked == 1)
        service.world.after(19)
        await asyncio.sleep(0.2)
        assert counting.asked == 1
        service.world.after(1)
        await until(lambda: counting.asked == 2)


async def test_a_service_has_one_query_under_way_at_a_time() -> None:
    service, counting = asking(*["up"] * 10), Counting()
    async with serving(counting.answer) as url, operator(service, url):
        await until(lambda: len(readings(service)) == 10)
    assert (counting.asked, counting.most) == (10, 1)


NEW_STEP = "2026-01-01T00:30:00Z"


def of_the_new_step(service: InferenceService) -> Mapping[str, Reading]:
    """The answers that count for it: a planner takes none of another step."""
    found: QueryResults | None = service.world.cache.fact(service.key, QUERY_RESULTS)
    return found.readings if found is not None and found.since == NEW_STEP else {}


async def test_an_answer_to_an_earlier_step_is_thrown_away() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await go_on.wait()
        return web.json_response(ONE)

    service = asking("up")
    async with serving(slow) as url, operator(service, url):
        await arrived.wait()
        canary = {**service.status["canary"], "stepSince": NEW_STEP}
        service.world.edit(service.key, status={"canary": canary})
        go_on.set()
        await asyncio.sleep(0.2)
        assert of_the_new_step(service) == {}
        service.world.after(3600)
        await until(lambda: of_the_new_step(service))


async def test_who_does_not_lead_asks_nobody() -> None:
    service, counting = asking("up"), Counting()
    async with serving(counting.answer) as url, operator(service, url, lambda: False):
        await asyncio.sleep(0.2)
    assert counting.asked == 0


async def test_after_the_rollout_nobody_is_asked() -> None:
    service, counting = asking("up"), Counting()
    service.changes(model={"version": "churn-1"}).settles()
    async with serving(counting.answer) as url, operator(service, url):
        await asyncio.sleep(0.2)
    assert counting.asked == 0


async def test_answers_are_forgotten_once_no_rollout_is_running() -> None:
    service = asking("scalar(vector(1))")

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(ONE)

    async with serving(answer) as url, operator(service, url):
        await until(lambda: readings(service))
        service.changes(model={"version": "churn-1"}).settles()
        await until(lambda: not readings(service))
