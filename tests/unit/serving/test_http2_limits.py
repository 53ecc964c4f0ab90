"""No caller can make an HTTP/2 connection hold too much, cost too much, or last without an end."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from unit.serving.http2_peer import GET, HEAD, TRAILER, Echo, Headers, Peer, connected, hosted

from modelwright_serving.http2 import frames
from modelwright_serving.http2.frames import ErrorCode
from modelwright_serving.http2.peers import Peers
from modelwright_serving.http2.stream import Stream
from modelwright_serving.limits import Limits

POST = ((":method", "POST"), *GET[1:])
NEVER = ((":method", "POST"), (":scheme", "http"), (":path", "/never"))
FAIL = ((":method", "POST"), (":scheme", "http"), (":path", "/fail"))
SMALL: dict[str, float] = {"idle_frames": 200, "idle_frames_per_second": 0}
MANY = 1000
CALM = ErrorCode.ENHANCE_YOUR_CALM

Flood = Callable[[Peer, int], bytes]


def _request(peer: Peer, number: int) -> bytes:
    """A whole request, which stays without an answer."""
    return peer.request(number, NEVER, b"whole body")


def _then(number: int, kind: int, payload: bytes, flags: int = 0) -> bytes:
    return frames.frame(kind, flags, number, payload)


ENDED = frames.END_HEADERS | frames.END_STREAM

# The second argument is the number of a stream that has not been opened.
FLOODS: dict[str, Flood] = {
    "pings": lambda peer, number: frames.ping(number.to_bytes(8, "big"), ack=False),
    "answers to pings": lambda peer, number: frames.ping(bytes(8), ack=True),
    "settings": lambda peer, number: frames.settings({frames.INITIAL_WINDOW_SIZE: number}),
    "settings that are acknowledged again": lambda peer, number: frames.settings_ack(),
    "priorities": lambda peer, number: _then(1, frames.PRIORITY, bytes(3) + b"\x07\x01"),
    "goaways": lambda peer, number: _then(0, frames.GOAWAY, bytes(8)),
    "unknown frames": lambda peer, number: _then(0, 0x55, b"?"),
    "small steps of the connection's window": lambda peer, number: frames.window_update(0, 1),
    "resets before the body": lambda peer, number: (
        peer.head(number, POST) + frames.rst_stream(number, ErrorCode.CANCEL)
    ),
    "resets after whole requests": lambda peer, number: (
        _request(peer, number) + frames.rst_stream(number, ErrorCode.CANCEL)
    ),
    "resets after requests that are refused": lambda peer, number: (
        peer.request(number, FAIL) + frames.rst_stream(number, ErrorCode.CANCEL)
    ),
    "small steps of windows": lambda peer, number: _request(peer, number) + frames.window_update(number, 1),
    "windows that grow by nothing": lambda peer, number: (
        _request(peer, number) + frames.window_update(number, 0)
    ),
    "windows that grow too large": lambda peer, number: (
        _request(peer, number) + frames.window_update(number, frames.MAX_WINDOW)
    ),
    "data after the end": lambda peer, number: _request(peer, number) + _then(number, frames.DATA, b"more"),
    "headers after the end": lambda peer, number: _request(peer, number) + peer.head(number, POST, end=True),
    "priorities of a wrong size": lambda peer, number: (
        _request(peer, number) + _then(number, frames.PRIORITY, b"")
    ),
    "trailers that do not end": lambda peer, number: peer.head(number, NEVER) + peer.head(number, ()),
    "trailers that are no trailers": lambda peer, number: (
        peer.head(number, NEVER) + peer.head(number, NEVER, end=True)
    ),
    "forbidden headers": lambda peer, number: peer.head(number, (*NEVER, ("connection", "close")), end=True),
    "another length than announced": lambda peer, number: peer.request(
        number, (*NEVER, ("content-length", "3")), b"four"
    ),
    "many fields in few bytes": lambda peer, number: _then(number, frames.HEADERS, b"\x83" * 500, ENDED),
    "requests with many fields": lambda peer, number: _then(
        number, frames.HEADERS, b"\x83\x86\x44\x05/fail" + b"\x90" * 500, ENDED
    ),
    "headers on a stream that was reset": lambda peer, number: _then(
        1, frames.HEADERS, b"\x00\x01A\x00", ENDED
    ),
    "empty data": lambda peer, number: (
        (peer.head(1, POST) if number == 1 else b"") + _then(1, frames.DATA, b"")
    ),
    "data of nothing but padding": lambda peer, number: (
        (peer.head(1, POST) if number == 1 else b"")
        + _then(1, frames.DATA, b"\xff" + bytes(255), frames.PADDED)
    ),
    "empty pieces of headers": lambda peer, number: (
        _then(1, frames.HEADERS, b"") if number == 1 else _then(1, frames.CONTINUATION, b"")
    ),
}


@pytest.mark.parametrize("kind", list(FLOODS))
async def test_a_flood_that_brings_no_work_ends_the_connection(kind: str) -> None:
    async with hosted(**SMALL) as server, connected(server.port) as peer:
        for number in range(1, 2 * MANY, 2):
            peer.send(FLOODS[kind](peer, number))
        goaway = await peer.until(frames.GOAWAY)
        assert (goaway.code, goaway.payload[8:]) == (CALM, b"too many frames that carry no request")
        async with connected(server.port) as other:
            other.send(other.request(1, POST, b"unharmed"))
            assert (await other.answer(1)).body == b"unharmed"
        assert all(stream.settled for stream in server.handlers.get(b"/never", NOTHING).handled)


NOTHING = Echo(b"/never")


async def test_a_new_connection_brings_no_new_budget_to_its_address() -> None:
    ping = frames.ping(b"a frame.", ack=False)
    async with hosted(**SMALL) as server:
        async with connected(server.port) as peer:
            peer.send(ping * 500)
            assert (await peer.until(frames.GOAWAY)).code == CALM
        async with connected(server.port) as again, connected(server.port, "127.0.0.2") as other:
            again.send(again.request(1, POST, b"a request is no flood"))
            assert (await again.answer(1)).body == b"a request is no flood"
            again.send(ping * 10)
            assert (await again.until(frames.GOAWAY)).code == CALM
            other.send(ping)
            assert (await other.until(frames.PING)).payload == b"a frame."


async def test_budgets_are_kept_until_they_are_full_again() -> None:
    async with hosted(connections=10, idle_frames_per_second=1e-9) as server:
        peers, host = Peers(), server.host
        assert not peers.of("spent", host).budget.spend(host.now(), 1e6)
        for number in range(1000):
            peers.of(f"another {number}", host)
        assert len(peers) < 20
        assert not peers.of("spent", host).budget.spend(host.now(), 1.0)


class _Noting(Echo):
    """Notes how many requests of others were read before its own."""

    def __init__(self, others: Echo) -> None:
        super().__init__(b"/echo")
        self.others = others
        self.before = 0

    def handle(self, stream: Stream) -> None:
        self.before = len(self.others.handled)
        super().handle(stream)


async def test_connections_of_one_address_take_turns_with_those_of_others() -> None:
    """Three thousand requests are there at once; a request from another address is not behind them."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(hosted(streams=1000, reading_seconds=1e-9))
        many = server.handlers[b"/never"] = Echo(b"/never")
        noting = server.handlers[b"/echo"] = _Noting(many)
        peers = [await stack.enter_async_context(connected(server.port)) for _ in range(3)]
        other = await stack.enter_async_context(connected(server.port, "127.0.0.2"))
        for peer in peers:
            peer.send(b"".join(_request(peer, number) for number in range(1, 2001, 2)))
        other.send(other.request(1, POST, b"soon"))
        assert (await other.answer(1)).body == b"soon"
        assert noting.before < 200
        for peer in peers:
            peer.send(frames.ping(b"all read", ack=False))
            await peer.until(frames.PING)
        assert len(many.handled) == 3000


@pytest.mark.parametrize("paid", [FAIL, POST], ids=["refusals", "results"])
async def test_only_results_pay_for_resets(paid: Headers) -> None:
    """Three resets for each request with an answer: results pay for them, refusals do not."""
    async with hosted(**SMALL) as server, connected(server.port) as peer:
        for first in range(1, 3200, 8):
            peer.send(peer.request(first, paid))
            for number in (first + 2, first + 4, first + 6):
                peer.send(_request(peer, number), frames.rst_stream(number, ErrorCode.CANCEL))
        peer.send(frames.ping(b"the end.", ack=False))
        if paid is FAIL:
            assert (await peer.until(frames.GOAWAY)).code == CALM
        else:
            assert (await peer.until(frames.PING)).payload == b"the end."


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (_then(1, frames.PRIORITY, bytes(3) + b"\x01\x00"), ErrorCode.PROTOCOL_ERROR),
        (_then(1, frames.HEADERS, b"\x20" * 3 + b"\x83", ENDED), ErrorCode.COMPRESSION_ERROR),
        (_then(1, frames.HEADERS, b"\x3f\xe1\x1f" * 3 + b"\x83", ENDED), ErrorCode.COMPRESSION_ERROR),
        (frames.settings({frames.ENABLE_PUSH: 2}), ErrorCode.PROTOCOL_ERROR),
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
    ],
)
async def test_what_no_client_sends_ends_the_connection_at_once(what: bytes, code: ErrorCode) -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(what)
        assert (await peer.until(frames.GOAWAY)).code == code


async def test_pings_beside_requests_are_answered_for_ever() -> None:
    """Some clients measure the connection with a ping for every call."""
    async with hosted() as server, connected(server.port) as peer:
        for stream in range(1, 6001, 2):
            peer.send(frames.ping(b"measures", ack=False), peer.request(stream, POST))
        await peer.answer(5999)
        assert sum(frame.kind == frames.PING for frame in peer.others) == 3000


async def test_endless_continuations_end_the_connection() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        peer.send(frames.frame(frames.CONTINUATION, 0, 1, bytes(1024)) * 100)
        assert (await peer.until(frames.GOAWAY)).code == ErrorCode.ENHANCE_YOUR_CALM


async def test_headers_that_unpack_to_too_much_end_the_connection() -> None:
    """A field of 3 kB in the table, referred to by one byte each time."""
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.request(1, (*POST, ("x-large", "a" * 3000))))
        await peer.answer(1)
        peer.send(frames.frame(frames.HEADERS, frames.END_HEADERS, 3, b"\xbe" * 1000))
        assert (await peer.until(frames.GOAWAY)).code == ErrorCode.ENHANCE_YOUR_CALM


async def test_streams_beyond_the_limit_are_refused_and_the_others_live() -> None:
    never = ((":method", "GET"), (":scheme", "http"), (":path", "/never"))
    async with hosted() as server, connected(server.port) as peer:
        for number in range(Limits().streams + 1):
            peer.send(peer.head(2 * number + 1, never, end=True))
        refused = await peer.until(frames.RST_STREAM)
        assert (refused.stream, refused.number) == (2 * Limits().streams + 1, ErrorCode.REFUSED_STREAM)
        assert len(server.handlers[b"/never"].handled) == Limits().streams


async def test_a_body_beyond_its_limit_is_answered_early_and_stopped() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, POST))
        for _ in range(70):
            peer.send(frames.frame(frames.DATA, 0, 1, bytes(15_000)))
        answer = await peer.answer(1)
        assert answer.body == b"too large"
        assert (await peer.until(frames.RST_STREAM)).number == ErrorCode.NO_ERROR
        peer.send(peer.request(3, POST, b"goes on"))
        assert (await peer.answer(3)).body == b"goes on"


async def test_a_body_that_is_announced_as_too_large_is_not_waited_for() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, (*POST, ("content-length", "1000001"))))
        assert (await peer.answer(1)).body == b"too large"


async def test_what_the_headers_decide_is_answered_before_the_body_ends() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, ((":path", "/headers-suffice"), *(f for f in POST if f[0] != ":path"))))
        assert (await peer.answer(1)).body == b""
        assert (await peer.until(frames.RST_STREAM)).number == ErrorCode.NO_ERROR
        peer.send(peer.request(3, POST, b"goes on"))
        assert (await peer.answer(3)).body == b"goes on"


async def test_bodies_that_together_take_too_much_memory_are_turned_away() -> None:
    async with hosted(memory=200_000) as server, connected(server.port) as peer:
        for stream in (1, 3):
            peer.send(peer.head(stream, POST))
            for _ in range(4):
                peer.send(frames.frame(frames.DATA, 0, stream, bytes(15_000)))
        assert (await peer.answer(3)).body == b"overloaded"
        peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b""))
        assert len((await peer.answer(1)).body) == 60_000


async def test_an_answer_that_is_not_taken_is_given_up() -> None:
    async with hosted(write_seconds=0.1) as server, connected(server.port, initial_window_size=0) as peer:
        peer.send(peer.request(1, POST, b"unwanted"))
        assert (await peer.answer(1)).reset == ErrorCode.CANCEL
        assert server.host.memory.used == 0


@pytest.mark.parametrize(("step", "finished"), [(1, False), (1000, True)])
async def test_an_answer_has_to_be_taken_at_a_rate(step: int, *, finished: bool) -> None:
    bounds = {"write_seconds": 0.1, "unread_rate": 200.0}
    async with hosted(**bounds) as server, connected(server.port, initial_window_size=0) as peer:
        peer.send(peer.request(1, POST, bytes(15_000)))
        answering = asyncio.create_task(peer.answer(1))
        for _ in range(40):
            await asyncio.sleep(0.05)
            peer.send(frames.window_update(1, step))
        answer = await answering
        assert (answer.reset, len(answer.body) == 15_000) == (
            None if finished else ErrorCode.CANCEL,
            finished,
        )


def _large(peer: Peer, stream: int) -> bytes:
    parts = frames.frame(frames.DATA, 0, stream, bytes(15_000)) * 4
    return peer.head(stream, POST) + parts + frames.frame(frames.DATA, frames.END_STREAM, stream)


async def test_answers_that_are_not_taken_are_given_up_beyond_the_connections_bound() -> None:
    async with hosted(unread=100_000) as server, connected(server.port, initial_window_size=0) as peer:
        peer.send(_large(peer, 1), _large(peer, 3), peer.request(5, POST, b"fits"))
        assert (await peer.answer(3)).reset == CALM
        async with connected(server.port) as other:
            other.send(other.request(1, POST, b"unharmed"))
            assert (await other.answer(1)).body == b"unharmed"
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 60_000}))
        assert len((await peer.answer(1)).body) == 60_000
        assert (await peer.answer(5)).body == b"fits"


async def test_an_answer_larger_than_the_bound_waits_alone() -> None:
    async with hosted(unread=50_000) as server, connected(server.port, initial_window_size=0) as peer:
        peer.send(_large(peer, 1))
        await peer.until(frames.HEADERS)
        peer.send(frames.window_update(1, 60_000))
        assert len((await peer.answer(1)).body) == 60_000


async def test_answers_that_are_not_taken_are_the_share_of_their_own_caller() -> None:
    """Many connections of one address leave room for the answer of another address that is taken late."""
    async with hosted(memory=400_000) as server, AsyncExitStack() as stack:
        for _ in range(10):
            peer = await stack.enter_async_context(connected(server.port, initial_window_size=0))
            peer.send(_large(peer, 1))
            await peer.until(frames.HEADERS)
        other = await stack.enter_async_context(connected(server.port, "127.0.0.2", initial_window_size=0))
        other.send(_large(other, 1))
        await other.until(frames.HEADERS)
        other.send(frames.window_update(1, 60_000))
        assert len((await other.answer(1)).body) == 60_000


async def test_what_the_socket_does_not_take_is_counted() -> None:
    """Answers fit the windows, but the caller reads nothing."""
    bounds = {"write_buffer": 1024, "unread": 2_000_000, "streams": 400}
    async with hosted(**bounds) as server, connected(server.port, initial_window_size=2**30) as peer:
        peer.send(frames.window_update(0, 2**30))
        for number in range(400):
            peer.send(_request(peer, 2 * number + 1))
        peer.send(frames.ping(b"all read", ack=False))
        await peer.until(frames.PING)
        peer.read_nothing()
        for stream in server.handlers[b"/never"].handled:
            stream.answer(HEAD, bytes(16_000), TRAILER)
        assert 1_900_000 < server.host.memory.used < 2_200_000


async def test_a_caller_that_reads_nothing_is_let_go() -> None:
    bounds = {"write_seconds": 0.2, "write_buffer": 1024}
    async with hosted(**bounds) as server, connected(server.port, initial_window_size=2**30) as peer:
        peer.read_nothing()
        peer.send(frames.window_update(0, 2**30))
        for stream in range(1, 401, 2):
            peer.send(peer.head(stream, POST))
            peer.send(frames.frame(frames.DATA, 0, stream, bytes(16_000)) * 4)
            peer.send(frames.frame(frames.DATA, frames.END_STREAM, stream, b""))
        await server.left_by_all()


async def test_a_body_that_never_ends_is_given_up() -> None:
    async with hosted(body_seconds=0.1) as server, connected(server.port) as peer:
        peer.send(peer.head(1, POST), frames.frame(frames.DATA, 0, 1, b"some"))
        assert (await peer.answer(1)).reset == ErrorCode.CANCEL


async def test_a_caller_who_waits_no_longer_is_told_so() -> None:
    short = ((":method", "POST"), (":scheme", "http"), (":path", "/short"))
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, short), frames.frame(frames.DATA, 0, 1, b"some"))
        assert (await peer.answer(1)).body == b"late"


async def test_a_preface_that_never_comes_ends_the_connection() -> None:
    async with hosted(head_seconds=0.1, linger_seconds=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(frames.PREFACE[:10])
        async with asyncio.timeout(10):
            assert b"a frame took longer" in await reader.read()
        writer.close()


async def test_a_frame_that_never_ends_ends_the_connection() -> None:
    async with hosted(head_seconds=0.1) as server, connected(server.port) as peer:
        peer.send(peer.head(1, POST)[:-1])
        assert (await peer.until(frames.GOAWAY)).payload[8:].startswith(b"a frame took longer")
        assert await peer.ended()


async def test_a_slow_body_that_is_always_in_the_middle_of_a_frame_is_read() -> None:
    async with hosted(head_seconds=0.3) as server, connected(server.port) as peer:
        part = frames.frame(frames.DATA, 0, 1, bytes(100))
        peer.send(peer.head(1, POST), part[:50])
        for _ in range(15):
            await asyncio.sleep(0.1)
            peer.send(part[50:], part[:50])
        peer.send(part[50:], frames.frame(frames.DATA, frames.END_STREAM, 1, b""))
        assert len((await peer.answer(1)).body) == 1600


async def test_a_header_block_that_drips_ends_the_connection() -> None:
    async with hosted(head_seconds=0.3) as server, connected(server.port) as peer:
        peer.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        for _ in range(20):
            await asyncio.sleep(0.1)
            peer.send(frames.frame(frames.CONTINUATION, 0, 1, b"\x84"))
        assert (await peer.until(frames.GOAWAY)).payload[8:].startswith(b"a frame took longer")


async def test_a_header_block_that_never_ends_ends_the_connection() -> None:
    async with hosted(head_seconds=0.1) as server, connected(server.port) as peer:
        peer.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        assert (await peer.until(frames.GOAWAY)).payload[8:].startswith(b"a frame took longer")


async def test_an_idle_connection_is_closed_in_order() -> None:
    async with hosted(idle_seconds=0.1) as server, connected(server.port) as peer:
        peer.send(peer.request(1, POST, b"then nothing"))
        await peer.answer(1)
        assert (await peer.until(frames.GOAWAY)).last_stream == 2**31 - 1
        peer.send(frames.ping((await peer.until(frames.PING)).payload, ack=True))
        assert (await peer.until(frames.GOAWAY)).last_stream == 1
        assert await peer.ended()


async def test_a_caller_that_does_not_close_is_cut_off() -> None:
    async with hosted(linger_seconds=0.1) as server, connected(server.port) as peer:
        server.host.draining = True
        server.host.close_quiet(0.0)
        await server.left_by_all()
        assert await peer.ended()


async def test_connections_beyond_the_limit_hear_why() -> None:
    async with hosted(connections=1) as server, connected(server.port):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        async with asyncio.timeout(10):
            assert b"too many connections" in await reader.read()
        writer.close()


WAITING: dict[str, Callable[[Peer], bytes]] = {
    "half a request": lambda peer: peer.head(1, POST),
    "an answer that is not taken": lambda peer: peer.request(1, POST, b"not taken"),
}


@pytest.mark.parametrize("what", list(WAITING))
async def test_a_connection_that_waits_for_its_caller_makes_room(what: str) -> None:
    bounds = {"connections": 1, "reuse_seconds": 0.0, "unused_seconds": 0.0}
    async with hosted(**bounds) as server, connected(server.port, initial_window_size=0) as peer:
        peer.send(WAITING[what](peer), frames.ping(b"all read", ack=False))
        await peer.until(frames.PING)
        async with connected(server.port) as other:
            other.send(other.request(1, POST, b"has room"))
            assert (await other.answer(1)).body == b"has room"
        assert (await peer.until(frames.GOAWAY)).code == ErrorCode.NO_ERROR


async def test_a_connection_whose_request_is_worked_on_stays() -> None:
    async with (
        hosted(connections=1, reuse_seconds=0.0, unused_seconds=0.0) as server,
        connected(server.port) as peer,
    ):
        peer.send(_request(peer, 1), peer.head(3, POST), frames.ping(b"all read", ack=False))
        await peer.until(frames.PING)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert b"too many connections" in await reader.read()
        writer.close()
