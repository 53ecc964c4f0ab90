"""Connections that carry nothing keep no caller out, and never a probe."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from unit.serving import models
from unit.serving.conftest import ModelFile
from unit.serving.harness import INFER, PATIENCE, Served, serving

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
MOST = 64


@pytest.fixture
def crowded(cancer: models.Cancer, model_file: ModelFile) -> Iterator[Served]:
    """A server with few places."""
    with serving(model_file(cancer.content), "--max-connections", str(MOST)) as server:
        yield server.wait_ready()


@contextmanager
def idle(port: int, number: int, address: str, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections of one address that say this and no more."""
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            found.append(stack.enter_context(_connection(port, address)))
            found[-1].sendall(first)
        yield found


def _connection(port: int, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE, source_address=(address, 0))


def _status(port: int, address: str) -> bytes:
    with _connection(port, address) as caller:
        caller.sendall(LIVE)
        return caller.recv(12)


def _is_served_soon(port: int, address: str) -> None:
    """As soon as the others have been out of use for a second."""
    deadline = time.monotonic() + PATIENCE
    while _status(port, address) != b"HTTP/1.1 200":
        assert time.monotonic() < deadline


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


@pytest.mark.parametrize(
    "first", [b"", b"G", f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{".encode(), LIVE]
)
def test_idle_connections_make_room_for_another_address(crowded: Served, first: bytes) -> None:
    with idle(crowded.http_port, 4 * MOST, "127.0.0.2", first):
        for _ in range(3):
            assert _status(crowded.http_port, "127.0.0.1") == b"HTTP/1.1 200"


def test_many_addresses_with_idle_connections_make_room_too(crowded: Served) -> None:
    with ExitStack() as stack:
        for number in range(MOST):
            stack.enter_context(idle(crowded.http_port, 4, f"127.0.1.{number + 1}"))
        _is_served_soon(crowded.http_port, "127.0.0.1")


def test_the_oldest_connection_of_the_largest_crowd_goes_first(crowded: Served) -> None:
    with (
        idle(crowded.http_port, 2, "127.0.0.3") as few,
        idle(crowded.http_port, MOST - 2, "127.0.0.2") as crowd,
    ):
        assert _status(crowded.http_port, "127.0.0.1") == b"HTTP/1.1 200"
        assert all(map(_is_open, few))
        assert crowd[0].recv(1) == b""
        assert all(map(_is_open, crowd[1:]))


def test_a_connection_that_has_served_stays_before_those_that_never_did(crowded: Served) -> None:
    """Many addresses with one connection each are no crowd."""
    with crowded.raw() as honest, ExitStack() as stack:
        honest.send(LIVE)
        assert honest.reply().status == 200
        for number in range(MOST - 1):
            stack.enter_context(idle(crowded.http_port, 1, f"127.0.1.{number + 1}"))
        for number in range(3):
            _is_served_soon(crowded.http_port, f"127.0.2.{number + 1}")
            stack.enter_context(idle(crowded.http_port, 1, f"127.0.2.{number + 1}", LIVE))
        honest.send(LIVE)
        assert honest.reply().status == 200


def test_an_address_with_all_places_is_refused_until_its_own_are_out_of_use(crowded: Served) -> None:
    with idle(crowded.http_port, MOST, "127.0.0.2"):
        assert _status(crowded.http_port, "127.0.0.2") == b"HTTP/1.1 503"
        _is_served_soon(crowded.http_port, "127.0.0.2")


def test_thousands_of_idle_connections_keep_no_probe_out(server: Served) -> None:
    ports = (server.http_port, server.grpc_port, server.admin_port)
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(idle(port, 1200, "127.0.0.2"))
        for path in ("/v2/health/live", "/v2/health/ready", "/healthz", "/metrics"):
            assert server.call("GET", path, port=server.admin_port).status == 200
        assert server.get("/v2/health/ready").status == 200
