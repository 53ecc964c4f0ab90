"""No caller can make the server hold too much, or hold it without end."""

import asyncio
import gzip
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from unit.serving import models
from unit.serving.harness import INFER, PATIENCE, Served, matrix, post, serving

from modelwright_serving.host import Host
from modelwright_serving.http import responses
from modelwright_serving.http.connection import Connection
from modelwright_serving.http.exchange import Exchange
from modelwright_serving.http.responses import Response
from modelwright_serving.http.routes import Routes
from modelwright_serving.limits import Limits
from modelwright_serving.listening import Port


@pytest.fixture(scope="module")
def impatient(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose limits a test can reach."""
    path = tmp_path_factory.mktemp("impatient") / "model.onnx"
    path.write_bytes(cancer.content)
    limits = (
        "--idle-timeout",
        "0.5",
        "--read-timeout",
        "0.3",
        "--max-connections",
        "8",
        "--max-body-bytes",
        "50000",
    )
    with serving(path, *limits) as server:
        yield server.wait_ready()


def test_a_head_that_never_ends_is_cut_off(impatient: Served) -> None:
    with impatient.raw() as wire:
        wire.send(b"GET /v2 HTTP/1.1\r\nHost: slow\r\nX-Slow: ")
        reply = wire.reply()
        assert reply.status == 408
        assert "headers took longer" in reply.error
        assert wire.closed_by_server()


def test_a_head_that_drips_is_cut_off(impatient: Served) -> None:
    with impatient.raw() as wire:
        wire.socket.setblocking(False)
        started = time.monotonic()
        while time.monotonic() < started + 10:
            try:
                wire.socket.send(b"G" if time.monotonic() == started else b"E")
            except OSError:
                break
            time.sleep(0.05)
        else:
            pytest.fail("the server went on reading the drip")


def test_a_body_that_never_ends_is_cut_off(impatient: Served, cancer: models.Cancer) -> None:
    with impatient.raw() as wire:
        wire.send(post(json.dumps(matrix(cancer.rows[:1])).encode())[:-1])
        reply = wire.reply()
        assert reply.status == 408
        assert "body took longer" in reply.error
        assert wire.closed_by_server()


def test_an_idle_connection_is_closed_in_order(impatient: Served) -> None:
    with impatient.raw() as silent, impatient.raw() as used:
        used.send(b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        assert used.reply().status == 200
        assert used.closed_by_server()
        assert silent.closed_by_server()


def test_a_body_within_the_limit_passes_and_one_byte_more_does_not(impatient: Served) -> None:
    assert impatient.infer(b"x" * 50_000).status == 400
    reply = impatient.infer(b"x" * 50_001)
    assert (reply.status, reply.headers["connection"]) == (413, "close")


def test_one_connection_too_many_is_told_so(impatient: Served) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(impatient.raw()) for _ in range(8)]
        for wire in wires:
            wire.send(b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n")
            assert wire.reply().status == 200
        refused = stack.enter_context(impatient.raw()).reply()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert "too many connections" in refused.error
    while impatient.get("/v2/health/live").status == 503:
        pass  # until the server has noticed that the connections are gone


def test_a_caller_that_does_not_read_its_answers_is_not_read_either(
    server: Served, cancer: models.Cancer
) -> None:
    request = post(json.dumps(matrix(cancer.rows[:200])).encode())
    with server.raw() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            wire.send(request * 2000)
        assert server.get("/v2/health/live").status == 200


def test_of_answers_that_are_not_read_no_more_are_made(server: Served, cancer: models.Cancer) -> None:
    many = np.repeat(cancer.rows, 10, axis=0)
    request = post(json.dumps(matrix(many)).encode())
    before = server.metric("modelwright_rows_total")
    with server.raw() as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.socket.settimeout(2)
        with pytest.raises(TimeoutError):
            wire.send(request * 100)
        assert server.metric("modelwright_rows_total") - before <= 10 * len(many)
        assert server.infer(matrix(cancer.rows[:1])).status == 200


def test_one_caller_cannot_have_its_requests_run_together(server: Served, cancer: models.Cancer) -> None:
    """Pipelined requests are run one after another: of their answers one is made at a time."""
    runs = "modelwright_batch_rows_count"
    before = server.metric(runs)
    with server.raw() as wire:
        wire.send(post(json.dumps(matrix(cancer.rows[:1])).encode()) * 20)
        assert {wire.reply().status for _ in range(20)} == {200}
    assert server.metric(runs) == before + 20


async def test_a_caller_that_reads_nothing_is_let_go_and_one_that_reads_slowly_is_not() -> None:
    body = bytes(2 * 1024**2)
    table = Routes(lambda path: responses.json(200, body))
    limits = Limits(write_seconds=1.0, unread_rate=32 * 1024, write_buffer=4096)
    host = Host(partial(Connection, table), limits, asyncio.get_running_loop())
    port = await Port.open(host, "127.0.0.1", 0)
    slow, still = await _asking(port.number), await _asking(port.number)
    try:
        read = 0
        while read < len(body):
            part = await asyncio.get_running_loop().sock_recv(slow, 64 * 1024)
            assert part
            read += len(part)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE):
            while len(host) > 1:  # noqa: ASYNC110 - no event tells that a connection ends
                await asyncio.sleep(0.05)
        assert host.memory.used == 0
    finally:
        slow.close()
        still.close()
        port.drop()
        host.stop()
        await asyncio.sleep(0)


async def test_an_answer_that_is_read_is_not_kept_until_the_next_request() -> None:
    body = bytes(1024**2)
    held = sys.getrefcount(body)
    endpoint = _Answers(body)
    table = Routes(lambda path: responses.error(404, path))
    table.post("/", endpoint)
    host = Host(partial(Connection, table), Limits(), asyncio.get_running_loop())
    port = await Port.open(host, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    try:
        packed = gzip.compress(bytes(1024))
        writer.write(post(packed, "/", Content_Encoding="gzip"))
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(body))
        assert endpoint.asked == [bytes(1024)]
        assert sys.getrefcount(body) == held + 1  # by the endpoint
        assert host.memory.used == 0
    finally:
        writer.close()
        port.drop()
        host.stop()
        await asyncio.sleep(0)


class _Answers:
    """Answers every request with the same bytes."""

    takes_body = True

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.asked: list[bytes] = []

    def handle(self, exchange: Exchange) -> None:
        self.asked.append(exchange.body)
        exchange.respond(Response(200, responses.head(200, responses.BINARY), self._body))


async def _asking(port: int) -> socket.socket:
    """A caller with a small buffer that has asked for something."""
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    caller.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(caller, ("127.0.0.1", port))
    await loop.sock_sendall(caller, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return caller


def test_many_small_requests_in_one_packet_are_all_answered(server: Served) -> None:
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
    with server.raw() as wire:
        wire.send(live * 2000)
        assert {wire.reply().status for _ in range(2000)} == {200}


def test_an_unread_answer_does_not_stop_anybody_else(server: Served, cancer: models.Cancer) -> None:
    body = json.dumps(matrix(cancer.rows[:1])).encode()
    with server.raw() as lazy:
        lazy.send(post(body) * 300)
        assert server.call("POST", INFER, body).status == 200
