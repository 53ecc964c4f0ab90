"""Runs whose length is up to the caller: they end, nobody waits for them longer than promised, and health is told."""

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select
from time import sleep
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb
from unit.serving import models
from unit.serving.grpc_caller import HEALTH, Code, caller
from unit.serving.harness import NAME, REFUSED, Served, Wire, post, serving

from modelwright_serving.memory import REFUSAL

FOREVER = 2**60


def counting(to: int) -> dict[str, Any]:
    return {"inputs": [{"name": "n", "datatype": "INT64", "shape": [1], "data": [to]}]}


def sent(wire: Wire, to: int) -> None:
    wire.send(post(json.dumps(counting(to)).encode()))


def leave(wire: Wire) -> None:
    """A reset: who only closes may still want to read the answer."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.__exit__()


def until(true: Callable[[], bool]) -> None:
    """Waits for what the server does by itself; the test's time limit ends it."""
    while not true():
        sleep(0.02)


@contextmanager
def counter(folder: Path, *options: str) -> Iterator[Served]:
    path = folder / "model.onnx"
    path.write_bytes(models.loops())
    with serving(path, *options) as server:
        yield server.wait_ready()


def test_a_run_is_ended_after_its_limit_and_the_others_go_on(tmp_path: Path) -> None:
    with counter(tmp_path, "--run-seconds", "0.3") as server:
        with server.raw() as endless, server.raw() as next_one:
            sent(endless, FOREVER)
            assert server.get("/v2/health/live").status == 200
            assert server.call("GET", "/healthz", port=server.admin_port).status == 200
            sent(next_one, 7)
            ended = endless.reply()
            assert (ended.status, "took too long" in ended.error) == (504, True)
            assert next_one.reply().output("m").tolist() == [7]
        with caller(server.grpc_port) as calls:
            tensor = pb.ModelInferRequest.InferInputTensor(name="n", datatype="INT64", shape=[1])
            content = [np.array([FOREVER]).tobytes()]
            request = pb.ModelInferRequest(model_name=NAME, inputs=[tensor], raw_input_contents=content)
            assert calls.infer(request).code is Code.DEADLINE_EXCEEDED
        assert server.metric(REFUSED % "RunTime") == 2


def test_a_server_ends_in_time_while_a_run_does_not(tmp_path: Path) -> None:
    limits = ("--drain-delay-seconds", "0", "--drain-seconds", "0.5")
    with counter(tmp_path, *limits) as server, server.raw() as endless:
        sent(endless, FOREVER)
        assert server.get("/v2/health/live").status == 200
        server.terminate()
        assert server.exit_code() == 0


def test_the_age_of_what_waits_is_kept_while_a_run_is_on(tmp_path: Path) -> None:
    with (
        counter(tmp_path, "--queue-seconds", "0.3") as server,
        server.raw() as endless,
        server.raw() as waiting,
        caller(server.grpc_port) as calls,
    ):
        watch = calls.channel.unary_stream(f"/{HEALTH}/Watch")(b"", timeout=60)
        assert next(watch) == b"\x08\x01"
        sent(endless, FOREVER)
        assert server.get("/v2/health/live").status == 200
        sent(waiting, 1)
        late = waiting.reply()
        assert (late.status, late.headers["retry-after"]) == (503, "1")
        assert "waited longer than 0.3 s" in late.error
        assert server.metric(REFUSED % "QueueAge") == 1

        assert next(watch) == b"\x08\x02"
        unready = server.get("/v2/health/ready")
        assert (unready.status, unready.document["reason"]) == (503, "RunStuck")
        assert server.get("/v2/health/live").status == 200

        leave(endless)  # nobody wants the run any more, so it ends
        assert next(watch) == b"\x08\x01"
        assert server.get("/v2/health/ready").status == 200
        assert server.infer(counting(3)).output("m").tolist() == [3]


def test_a_caller_that_leaves_gives_its_place_in_the_queue_back(tmp_path: Path) -> None:
    with (
        counter(tmp_path, "--queue-limit", "1", "--queue-seconds", "60") as server,
        server.raw() as endless,
        server.raw() as leaving,
        server.raw() as patient,
    ):
        length = "modelwright_queue_length"
        sent(endless, FOREVER)
        assert server.get("/v2/health/live").status == 200
        sent(leaving, 1)
        until(lambda: server.metric(length) == 1)
        refused = server.infer(counting(2))
        assert (refused.status, server.metric(REFUSED % "QueueFull")) == (503, 1)
        leave(leaving)
        until(lambda: server.metric(length) == 0)
        sent(patient, 3)
        until(lambda: server.metric(length) == 1)
        leave(endless)
        assert patient.reply().output("m").tolist() == [3]


def test_a_run_that_lasts_too_long_makes_liveness_fail(tmp_path: Path) -> None:
    with counter(tmp_path, "--stuck-seconds", "0") as server, server.raw() as endless:
        sent(endless, FOREVER)
        until(lambda: server.get("/v2/health/live").status == 503)
        assert server.get("/v2/health/live").error == "a run of the model does not end"
        leave(endless)
        until(lambda: server.get("/v2/health/live").status == 200)


def test_what_is_decoded_counts_as_long_as_it_waits(tmp_path: Path) -> None:
    """The bodies alone would have room: it is the numbers in them, four times as large, that do not."""
    body = post(
        b'{"inputs":[{"name":"n","datatype":"INT64","shape":[8000],"data":[%b]}]}' % (b"0," * 8000)[:-1]
    )
    limits = ("--memory-bytes", str(2 * 2**20), "--max-body-bytes", str(2**20))
    with counter(tmp_path, *limits) as server, ExitStack() as stack, server.raw() as endless:
        sent(endless, FOREVER)
        assert server.get("/v2/health/live").status == 200
        wires = [stack.enter_context(server.raw()) for _ in range(30)]
        for wire in wires:
            wire.send(body)
        sockets = [wire.socket for wire in wires]
        length = "modelwright_queue_length"
        until(lambda: len(select(sockets, [], [], 0)[0]) + server.metric(length) == 30)
        waiting = int(server.metric(length))
        assert 8000 * (2 + 8) * waiting < server.metric("modelwright_memory_bytes") < 2**20
        assert 8000 * 2 * 30 < 2**20 < 8000 * (2 + 8) * 30
        leave(endless)
        replies = [wire.reply() for wire in wires]
        assert sorted(reply.status for reply in replies) == [200] * waiting + [503] * (30 - waiting)
        assert {reply.error for reply in replies if reply.status == 503} == {REFUSAL}
        until(lambda: server.metric("modelwright_memory_bytes") == 0)
