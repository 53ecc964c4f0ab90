"""Shutting down loses no call, whatever the caller does meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from unit.serving import models
from unit.serving.grpc_caller import HEALTH, Code, caller, raw
from unit.serving.harness import Served, serving
from unit.serving.http2_peer import connected
from unit.serving.test_grpc_calls import framed, headers

from modelwright_serving.http2 import frames


@pytest.fixture
def model(tmp_path: Path, cancer: models.Cancer) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    return path


def test_health_goes_at_once_while_calls_are_still_answered(model: Path, cancer: models.Cancer) -> None:
    with serving(model, "--drain-delay-seconds", "1") as server:
        server.wait_ready().terminate()
        server.wait_for("draining")
        with caller(server.grpc_port) as calls:
            assert calls.call("Check", service=HEALTH).message == b"\x08\x02"
            assert calls.call("ServerReady").message == b""
            assert calls.call("ServerLive").message == b"\x08\x01"
            assert calls.infer(raw(cancer.rows[:1])).code is Code.OK
        assert server.exit_code() == 0
        assert server.wait_for("stopped")["everything_answered"] is True


async def test_a_call_that_is_half_sent_is_waited_for(model: Path, cancer: models.Cancer) -> None:
    message = framed(raw(cancer.rows[:1]).SerializeToString())
    with serving(model, "--drain-delay-seconds", "0") as server:
        async with connected(server.wait_ready().grpc_port) as peer:
            peer.send(peer.head(1, headers()), frames.frame(frames.DATA, 0, 1, message[:50]))
            peer.send(frames.ping(b"received", ack=False))
            await peer.until(frames.PING)
            server.terminate()
            ping = await peer.until(frames.PING)
            peer.send(frames.ping(ping.payload, ack=True))
            while (await peer.until(frames.GOAWAY)).last_stream != 1:
                pass
            peer.send(frames.frame(frames.DATA, frames.END_STREAM, 1, message[50:]))
            assert (await peer.answer(1)).trailers == {"grpc-status": "0"}
            assert await peer.ended()
        assert server.exit_code() == 0
        assert server.wait_for("stopped")["everything_answered"] is True


def test_a_caller_that_never_finishes_does_not_hold_the_server_for_ever(model: Path) -> None:
    options = ("--drain-delay-seconds", "0", "--drain-seconds", "0.5")
    with (
        serving(model, *options) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.wait_ready().grpc_port}") as channel,
    ):
        endless = threading.Event()

        def messages() -> Any:
            endless.wait(20)
            yield b""

        call: Any = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer").future(messages())
        grpc.channel_ready_future(channel).result(timeout=20)
        server.terminate()
        assert server.exit_code() == 0
        endless.set()
        assert call.code() is Code.UNAVAILABLE


@dataclass
class Load:
    """A steady caller, who goes on with the other server when one sends it away."""

    ports: list[int]
    message: Any
    width: int
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    lost: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Several calls at a time on one connection, with the retries that a client has by default.

        Those are of calls that no server has seen: ones that gRPC had given to a connection, and had not written yet,
        when GOAWAY came in. Without them the client itself fails such calls, also when the server is gRPC's own. A
        call that a server has seen is never tried twice.
        https://github.com/grpc/proposal/blob/master/A6-client-retries.md#transparent-retries
        """
        targets = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in self.ports)
        options = [("grpc.use_local_subchannel_pool", 1)]
        content = self.message.SerializeToString()
        with grpc.insecure_channel(targets, options) as channel:
            infer: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            while not self.stop.is_set():
                for call in [infer.future(content, timeout=20) for _ in range(self.width)]:
                    if call.code() is Code.OK:
                        self.answered += 1
                    else:
                        self.lost.append(f"{call.code()}: {call.details()}")


def test_a_steady_load_loses_nothing_when_a_server_is_replaced(
    model: Path, tmp_path: Path, cancer: models.Cancer
) -> None:
    (tmp_path / "next").mkdir()
    successor = tmp_path / "next" / "model.onnx"
    successor.write_bytes(model.read_bytes())
    with (
        serving(model, "--drain-delay-seconds", "0.5") as old,
        serving(successor) as new,
        ThreadPoolExecutor(6) as pool,
    ):
        ports = [old.wait_ready().grpc_port, new.wait_ready().grpc_port]
        loads = [Load(ports, raw(cancer.rows[:1]), width) for width in (1, 1, 1, 8, 8, 8)]
        callers = [pool.submit(load.run) for load in loads]
        try:
            _wait_until_served(old, 500)
            old.terminate()
            assert old.exit_code() == 0
            _wait_until_served(new, 500)
        finally:
            for load in loads:
                load.stop.set()
        for running in callers:
            running.result()
        assert [lost for load in loads for lost in load.lost] == []
        assert old.wait_for("stopped")["everything_answered"] is True


def _wait_until_served(server: Served, calls: int) -> None:
    while server.metric('modelwright_requests_total{code="OK"') < calls:
        pass
