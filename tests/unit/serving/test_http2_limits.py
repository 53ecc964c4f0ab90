"""Nobody can make an HTTP/2 connection hold too much, cost too much, or last for ever."""

import asyncio
from collections.abc import Callable

import pytest
from unit.serving.http2_peer import GET, Peer, connected, hosted

from modelwright_serving.http2 import frames
from modelwright_serving.http2.frames import ErrorCode
from modelwright_serving.http2.streams import MAX_STREAMS

POST = ((":method", "POST"), *GET[1:])
MANY = 30_000


def _reset_at_once(peer: Peer, number: int) -> bytes:
    stream = 2 * number + 1
    return peer.head(stream, POST) + frames.rst_stream(stream, ErrorCode.CANCEL)


FLOODS: dict[str, Callable[[Peer, int], bytes]] = {
    "pings": lambda peer, number: frames.ping(number.to_bytes(8, "big"), ack=False),
    "settings": lambda peer, number: frames.settings({frames.INITIAL_WINDOW_SIZE: number}),
    "priorities": lambda peer, number: frames.frame(frames.PRIORITY, 0, 1, bytes(3) + b"\x07\x01"),
    "unknown frames": lambda peer, number: frames.frame(0x55, 0, 0, b"?"),
    "window updates": lambda peer, number: frames.window_update(0, 1),
    "streams that are reset at once": _reset_at_once,
}


@pytest.mark.parametrize("kind", list(FLOODS))
async def test_a_flood_that_brings_no_work_ends_the_connection(kind: str) -> None:
    async with hosted() as server, connected(server.port) as peer:
        for number in range(MANY):
            peer.send(FLOODS[kind](peer, number))
        goaway = await peer.until(frames.GOAWAY)
        assert (goaway.code, goaway.payload[8:]) == (
            ErrorCode.ENHANCE_YOUR_CALM,
            b"too many frames that carry no request",
        )
        async with connected(server.port) as other:
            other.send(other.request(1, POST, b"unharmed"))
            assert (await other.answer(1)).body == b"unharmed"


async def test_empty_data_frames_end_the_connection() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, POST), frames.frame(frames.DATA, 0, 1) * MANY)
        assert (await peer.until(frames.GOAWAY)).code == ErrorCode.ENHANCE_YOUR_CALM


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


async def test_empty_continuations_end_the_connection() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
        peer.send(frames.frame(frames.CONTINUATION, 0, 1) * MANY)
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
        for number in range(MAX_STREAMS + 1):
            peer.send(peer.head(2 * number + 1, never, end=True))
        refused = await peer.until(frames.RST_STREAM)
        assert (refused.stream, refused.number) == (2 * MAX_STREAMS + 1, ErrorCode.REFUSED_STREAM)
        assert len(server.handlers[b"/never"].handled) == MAX_STREAMS


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
