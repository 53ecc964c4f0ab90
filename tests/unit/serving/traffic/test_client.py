"""The connections to another revision, against servers that answer, hang, break off and lie."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest
import uvloop

from modelwright_serving.limits import TRAFFIC, TrafficLimits
from modelwright_serving.memory import Memory
from modelwright_serving.traffic.client import Client, Failure, ReceivedResponse, Request

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUEST = Request(b"POST /v2/models/m/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n", b"{}")
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
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(content)
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return behave


def ask(
    upstream: Upstream,
    count: int = 1,
    *,
    together: bool = False,
    seconds: float = 60.0,
    limits: TrafficLimits = TRAFFIC,
    available: int = 2**20,
) -> list[ReceivedResponse | Failure]:
    """So many requests, one after the other or all at once."""

    memory = Memory(available)

    async def asked() -> list[ReceivedResponse | Failure]:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(upstream, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        client = Client(loop, host, port, memory, limits)
        found: list[ReceivedResponse | Failure] = []
        if together:
            waiting = [send(client, seconds) for _ in range(count)]
            found = list(await asyncio.gather(*waiting))
        else:
            for _ in range(count):
                found.append(await send(client, seconds))
        client.close()
        server.close()
        assert len(client) == memory.used == memory.addresses == 0
        return found

    return uvloop.run(asked())


def client_of(server: asyncio.Server) -> Client:
    host, port = server.sockets[0].getsockname()
    return Client(asyncio.get_running_loop(), host, port, Memory(2**20))


def send(client: Client, seconds: float) -> asyncio.Future[ReceivedResponse | Failure]:
    outcome: asyncio.Future[ReceivedResponse | Failure] = asyncio.get_running_loop().create_future()
    client.send(REQUEST, seconds, outcome.set_result)
    return outcome


def test_an_answer_comes_with_its_status_headers_and_body() -> None:
    assert ask(Upstream(answers)) == [ReceivedResponse(200, {b"content-type": b"application/json"}, b"{}")]


def test_a_connection_is_used_again() -> None:
    upstream = Upstream(answers)
    assert [type(outcome) for outcome in ask(upstream, 20)] == [ReceivedResponse] * 20
    assert upstream.connections == 1


def test_as_many_connections_are_made_as_requests_wait_at_once() -> None:
    upstream = Upstream(answers)
    assert [type(outcome) for outcome in ask(upstream, 20, together=True)] == [ReceivedResponse] * 20
    assert upstream.connections == 20


def test_when_all_kept_connections_close_as_they_are_used_a_new_one_is_made() -> None:
    """As after a restart of the server, which ends them all."""

    async def asked() -> ReceivedResponse | Failure:
        upstream = Upstream(*[closes_when_asked] * 3, answers)
        server = await asyncio.start_server(upstream, "127.0.0.1", 0)
        client = client_of(server)
        await asyncio.gather(*[send(client, 60.0) for _ in range(3)])
        found = await send(client, 60.0)
        client.close()
        server.close()
        return found

    assert isinstance(uvloop.run(asked()), ReceivedResponse)


def test_a_kept_connection_that_closes_as_it_is_used_is_no_failure() -> None:
    upstream = Upstream(closes_when_asked, answers)
    assert [type(outcome) for outcome in ask(upstream, 3)] == [ReceivedResponse] * 3
    assert upstream.connections == 2


def test_a_server_that_closes_after_each_answer_is_connected_to_again() -> None:
    assert [type(outcome) for outcome in ask(Upstream(answers_once), 3)] == [ReceivedResponse] * 3


def test_connection_close_is_heeded() -> None:
    upstream = Upstream(says(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")))
    assert [type(outcome) for outcome in ask(upstream, 3)] == [ReceivedResponse] * 3
    assert upstream.connections == 3


def test_a_port_without_a_server_is_unreachable() -> None:
    async def asked() -> ReceivedResponse | Failure:
        server = await asyncio.start_server(Upstream(answers), "127.0.0.1", 0)
        client = client_of(server)
        server.close()
        await server.wait_closed()
        return await send(client, 60.0)

    assert uvloop.run(asked()) is Failure.UNREACHABLE


def test_a_server_that_hangs_is_waited_for_until_its_time_is_over() -> None:
    assert ask(Upstream(hangs), 2, together=True, seconds=1.0) == [Failure.TIMEOUT] * 2


def test_a_server_whose_packets_are_dropped_is_unreachable() -> None:
    """As behind a network policy. Here it is a full backlog, for which the kernel drops the wish to connect."""

    async def asked(address: tuple[str, int]) -> ReceivedResponse | Failure:
        client = Client(asyncio.get_running_loop(), *address, Memory(2**20))
        return await send(client, 0.5)

    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        assert uvloop.run(asked(full.getsockname())) is Failure.UNREACHABLE


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
def test_a_broken_answer_is_recognised(content: bytes) -> None:
    assert ask(Upstream(says(content))) == [Failure.BROKEN]


OVERSIZED = {
    "a head without end": b"HTTP/1.1 200 OK\r\nx-more: " + b"y" * 5000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"x-more: yes\r\n" * 500 + b"content-length: 0\r\n\r\n",
    "one large header": b"HTTP/1.1 200 OK\r\nmodelwright-model-digest: %b\r\ncontent-length: 0\r\n\r\n"
    % (b"a" * 5000),
    "a large body": b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n" + b"{" * 3000,
    "chunks without end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"2\r\n{}\r\n" * 1000,
}


@pytest.mark.parametrize("content", OVERSIZED.values(), ids=OVERSIZED)
def test_an_answer_beyond_the_limits_is_given_up(content: bytes) -> None:
    limits = TrafficLimits(head=1000, answer=1000)
    assert ask(Upstream(says(content)), limits=limits) == [Failure.BROKEN]


@pytest.mark.parametrize("available", [0, 100, 1000])
def test_what_the_servers_memory_has_no_room_for_is_not_the_other_revisions_fault(available: int) -> None:
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"{" * 2000
    assert ask(Upstream(says(large)), available=available) == [Failure.NO_MEMORY]
    (response,) = ask(Upstream(says(large)), available=10_000)
    assert isinstance(response, ReceivedResponse)


def test_a_second_answer_to_one_request_spoils_the_first() -> None:
    other = OK.replace(b"application/json", b"text/plain").replace(b"200 OK", b"500 No")
    assert ask(Upstream(says(OK + other))) == [Failure.BROKEN]


def test_only_headers_of_use_are_kept() -> None:
    more = b"\r\nset-cookie: a=b\r\nmodelwright-model-digest: sha256:1\r\nMODELWRIGHT-TRACK: stable\r\n\r\n"
    (response,) = ask(Upstream(says(OK.replace(b"\r\n\r\n", more))))
    assert isinstance(response, ReceivedResponse)
    assert set(response.headers) == {b"content-type", b"modelwright-model-digest"}


def test_more_requests_than_the_limit_are_refused_at_once_and_the_others_answered() -> None:
    found = ask(Upstream(answers), 5, together=True, limits=TrafficLimits(requests=3))
    assert [type(outcome) for outcome in found[:3]] == [ReceivedResponse] * 3
    assert found[3:] == [Failure.OVERLOADED] * 2


def test_an_abandoned_request_has_no_outcome_and_frees_its_place() -> None:
    async def asked() -> int:
        server = await asyncio.start_server(Upstream(hangs), "127.0.0.1", 0)
        client = client_of(server)
        outcomes: list[ReceivedResponse | Failure] = []
        call = client.send(REQUEST, 60.0, outcomes.append)
        await asyncio.sleep(0.05)
        call.abandon()
        await asyncio.sleep(0.05)
        assert outcomes == []
        server.close()
        return len(client)

    assert uvloop.run(asked()) == 0
