"""Whatever a pod sends, or leaves out: its counts are not believed, nobody else waits for it, and Ready says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from unit.given.questions import sampling, until
from unit.given.resources import InferenceService
from unit.given.world import NAMESPACE
from unit.sampling.test_pods import CANARY, STABLE, Eager, Pods, found, serving, with_pods

from modelwright.common.resources import PODS, REVISION
from modelwright.engine.objects import Key, labels, metadata
from modelwright.inferenceservice.analysis.scrape_targets import scrape_targets
from modelwright.sampling import http

Hostile = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REMEDY = "; NetworkPolicies have to let the operator reach that port"
HEAD = b"HTTP/1.1 200 OK\r\n"
SILENT = "it does not answer within 1 seconds"
BROKEN = "its answer is not HTTP, or breaks off"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
UNBELIEVABLE = "its answer holds no metrics that can be believed"


def sends(*parts: bytes, pause: float = 0.0, again: bool = False) -> Hostile:
    """Sends these parts, with a pause after each; `again`: over and over."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            if not again:
                return

    return send


def counting(value: bytes, name: bytes = b'modelwright_shadow_agreement_total{revision="C"}') -> Hostile:
    body = name + b" " + value + b"\n"
    return sends(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


@asynccontextmanager
async def between(hostile: Hostile | None) -> AsyncIterator[tuple[InferenceService, Pods]]:
    """The stable pod answers, and the canary's is hostile; without one nobody is at its address."""
    service = with_pods()
    pods = Pods(service.revision("canary"))

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert hostile is not None
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await hostile(reader, writer)
        writer.close()

    async with serving(pods, STABLE) as port, http.session(reuse=True) as session:
        server = await asyncio.start_server(meet, CANARY, port) if hostile else None
        source = Eager(session, port)
        source.limits = replace(source.limits, every=0.01, timeout=1.0)
        async with sampling(source, service.world):
            yield service, pods
        if server is not None:
            server.close()


def the_canarys(service: InferenceService) -> Key:
    """The pod of the canary."""
    found = service.world.api.objects.items()
    revision = service.revision("canary")
    return next(key for key, body in found if key.resource == PODS and labels(body).get(REVISION) == revision)


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (None, "it cannot be connected to"),
        (is_silent, SILENT),
        (sends(HEAD, *[b"X: y\r\n"] * 100, pause=0.05), SILENT),
        (sends(HEAD + b"Content-Length: 100000\r\n\r\n", *[b"a"] * 100, pause=0.1), SILENT),
        (sends(HEAD + b"\r\n", b"a" * 65536, again=True), "its answer has more than 524288 bytes"),
        (sends(HEAD + b"Content-Length: 999999999\r\n\r\n"), BROKEN),
        (sends(HEAD + b"Content-Length: 9\r\n\r\n"), BROKEN),
        (sends(HEAD + b"Content-Length: 9"), BROKEN),
        (sends(HEAD + CHUNKED, b"fffffff\r\n"), BROKEN),
        (sends(HEAD + CHUNKED, b"x\r\n"), BROKEN),
        (sends(HEAD + CHUNKED, b"1\r\nabc"), BROKEN),
        (sends(HEAD + CHUNKED, b"1" * 99999), BROKEN),
        (sends(b"SSH-2.0\r\n\r\n"), BROKEN),
        (sends(HEAD + b"X: " + b"a" * 99999), BROKEN),
        (sends(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), "it answers with HTTP status 302"),
        (sends(HEAD + b"Content-Length: 1\r\n\r\n\xff"), UNBELIEVABLE),
        *((counting(value), UNBELIEVABLE) for value in (b"+Inf", b"NaN", b"-1", b"1e300", b"\xf0\x9f\x92\xa5", b"{}")),
        (counting(b"1", b'modelwright_requests_total{code="\xc2\xb2"}'), UNBELIEVABLE),
        (counting(b"1", b'modelwright_request_duration_seconds_bucket{le="nan"}'), UNBELIEVABLE),
    ],
)  # fmt: skip
async def test_a_hostile_pod_is_told_of_and_costs_no_other_a_moment(
    hostile: Hostile | None, why: str
) -> None:
    async with between(hostile) as (service, pods):
        pods.counts[STABLE] = {"Answered": 5}
        async with asyncio.timeout(10):
            await until(lambda: found(service))
        pods.counts[STABLE] = {"Answered": 25}
        async with asyncio.timeout(10):
            await until(lambda: found(service).delegated == {"Answered": 20})  # type: ignore[union-attr]
        service.settles()
        assert "port 9090" not in service.message, "it may be slow for a moment"
        service.world.after(11)
        async with asyncio.timeout(10):
            await until(lambda: found(service).silent)  # type: ignore[union-attr]
        service.settles()
    said = f"; a pod of ModelVersion churn-2 cannot be asked for its metrics at port 9090: {why}{REMEDY}"
    assert service.message.startswith("ModelVersion churn-2 answers 10 % (step 1 of 2)")
    assert service.message.endswith(said)


async def test_what_is_said_goes_when_the_pod_answers_again() -> None:
    async with between(None) as (service, _):
        async with asyncio.timeout(10):
            await until(lambda: found(service))
        service.world.after(11)
        await until(lambda: found(service).silent)  # type: ignore[union-attr]
        service.world.edit(the_canarys(service), status={"podIP": STABLE})
        await until(lambda: not found(service).silent)  # type: ignore[union-attr]
        assert "port 9090" not in service.settles().message


def stranger(service: InferenceService, **changes: object) -> None:
    """Somebody makes a pod with all labels of the canary's."""
    pod = service.world.api.objects[the_canarys(service)]
    meta = {**{k: v for k, v in metadata(pod).items() if k != "ownerReferences"}, **changes}
    service.world.api.put(Key(PODS, NAMESPACE, "stranger"), {**pod, "metadata": meta})
    service.world.watch()


@pytest.mark.parametrize(
    "owner",
    [
        None,
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "theirs",
            "uid": "theirs",
            "controller": True,
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn", "uid": "theirs", "controller": True},
    ],
)
def test_a_pod_that_no_deployment_of_ours_controls_is_not_asked(owner: dict[str, object] | None) -> None:
    service = with_pods()
    before = scrape_targets(service.world.cache, service.key)
    stranger(service, ownerReferences=[owner] if owner else [])
    assert before is not None
    assert len(before.targets) == 2
    assert scrape_targets(service.world.cache, service.key) == before


def test_what_happens_to_such_a_pod_is_no_verdict() -> None:
    service = with_pods()
    stranger(service)
    crashed = [{"name": "server", "restartCount": 99, "state": {"terminated": {"exitCode": 1}}}]
    service.world.edit(Key(PODS, NAMESPACE, "stranger"), status={"containerStatuses": crashed})
    assert service.settles().reason == "CanaryInProgress"
