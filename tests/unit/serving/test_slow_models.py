"""A model whose runs are long: health answers meanwhile, what arrives is grouped, and nobody waits for ever."""

import json
import selectors
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from unit.serving import models
from unit.serving.harness import Served, Wire, matrix, post, serving

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
BATCHES = "modelwright_batch_rows_count"


def rows(*values: float) -> bytes:
    return post(json.dumps(matrix(np.array([[value, -value] for value in values], np.float32), "x")).encode())


def first_to_speak(*wires: Wire) -> Wire:
    """The connection on which something arrives first."""
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        ready = selector.select(20)
        assert len(ready) == 1, "two answers at once: the run was not long enough to tell"
        found: Wire = ready[0][0].data
        return found


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that takes about a tenth of a second for each run."""
    path = tmp_path_factory.mktemp("slow") / "model.onnx"
    path.write_bytes(models.slow(10))
    with serving(path) as served:
        yield served.wait_ready()


def test_health_is_answered_while_the_model_runs(slow: Served) -> None:
    with slow.raw() as caller, slow.raw() as probe:
        caller.send(rows(1))
        probe.send(LIVE)
        assert first_to_speak(caller, probe) is probe
        assert probe.reply().status == 200
        assert caller.reply().output("y").tolist() == [[2, -2]]


def test_what_arrives_during_a_run_is_one_run_together(slow: Served) -> None:
    before = slow.metric(BATCHES)
    wires = [slow.raw() for _ in range(9)]
    try:
        for number, wire in enumerate(wires):
            wire.send(rows(number))
            if number == 0:
                wire_is_running(slow)
        for number, wire in enumerate(wires):
            assert wire.reply().output("y").tolist() == [[2 * number, -2 * number]]
    finally:
        for wire in wires:
            wire.socket.close()
    assert slow.metric(BATCHES) == before + 2


def wire_is_running(server: Served) -> None:
    """Health is answered after the request that was sent before it has begun."""
    assert server.get("/v2/health/live").status == 200


def test_a_caller_that_leaves_costs_no_run(slow: Served) -> None:
    before = slow.metric(BATCHES)
    with slow.raw() as running:
        running.send(rows(1))
        wire_is_running(slow)
        with slow.raw() as leaving:
            leaving.send(rows(2))
            wire_is_running(slow)
            # A reset: who only closes may still want to read the answer.
            leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.socket.close()
        assert running.reply().status == 200
    assert slow.infer(matrix(np.array([[3, 4]], np.float32), "x")).status == 200
    assert slow.metric(BATCHES) == before + 2
    assert slow.metric("modelwright_queue_length") == 0
