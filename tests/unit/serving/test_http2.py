"""HTTP/2 beyond what h2spec looks at: windows both ways, header tables, the end of a connection."""

import asyncio
from itertools import count

import pytest
from unit.serving.http2_peer import GET, Peer, connected, hosted

from modelwright_serving.http2 import frames
from modelwright_serving.http2.frames import ErrorCode

POST = ((":method", "POST"), *GET[1:])


async def test_a_request_gets_its_answer_and_trailers() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.request(1, POST, b"hello"))
        answer = await peer.answer(1)
    assert (answer.headers, answer.body, answer.trailers) == ({":status": "200"}, b"hello", {"end": "yes"})


@pytest.mark.parametrize(("path", "text"), [("/fail", b""), ("/text", b"no")])
async def test_a_refusal_is_headers_or_headers_and_a_text(path: str, text: bytes) -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.request(1, (*POST[:2], (":path", path)), b"hello"))
        answer = await peer.answer(1)
    assert (answer.headers, answer.body, answer.trailers) == ({":status": "200"}, text, {})


async def test_a_request_that_drips_byte_by_byte_is_read() -> None:
    async with hosted() as server:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port))
        for byte in frames.PREFACE + frames.settings({}) + peer.request(1, POST, b"drip"):
            peer.send(bytes((byte,)))
            await peer.drain()
        assert (await peer.answer(1)).body == b"drip"
        await peer.close()


async def test_many_requests_on_one_connection_keep_their_answers_apart() -> None:
    async with hosted() as server, connected(server.port) as peer:
        for stream in range(1, 1001, 2):
            peer.send(peer.request(stream, POST, b"%d" % stream))
        for stream in range(999, 0, -2):
            assert (await peer.answer(stream)).body == b"%d" % stream


async def test_a_large_body_is_let_in_as_it_is_read() -> None:
    """900 kB: more than the initial window of HTTP/2, in many frames."""
    body = bytes(range(256)) * 3600
    async with hosted() as server, connected(server.port, initial_window_size=2**20) as peer:
        peer.send(frames.window_update(0, 2**20), peer.head(1, POST))
        for start in range(0, len(body), 16_000):
            part = body[start : start + 16_000]
            end = start + 16_000 >= len(body)
            peer.send(frames.frame(frames.DATA, frames.END_STREAM if end else 0, 1, part))
        answer = await peer.answer(1)
    assert answer.body == body


async def test_windows_are_given_back_while_a_body_comes() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, POST))
        for _ in range(40):
            peer.send(frames.frame(frames.DATA, 0, 1, bytes(15_000)))
        update = await peer.until(frames.WINDOW_UPDATE)
        while update.stream != 1:
            update = await peer.until(frames.WINDOW_UPDATE)
        assert update.number > 500_000


async def test_an_answer_waits_for_the_stream_window() -> None:
    async with hosted() as server, connected(server.port, initial_window_size=4) as peer:
        peer.send(peer.request(1, POST, b"0123456789"))
        assert (await peer.until(frames.DATA)).payload == b"0123"
        peer.send(frames.window_update(1, 4))
        assert (await peer.until(frames.DATA)).payload == b"4567"
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 6}))
        answer = await peer.answer(1)
    assert (answer.body, answer.trailers) == (b"0123456789", {"end": "yes"})


async def test_an_answer_waits_for_the_connection_window_and_others_pass_where_they_fit() -> None:
    async with hosted() as server, connected(server.port, initial_window_size=2**20) as peer:
        peer.send(peer.head(1, POST))
        for _ in range(5):
            peer.send(frames.frame(frames.DATA, 0, 1, bytes(14_000)))
        peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, b""))
        received = 0
        while received < 65_535:
            received += len((await peer.until(frames.DATA)).payload)
        assert received == 65_535
        peer.send(peer.request(3, POST))
        assert (await peer.answer(3)).trailers == {"end": "yes"}
        assert 1 not in peer.closed
        peer.send(frames.window_update(0, 70_000 - 65_535))
        assert len((await peer.answer(1)).body) == 70_000


async def test_a_smaller_window_mid_stream_may_become_negative_and_is_obeyed() -> None:
    async with hosted() as server, connected(server.port, initial_window_size=6) as peer:
        peer.send(peer.request(1, POST, b"0123456789"))
        assert (await peer.until(frames.DATA)).payload == b"012345"
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 2}), frames.window_update(1, 5))
        assert (await peer.until(frames.DATA)).payload == b"6"
        peer.send(frames.window_update(1, 100))
        assert (await peer.answer(1)).body == b"0123456789"


async def test_frames_grow_no_larger_than_the_caller_takes() -> None:
    async with hosted() as server, connected(server.port, initial_window_size=2**20) as peer:
        peer.send(frames.window_update(0, 2**20), peer.head(1, POST))
        for flags in (0, 0, frames.END_STREAM):
            peer.send(frames.frame(frames.DATA, flags, 1, bytes(15_000)))
        sizes = [len((await peer.until(frames.DATA)).payload) for _ in range(3)]
    assert sizes == [16_384, 16_384, 12_232]


async def test_padding_counts_for_windows_and_is_dropped() -> None:
    async with hosted() as server, connected(server.port) as peer:
        padded = frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x05hello" + bytes(5))
        peer.send(peer.head(1, POST), padded)
        assert (await peer.answer(1)).body == b"hello"


async def test_blocks_are_understood_while_the_table_stays_changes_and_shrinks() -> None:
    """Equal bytes mean other fields after the table has changed."""
    async with hosted() as server, connected(server.port) as peer:
        stream = 1
        for path in ("/one", "/two", "/one", "/three"):
            fields = ((":path", path), *(field for field in POST if field[0] != ":path"))
            for size in (4096, 4096, 60, 0, 4096):
                peer.encoder.header_table_size = size
                for _ in range(3):
                    peer.send(peer.request(stream, fields, b"x"))
                    assert (await peer.answer(stream)).body == b"x"
                    stream += 2
        handled = {path: len(handler.handled) for path, handler in server.handlers.items()}
        assert handled == {b"/one": 30, b"/two": 15, b"/three": 15}


async def test_equal_bytes_are_read_again_when_an_equal_entry_has_moved_the_table() -> None:
    """The newest entry and the table's size are as before, and still the others have other numbers."""
    async with hosted() as server, connected(server.port) as peer:
        streams = count(1, 2)
        size = b"\x3f\x65"  # 132: room for three entries of 41 to 44 bytes
        for path in (b"/one", b"/two", b"/two"):
            peer.send(_whole(next(streams), size + b"\x83\x86\x44\x04" + path))
            size = b""
        third = b"\x83\x86\xc0"
        for _ in range(2):
            peer.send(_whole(next(streams), third))
        peer.send(_whole(next(streams), b"\x83\x86\x44\x04/two"))
        peer.send(_whole(next(streams), third))
        await peer.answer(13)
        assert {path: len(found.handled) for path, found in server.handlers.items()} == {
            b"/one": 3,
            b"/two": 4,
        }


def _whole(stream: int, block: bytes) -> bytes:
    return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, block)


async def test_a_table_that_grows_beyond_what_was_announced_ends_the_connection() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(_whole(1, b"\x3f\xe2\x1f\x82"))  # 4097
        assert (await peer.until(frames.GOAWAY)).code == ErrorCode.COMPRESSION_ERROR
        assert await peer.ended()


async def test_a_stream_that_the_caller_gives_up_is_abandoned() -> None:
    never = ((":method", "GET"), (":scheme", "http"), (":path", "/never"))
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, never, end=True), frames.rst_stream(1, ErrorCode.CANCEL))
        peer.send(peer.request(3, POST, b"next"))
        assert (await peer.answer(3)).body == b"next"
        handler = server.handlers[b"/never"]
        assert (handler.gone, handler.handled[0].settled) == (1, True)


async def test_a_draining_server_says_nothing_while_its_port_is_open() -> None:
    """Whoever is sent away too early comes back through the same port."""
    async with hosted() as server, connected(server.port) as peer:
        server.host.draining = True
        await asyncio.sleep(1.2)  # longer than the host's clock takes to come round
        peer.send(peer.request(1, POST, b"still here"))
        assert (await peer.answer(1)).body == b"still here"
        assert [frame for frame in peer.others if frame.kind == frames.GOAWAY] == []


async def test_a_draining_server_says_so_twice_and_answers_what_came_in_between() -> None:
    async with hosted() as server, connected(server.port) as peer:
        server.host.draining = True
        server.host.close_quiet(2.0)
        first = await peer.until(frames.GOAWAY)
        assert (first.last_stream, first.code) == (2**31 - 1, ErrorCode.NO_ERROR)
        peer.send(peer.request(1, POST, b"on its way"))
        ping = await peer.until(frames.PING)
        peer.send(frames.ping(ping.payload, ack=True))
        assert (await peer.answer(1)).body == b"on its way"
        second = await peer.until(frames.GOAWAY)
        assert (second.last_stream, second.code) == (1, ErrorCode.NO_ERROR)
        assert await peer.ended()


async def test_a_request_after_the_last_word_is_left_unanswered_and_harms_nobody() -> None:
    never = ((":method", "GET"), (":scheme", "http"), (":path", "/never"))
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.head(1, never, end=True), frames.ping(b"received", ack=False))
        await peer.until(frames.PING)
        server.host.draining = True
        server.host.close_quiet(2.0)
        ping = await peer.until(frames.PING)
        peer.send(frames.ping(ping.payload, ack=True))
        while (await peer.until(frames.GOAWAY)).last_stream != 1:
            pass
        peer.send(peer.request(3, POST, b"too late"))
        peer.send(frames.ping(b"received", ack=False))
        await peer.until(frames.PING)
        assert 3 not in peer.answers
        server.handlers[b"/never"].handled[0].answer(
            frames.HeaderBlock(b"\x88"), b"slow", frames.HeaderBlock(b"\x88")
        )
        assert (await peer.answer(1)).body == b"slow"
        assert await peer.ended()


async def test_a_caller_that_has_finished_sending_gets_its_answers() -> None:
    async with hosted() as server, connected(server.port) as peer:
        peer.send(peer.request(1, POST, b"last"))
        peer.finish()
        assert (await peer.answer(1)).body == b"last"
        assert await peer.ended()


async def test_a_caller_of_http_1_is_told_what_this_port_speaks() -> None:
    async with hosted() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        greeting = await reader.read()
        writer.close()
    assert greeting.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert greeting.endswith(b"this port speaks HTTP/2 only\n")
