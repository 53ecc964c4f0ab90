"""The connections to another revision, against servers that answer, hang, break off and lie."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from modelwright_serving.traffic import client as module
from modelwright_serving.traffic.client import Answer, Client, Failure, Outcome

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Upstream:
    """A server with a behaviour for each of its connections, the last one for all that follow."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behaviour = self._behaviours[min(self.connections, len(self._behaviours) - 1)]
        self.connections += 1
        try:
            await behaviour(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def request_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(len(REQUEST))


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await request_of(reader)
        writer.write(OK)


async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await request_of(reader)
    writer.write(OK)


async def closes_when_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One answer, and the connection ends the moment that it is used again."""
    await request_of(reader)
    writer.write(OK)
    await reader.readexactly(1)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def says(content: bytes) -> Behaviour:
    async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(content)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return said


def ask(
    upstream: Upstream, count: int = 1, *, together: bool = False, seconds: float = 60.0
) -> list[Outcome]:
    """So many requests, one after the other or all at once."""

    async def asked() -> list[Outcome]:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(upstream, "127.0.0.1", 0)
        client = Client(loop, *server.sockets[0].getsockname())
        found: list[Outcome] = []
        if together:
            waiting = [send(client, seconds) for _ in range(count)]
            found = list(await asyncio.gather(*waiting))
        else:
            for _ in range(count):
                found.append(await send(client, seconds))
        client.close()
        server.close()
        assert len(client) == 0
        return found

    return uvloop.run(asked())


def send(client: Client, seconds: float) -> asyncio.Future[Outcome]:
    told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    client.send(REQUEST, seconds, told.set_result)
    return told


def test_an_answer_comes_with_its_status_headers_and_body() -> None:
    assert ask(Upstream(answers)) == [
        Answer(200, {b"content-type": b"application/json", b"content-length": b"2"}, b"{}")
    ]


def test_a_connection_is_used_again() -> None:
    upstream = Upstream(answers)
    assert [type(outcome) for outcome in ask(upstream, 20)] == [Answer] * 20
    assert upstream.connections == 1


def test_as_many_connections_are_made_as_requests_wait_at_once() -> None:
    upstream = Upstream(answers)
    assert [type(outcome) for outcome in ask(upstream, 20, together=True)] == [Answer] * 20
    assert upstream.connections == 20


def test_a_kept_connection_that_closes_as_it_is_used_is_no_failure() -> None:
    upstream = Upstream(closes_when_asked, answers)
    assert [type(outcome) for outcome in ask(upstream, 3)] == [Answer] * 3
    assert upstream.connections == 2


def test_a_server_that_closes_after_each_answer_is_asked_anew() -> None:
    assert [type(outcome) for outcome in ask(Upstream(answers_once), 3)] == [Answer] * 3


def test_connection_close_is_heeded() -> None:
    upstream = Upstream(says(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")))
    assert [type(outcome) for outcome in ask(upstream, 3)] == [Answer] * 3
    assert upstream.connections == 3


def test_nobody_there_is_said_at_once() -> None:
    async def asked() -> Outcome:
        server = await asyncio.start_server(Upstream(answers), "127.0.0.1", 0)
        client = Client(asyncio.get_running_loop(), *server.sockets[0].getsockname())
        server.close()
        await server.wait_closed()
        return await send(client, 60.0)

    assert uvloop.run(asked()) is Failure.UNREACHABLE


def test_a_server_that_hangs_is_waited_for_no_longer_than_said() -> None:
    assert ask(Upstream(hangs), 2, together=True, seconds=0.05) == [Failure.TIMEOUT] * 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
def test_a_broken_answer_is_said_to_be_one(content: bytes) -> None:
    assert ask(Upstream(says(content))) == [Failure.BROKEN]


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEAD", 1000)
    monkeypatch.setattr(module, "MAX_BODY", 1000)
    endless = b"HTTP/1.1 200 OK\r\n" + b"x-more: yes\r\n" * 1000
    assert ask(Upstream(says(endless))) == [Failure.BROKEN]


def test_more_requests_than_the_limit_are_refused_at_once_and_the_others_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CALLS", 3)
    found = ask(Upstream(answers), 5, together=True)
    assert [type(outcome) for outcome in found[:3]] == [Answer] * 3
    assert found[3:] == [Failure.OVERLOADED] * 2


def test_a_caller_who_has_gone_hears_nothing_and_frees_the_place() -> None:
    async def asked() -> int:
        server = await asyncio.start_server(Upstream(hangs), "127.0.0.1", 0)
        client = Client(asyncio.get_running_loop(), *server.sockets[0].getsockname())
        heard: list[Outcome] = []
        call = client.send(REQUEST, 60.0, heard.append)
        await asyncio.sleep(0.05)
        call.abandon()
        await asyncio.sleep(0.05)
        assert heard == []
        server.close()
        return len(client)

    assert uvloop.run(asked()) == 0
