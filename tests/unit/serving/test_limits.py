"""Nobody can make the server hold too much, or hold it for ever."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from unit.serving import models
from unit.serving.harness import INFER, Served, matrix, post, serving


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
            pytest.fail("the server listened to the drip for ever")


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
