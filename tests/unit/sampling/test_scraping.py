"""A request to a pod: all ways to answer it, over one connection as long as the pod keeps that open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from modelwright.sampling import scraping
from modelwright.sampling.loop import NoAnswer
from modelwright.sampling.scraping import Scraper, scraper

HOST, MOST = "127.0.0.1", 100
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Server:
    """Sends an answer to each request. It may close a connection after an answer, or before the next request."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers, self.closes = list(answers), closes
        self.requests: list[bytes] = []
        self.connections = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection."""
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            while self.answers:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.closes:
                    break
        writer.close()


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[tuple[Scraper, int]]:
    """A scraper, and the port of the server."""
    listening = await asyncio.start_server(server.meet, HOST, 0)
    try:
        async with scraper() as found:
            yield found, listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


async def got(server: Server) -> bytes:
    """What the first request gets."""
    async with asking(server) as (found, port), asyncio.timeout(5):
        return await found.get(HOST, port, "/metrics?view=rollout", MOST)


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        OK + b"content-LENGTH:5\r\nx: y\r\n\r\nhello",
        CHUNKED + b"2\r\nhe\r\n03;a=b\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        OK + b"Connection: close\r\n\r\nhello",
    ],
)
async def test_an_answer_in_any_form_is_read_to_its_end(answer: bytes) -> None:
    assert (
        await got(Server(answer, closes=b"\r\n\r\nhello" in answer and b"ength" not in answer.lower()))
        == b"hello"
    )


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 101\r\n\r\n",
        CHUNKED + b"64\r\n" + b"a" * 100 + b"\r\n1\r\na\r\n0\r\n\r\n",
        OK + b"\r\n" + b"a" * 101,
    ],
)
async def test_an_answer_that_is_too_large_is_none(answer: bytes) -> None:
    with pytest.raises(NoAnswer, match="more than 100 bytes"):
        await got(Server(answer))


async def test_the_request_names_what_it_is_for() -> None:
    server = Server(PLAIN)
    async with asking(server) as (found, port):
        await found.get(HOST, port, "/metrics?view=rollout", MOST)
    assert server.requests[0].startswith(
        f"GET /metrics?view=rollout HTTP/1.1\r\nHost: {HOST}:{port}\r\n".encode()
    )


async def test_a_connection_is_used_again() -> None:
    server = Server(PLAIN, CHUNKED + b"0\r\n\r\n", PLAIN)
    async with asking(server) as (found, port):
        assert [await found.get(HOST, port, "/", MOST) for _ in range(3)] == [b"hello", b"", b"hello"]
    assert server.connections == 1


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
async def test_a_connection_that_the_server_ends_is_not_used_again(said: bytes) -> None:
    answer = said + b"Content-Length: 5\r\n\r\nhello"
    server = Server(answer, answer)
    async with asking(server) as (found, port):
        for _ in range(2):
            assert await found.get(HOST, port, "/", MOST) == b"hello"
    assert server.connections == 2


async def test_a_connection_that_was_closed_while_it_was_idle_costs_no_answer() -> None:
    server = Server(PLAIN, PLAIN, closes=True)
    async with asking(server) as (found, port):
        for _ in range(2):
            assert await found.get(HOST, port, "/", MOST) == b"hello"
    assert server.connections == 2


async def test_an_answer_that_breaks_off_is_not_asked_for_again() -> None:
    server = Server(PLAIN, OK + b"Content-Length: 5\r\n\r\nhe", PLAIN, closes=False)
    async with asking(server) as (found, port):
        await found.get(HOST, port, "/", MOST)
        server.closes = True
        with pytest.raises(NoAnswer, match="breaks off"):
            await found.get(HOST, port, "/", MOST)
    assert len(server.requests) == 2


async def test_a_request_that_is_given_up_leaves_no_connection_behind() -> None:
    server = Server(OK, PLAIN)
    async with asking(server) as (found, port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await found.get(HOST, port, "/", MOST)
        assert await found.get(HOST, port, "/", MOST) == b"hello"
    assert server.connections == 2


async def test_requests_at_the_same_time_have_connections_of_their_own_and_one_is_kept() -> None:
    server = Server(PLAIN, PLAIN, PLAIN)
    async with asking(server) as (found, port):
        both = await asyncio.gather(*(found.get(HOST, port, "/", MOST) for _ in range(2)))
        assert both == [b"hello", b"hello"]
        await found.get(HOST, port, "/", MOST)
        assert server.connections == 2


async def test_a_connection_that_was_idle_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(PLAIN, PLAIN)
    async with asking(server) as (found, port):
        await found.get(HOST, port, "/", MOST)
        monkeypatch.setattr(scraping, "IDLE", -1.0)
        await found.get(HOST, port, "/", MOST)
    assert server.connections == 2


async def test_nobody_at_an_address_is_no_answer() -> None:
    async with scraper() as found:
        with pytest.raises(NoAnswer, match="it cannot be connected to"):
            await found.get(HOST, 9, "/", MOST)
