"""Shutting down loses nothing: whoever sends a request is answered, or could not connect at all."""

import asyncio
import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
from unit.serving import models
from unit.serving.harness import INFER, Served, Wire, matrix, post, serving

from modelwright_serving.host import Host
from modelwright_serving.http import responses
from modelwright_serving.http.connection import Connection
from modelwright_serving.http.routes import Routes
from modelwright_serving.limits import Limits
from modelwright_serving.listening import Port

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
def model(tmp_path: Path, cancer: models.Cancer) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    return path


@pytest.fixture(scope="module")
def body(cancer: models.Cancer) -> bytes:
    return json.dumps(matrix(cancer.rows[:1])).encode()


def test_readiness_goes_at_once_while_requests_are_still_answered(model: Path, body: bytes) -> None:
    with serving(model, "--drain-delay-seconds", "1") as server:
        server.wait_ready().terminate()
        server.wait_for("draining")
        ready = server.get("/v2/health/ready")
        assert (ready.status, ready.document["reason"]) == (503, "Draining")
        assert server.get("/v2/health/live").status == 200
        answer = server.infer(body)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert server.exit_code() == 0


def test_an_idle_connection_gets_its_answer_during_the_delay(model: Path, body: bytes) -> None:
    with serving(model, "--drain-delay-seconds", "1") as server, server.wait_ready().raw() as wire:
        wire.send(post(body))
        assert "connection" not in wire.reply().headers
        server.terminate()
        server.wait_for("draining")
        wire.send(post(body))
        last = wire.reply()
        assert (last.status, last.headers["connection"]) == (200, "close")
        assert wire.closed_by_server()
        wire.socket.close()
        assert server.exit_code() == 0


def test_only_the_last_of_several_pipelined_answers_closes(model: Path, body: bytes) -> None:
    with serving(model, "--drain-delay-seconds", "1") as server, server.wait_ready().raw() as wire:
        server.terminate()
        server.wait_for("draining")
        wire.send((post(body) + LIVE) * 3)
        headers = [wire.reply().headers.get("connection") for _ in range(6)]
        assert headers[-1] == "close"
        assert "close" not in headers[:-1]


def test_a_request_that_is_half_sent_is_waited_for(model: Path, body: bytes) -> None:
    with serving(model, "--drain-delay-seconds", "0") as server, server.wait_ready().raw() as wire:
        request = post(body)
        wire.send(request[:200])
        assert server.get("/v2/health/live").status == 200  # by now the server has read the first half
        server.terminate()
        server.wait_for("draining")
        wire.send(request[200:])
        answer = wire.reply()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.closed_by_server()
        wire.socket.close()
        assert server.exit_code() == 0


def test_a_silent_connection_is_closed_in_order_and_does_not_hold_the_server(model: Path) -> None:
    with serving(model, "--drain-delay-seconds", "0") as server, server.wait_ready().raw() as wire:
        server.terminate()
        assert wire.closed_by_server()
        wire.socket.close()
        assert server.exit_code() == 0
        assert server.wait_for("stopped")["everything_answered"] is True


def test_a_caller_that_never_finishes_does_not_hold_the_server_for_ever(model: Path, body: bytes) -> None:
    options = ("--drain-delay-seconds", "0", "--drain-seconds", "0.5")
    with serving(model, *options) as server, server.wait_ready().raw() as wire:
        wire.send(post(body)[:-1])
        assert server.get("/v2/health/live").status == 200
        server.terminate()
        assert server.exit_code() == 0
        assert server.wait_for("stopped")["everything_answered"] is False


@dataclass
class Load:
    """A steady caller over kept connections, which moves on to the next server when one cannot be reached."""

    ports: list[int]
    body: bytes
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    lost: list[str] = field(default_factory=list)

    def run(self) -> None:
        connection: HTTPConnection | None = None
        port = self.ports[0]
        while not self.stop.is_set():
            if connection is None:
                connection, port = self._connect()
            try:
                connection.request("POST", INFER, self.body)
                response = connection.getresponse()
                content = response.read()
            except OSError as error:
                self.lost.append(f"port {self.ports.index(port)}: {error!r} after {self.answered} answers")
                return
            if response.status != 200 or b"outputs" not in content:
                self.lost.append(f"{response.status}: {content!r}")
                return
            self.answered += 1
            if response.getheader("connection") == "close":
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _connect(self) -> tuple[HTTPConnection, int]:
        """A refused connection loses nothing: the request was never sent."""
        for port in self.ports:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.connect()
            except ConnectionRefusedError:
                continue
            return connection, port
        raise AssertionError("no server is left")


def test_a_steady_load_loses_nothing_when_a_server_is_replaced(
    model: Path, body: bytes, tmp_path: Path
) -> None:
    (tmp_path / "next").mkdir()
    successor = tmp_path / "next" / "model.onnx"
    successor.write_bytes(model.read_bytes())
    with (
        serving(model, "--drain-delay-seconds", "1") as old,
        serving(successor) as new,
        ThreadPoolExecutor(8) as pool,
    ):
        old.wait_ready()
        new.wait_ready()
        loads = [Load([old.http_port, new.http_port], body) for _ in range(8)]
        callers = [pool.submit(load.run) for load in loads]
        try:
            _wait_until_served(old, 300)
            # What the cluster does: new connections go to the successor, kept ones stay where they are.
            for load in loads:
                load.ports = [new.http_port, old.http_port]
            old.terminate()
            assert old.exit_code() == 0
            _wait_until_served(new, 300)
        finally:
            for load in loads:
                load.stop.set()
        for caller in callers:
            caller.result()
        assert [lost for load in loads for lost in load.lost] == []
        assert old.wait_for("stopped")["everything_answered"] is True


async def test_who_has_connected_but_was_not_accepted_yet_is_served() -> None:
    """The event loop does not run between this connection and the closing of the port."""
    nothing = Routes(lambda path: responses.error(404, path))
    host = Host(partial(Connection, nothing), Limits(), asyncio.get_running_loop())
    port = await Port.open(host, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port.number)) as caller:
        await port.close()
        reader, writer = await asyncio.open_connection(sock=caller)
        writer.write(LIVE)
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        host.stop()
        writer.close()


def test_the_ports_stay_open_while_new_connections_arrive_at_one_of_them(model: Path, body: bytes) -> None:
    """A busy node sends new callers here long after the delay: until it learns of the other pods."""
    with serving(model, "--drain-delay-seconds", "1") as server:
        server.wait_ready().terminate()
        server.wait_for("draining")
        for _ in range(30):
            assert answered(server, body)
            time.sleep(0.1)
        socket.create_connection(("127.0.0.1", server.grpc_port)).close()
        assert server.exit_code() == 0
        assert server.wait_for("stopped")["everything_answered"] is True


def test_time_in_which_the_server_stood_still_is_none_in_which_the_news_has_spread(
    model: Path, body: bytes
) -> None:
    with serving(model, "--drain-delay-seconds", "2") as server:
        server.wait_ready().terminate()
        server.wait_for("draining")
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        server.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        assert answered(server, body)
        assert server.exit_code() == 0


def test_callers_who_never_stop_coming_do_not_keep_the_port_open(model: Path, body: bytes) -> None:
    with serving(model, "--drain-delay-seconds", "0.2", "--drain-seconds", "3") as server:
        server.wait_ready().terminate()
        server.wait_for("draining")
        while answered(server, body):
            pass
        assert server.exit_code() == 0


def answered(server: Served, body: bytes) -> bool:
    """Whether a new connection is served; False if the port is closed."""
    try:
        wire = Wire(server.http_port)
    except ConnectionRefusedError:
        return False
    with wire:
        wire.send(post(body))
        assert wire.reply().headers["connection"] == "close"
    return True


def _wait_until_served(server: Served, requests: int) -> None:
    while server.metric('modelwright_requests_total{code="200"') < requests:
        pass
