"""Many callers at once, and unkind ones: the server answers the others, forgets who has left, and does not grow."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from unit.serving import models
from unit.serving.grpc_caller import Code, caller, raw
from unit.serving.harness import INFER, NAME, PATIENCE, REFUSED, Served, Wire, matrix, post, serving

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
MIB = 1024**2


@pytest.fixture(scope="module")
def stressed(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: what others ask of it would be counted, too."""
    path = tmp_path_factory.mktemp("stressed") / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path) as served:
        yield served.wait_ready()


@pytest.fixture(scope="module")
def body(cancer: models.Cancer) -> bytes:
    return json.dumps(matrix(cancer.rows[:1])).encode()


def files(server: Served) -> int:
    """The file descriptors that the server holds."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def memory(server: Served) -> int:
    """The bytes that the server has resident."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096


def until(true: Callable[[], bool]) -> None:
    """Waits for what the server does by itself; the test's time limit ends it."""
    while not true():
        sleep(0.02)


def fill(wire: Wire, data: bytes) -> None:
    """Sends the same again and again, until the server takes no more for a while."""
    wire.socket.settimeout(0.1)
    sent = 0
    while sent < 16 * MIB:
        try:
            sent += wire.socket.send(data[sent % len(data) :])
        except TimeoutError:
            return
    pytest.fail("the server reads on, although its answers are not read")


def reset(wire: Wire) -> None:
    """Leaves without a word."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.__exit__()


def test_a_body_that_drips_is_cut_off(cancer: models.Cancer, tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path, "--read-timeout", "0.1") as server, server.wait_ready().raw() as wire:
        wire.send(post(body)[: -len(body)])
        wire.socket.settimeout(0.05)
        for byte in cycle(b" "):
            wire.send(bytes([byte]))
            try:
                if wire.socket.recv(12, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        wire.socket.settimeout(PATIENCE)
        assert wire.reply().status == 408


def test_others_are_answered_beside_many_slow_heads(stressed: Served, body: bytes) -> None:
    with ExitStack() as stack:
        for number in range(200):
            stack.enter_context(stressed.raw()).send(post(body)[: 10 + number])
        assert stressed.infer(body).status == 200


def test_callers_that_read_nothing_cost_little_memory(stressed: Served) -> None:
    """Each asks for hundreds of megabytes: what they do not take is not made."""
    describe = b"GET /v2/openapi.json HTTP/1.1\r\nHost: test\r\n\r\n"
    assert len(stressed.get("/v2/openapi.json").body) > 100 * len(describe)
    before = memory(stressed)
    with ExitStack() as stack:
        for _ in range(20):
            fill(stack.enter_context(stressed.raw()), describe * 1000)
        assert stressed.get("/v2/health/ready").status == 200
        assert memory(stressed) - before < 20 * 2 * MIB


def test_bodies_that_together_are_too_large_are_refused_and_the_others_go_on(
    stressed: Served, body: bytes
) -> None:
    """One address gets half of 128 MiB, so of 18 bodies of 15 MiB that are all half read, 14 are too much."""
    head = b"POST %b HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (INFER.encode(), 16 * MIB)
    with ExitStack() as stack:
        wires = [stack.enter_context(stressed.raw()) for _ in range(18)]
        for wire in wires:
            with suppress(OSError):  # one that is refused may find the connection closed while it sends
                wire.send(head + bytes(15 * MIB))
        replies = [wire.reply() for wire in wires[4:]]
        assert {(reply.status, reply.headers["retry-after"]) for reply in replies} == {(503, "1")}
        assert stressed.infer(body).status == 200
    assert stressed.infer(body).status == 200


def test_more_requests_than_may_wait_are_refused_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(models.slow(10))
    one = post(json.dumps(matrix(np.ones((1, 2), np.float32), "x")).encode())
    with serving(path, "--queue-limit", "5") as server, ExitStack() as stack:
        server.wait_ready()
        wires = [stack.enter_context(server.raw()) for _ in range(30)]
        for wire in wires:
            wire.send(one)
        statuses = [wire.reply().status for wire in wires]
        assert set(statuses) == {200, 503}
        assert statuses.count(503) == server.metric(REFUSED % "QueueFull")
        assert server.metric("modelwright_queue_length") == 0


def test_callers_that_come_and_go_leave_nothing_behind(stressed: Served, body: bytes) -> None:
    """In every state of a connection: silent, within a head, within a body, waiting, and after an answer."""
    request = post(body)
    stressed.infer(body)
    before = files(stressed)
    for sent in (b"", request[:20], request[:-10], request, request * 30, LIVE):
        for leave in (reset, Wire.__exit__):
            for _ in range(50):
                wire = stressed.raw()
                wire.send(sent)
                leave(wire)
    until(lambda: files(stressed) <= before)
    assert stressed.infer(body).status == 200
    in_flight = f'modelwright_requests_in_flight{{model="{NAME}",protocol="http"'
    assert stressed.metric(in_flight) == 0


class Mixed:
    """A caller that does everything in turn, most of it wrong."""

    def __init__(self, server: Served, cancer: models.Cancer) -> None:
        good = json.dumps(matrix(cancer.rows[:3])).encode()
        self._server = server
        self._good = raw(cancer.rows[:2])
        self._requests = (
            *(("POST", INFER, good, 200), ("POST", INFER, good[:-1], 400), ("POST", INFER, b"{}", 400)),
            *(("GET", "/v2", None, 200), ("GET", "/nowhere", None, 404), ("DELETE", "/v2", None, 405)),
            *(("POST", INFER, json.dumps(matrix(cancer.rows)).encode(), 200), ("HEAD", "/v2", None, 200)),
        )

    def run(self, requests: int) -> int:
        """How many requests were answered as they should be."""
        right = 0
        with caller(self._server.grpc_port) as grpc:
            connection = HTTPConnection("127.0.0.1", self._server.http_port, timeout=PATIENCE)
            for number, (method, path, body, status) in zip(range(requests), cycle(self._requests)):
                if number % 5 == 4:
                    right += grpc.infer(self._good).code is Code.OK
                    continue
                connection.request(method, path, body)
                answer = connection.getresponse()
                answer.read()
                right += answer.status == status
                if number % 50 == 49:
                    connection.close()
            connection.close()
        return right


def test_nothing_grows_over_many_mixed_requests(stressed: Served, cancer: models.Cancer) -> None:
    """Measured after as many requests as fill every cache and pool, and again after 12,000."""

    def rounds(requests: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            callers = [pool.submit(Mixed(stressed, cancer).run, requests) for _ in range(4)]
            assert [caller.result() for caller in callers] == [requests] * 4

    rounds(1000)
    held, resident = files(stressed), memory(stressed)
    rounds(3000)
    until(lambda: files(stressed) <= held)
    assert memory(stressed) - resident < 6 * MIB
