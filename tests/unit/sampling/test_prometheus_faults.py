"""Whatever is at the address of Prometheus, or is given as one: no canary fails for it, and people are told."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import web
from unit.given.questions import Handler, answered, asking, serving

from modelwright.inferenceservice.analysis.prometheus_result import NoValue
from modelwright.options import parse

NEEDED = ("--lease-namespace=l", "--serving-image=s", "--training-image=t")
BOMB = gzip.compress(b"9" * 10**8)


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def hang_in_the_middle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"{")
    return await hang(request)


async def break_off(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def too_much(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"9" * 65536)


async def bomb(request: web.Request) -> web.StreamResponse:
    assert request.headers["Accept-Encoding"] == "identity"
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})


def saying(text: str, status: int = 200, **headers: str) -> Handler:
    async def say(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, headers=headers)

    return say


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (hang, NoValue("PrometheusUnreachable", "it does not answer within 0.3 seconds")),
        (hang_in_the_middle, NoValue("PrometheusUnreachable", "it does not answer within 0.3 seconds")),
        (
            break_off,
            NoValue("PrometheusUnreachable", "it cannot be connected to, or breaks the connection"),
        ),
        (too_much, NoValue("PrometheusFailed", "its answer has more than 1048576 bytes")),
        (bomb, NoValue("PrometheusFailed", "its answer is none of Prometheus")),
        (saying("<html>"), NoValue("PrometheusFailed", "its answer is none of Prometheus")),
        (saying("", 502), NoValue("PrometheusFailed", "it answers with HTTP status 502")),
        (
            saying("", 307, Location="http://127.0.0.1:1/api/v1/query"),
            NoValue("PrometheusFailed", "it answers with HTTP status 307"),
        ),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
async def test_whatever_an_address_does_is_no_verdict(handler: Handler, expected: NoValue) -> None:
    service = asking("up")
    async with serving(handler) as url:
        assert await answered(service, url, patience=0.3) == [expected]
    assert service.settles().reason == "CanaryInProgress"
    assert f"waits for q0: {expected.reason} ({expected.message})" in service.message


async def test_nobody_at_the_address_is_no_verdict() -> None:
    async with serving(hang) as url:
        pass
    (found,) = await answered(asking("up"), url)
    assert isinstance(found, NoValue)
    assert found.reason == "PrometheusUnreachable"
    assert "127.0.0.1" not in found.message, "the address is the administrator's"


async def test_what_is_not_http_is_no_verdict() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        (found,) = await answered(asking("up"), f"http://127.0.0.1:{port}")
    assert found == NoValue("PrometheusFailed", "its answer is not HTTP")


async def test_without_an_address_users_are_told_so() -> None:
    service = asking("up")
    (found,) = await answered(service, None)
    assert isinstance(found, NoValue)
    assert found.reason == "PrometheusNotConfigured"
    service.settles()
    assert "waits for q0: PrometheusNotConfigured (the operator was installed without" in service.message


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@prometheus",
        "http://prometheus:http",
        "http://prometheus:99999",
        "http://prometheus/?a=b",
        "http://prometheus/#a",
        "http://[::1",
        "http://prome\ntheus",
        "",
    ],
)
def test_an_address_of_prometheus_that_is_none_ends_the_operator_at_once(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*NEEDED, f"--prometheus-url={url}"])
    assert "argument --prometheus-url: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["http://p", "https://p.example:1/a/b", "http://[::1]:9090", "http://p:9090/"]
)
def test_an_address_of_prometheus_loses_its_last_slash_only(url: str) -> None:
    options = parse([*NEEDED, f"--prometheus-url={url}"])
    assert options.prometheus.url == url.removesuffix("/")
