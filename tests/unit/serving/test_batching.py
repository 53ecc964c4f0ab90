"""Requests that arrive together share a run, and nobody's rows ever touch anybody else's answer."""

import gc
import json
import os
import signal
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from fuzz.rig import Rig
from fuzz.transport import Recorder
from unit.serving import models
from unit.serving.conftest import ModelFile
from unit.serving.harness import INFER, Reply, Served, Wire, matrix, post, serving

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"


def send_together(server: Served, *bodies: Any) -> list[Reply]:
    """Each request on a connection of its own; the server finds all of them in one turn, since it was stopped."""
    with ExitStack() as stack:
        wires = [stack.enter_context(server.raw()) for _ in bodies]
        for wire in wires:
            wire.send(LIVE)
            assert wire.reply().status == 200
        server.process.send_signal(signal.SIGSTOP)
        # The signal is only on its way: a server that has not stopped yet would answer the first request alone.
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WNOWAIT)
        for wire, body in zip(wires, bodies, strict=True):
            wire.send(post(body if isinstance(body, bytes) else json.dumps(body).encode()))
        server.process.send_signal(signal.SIGCONT)
        return [wire.reply() for wire in wires]


def indices(*values: int) -> dict[str, Any]:
    return {"inputs": [{"name": "index", "datatype": "INT64", "shape": [len(values)], "data": list(values)}]}


def test_requests_that_arrive_together_share_one_run(server: Served, cancer: models.Cancer) -> None:
    runs = server.metric("modelwright_batch_rows_count")
    rows = server.metric("modelwright_rows_total")
    replies = send_together(server, *(matrix(cancer.rows[i : i + 2], id=str(i)) for i in range(20)))
    assert [reply.document["id"] for reply in replies] == [str(i) for i in range(20)]
    assert server.metric("modelwright_batch_rows_count") == runs + 1
    assert server.metric("modelwright_rows_total") == rows + 40


def test_sharing_a_run_changes_no_answer(server: Served, cancer: models.Cancer) -> None:
    places = [*((start, 1) for start in range(60)), (60, 4), (65, 2), (67, 33), (0, 1), (7, 1)]
    requests = [matrix(cancer.rows[start : start + size]) for start, size in places]
    for request, together in zip(requests, send_together(server, *requests), strict=True):
        assert together.body == server.infer(request).body


def test_requests_in_every_form_share_a_run(server: Served, cancer: models.Cancer) -> None:
    plain, binary = matrix(cancer.rows[:2]), matrix(cancer.rows[:2], parameters={"binary_data_output": True})
    selected = matrix(cancer.rows[:2], outputs=[{"name": "label"}])
    as_json, as_binary, labels = send_together(server, plain, binary, selected)
    assert labels.output("label").tolist() == as_json.output("label").tolist()
    probabilities = np.frombuffer(as_binary.body[-16:], np.float32).reshape(2, 2)
    np.testing.assert_allclose(probabilities, as_json.output("probabilities"), atol=1e-6)


def test_a_request_that_cannot_be_read_leaves_its_neighbours_alone(
    server: Served, cancer: models.Cancer
) -> None:
    good = matrix(cancer.rows[:1])
    wrong = matrix(cancer.rows[:1, :3])
    replies = send_together(server, good, b"{", good, wrong, b"", good)
    assert [reply.status for reply in replies] == [200, 400, 200, 400, 400, 200]
    assert replies[0].body == replies[2].body == replies[5].body


def test_a_request_that_fails_the_run_leaves_its_neighbours_alone(model_file: ModelFile) -> None:
    with serving(model_file(models.fails_on_large_numbers())) as server:
        server.wait_ready()
        replies = send_together(server, *(indices(99 if i in {3, 11} else i % 8) for i in range(16)))
        assert [reply.status for reply in replies] == [400 if i in {3, 11} else 200 for i in range(16)]
        for index in set(range(16)) - {3, 11}:
            assert replies[index].output("value").tolist() == [10.0 * (index % 8)]
        assert server.metric('modelwright_requests_total{code="400"') == 2


def test_rows_that_would_change_each_other_never_share_a_run(model_file: ModelFile) -> None:
    rows = [np.array([row], np.float32) for row in ([2.0, 4.0, 1.0, 1.0, 2.0], [1e6, -1e30, 0.0, 7.0, 1.0])]
    with serving(model_file(models.share_of_batch(width=5))) as server:
        ready = server.wait_ready().events[-1]
        assert ready["joins_rows"] is False
        assert "operator ReduceSum " in ready["reason"]
        replies = send_together(server, *[matrix(rows[index % 2], "x") for index in range(6)])
        assert {reply.body for reply in replies[::2]} == {server.infer(matrix(rows[0], "x")).body}


def test_runs_are_not_shared_if_they_are_not_to_be(model_file: ModelFile, cancer: models.Cancer) -> None:
    with serving(model_file(cancer.content), "--row-sharing", "never") as server:
        assert server.wait_ready().events[-1]["joins_rows"] is False
        runs = server.metric("modelwright_batch_rows_count")
        send_together(server, *([matrix(cancer.rows[:1])] * 5))
        assert server.metric("modelwright_batch_rows_count") == runs + 5


def test_more_requests_than_fit_one_turn_are_all_answered(server: Served, cancer: models.Cancer) -> None:
    bodies = [matrix(cancer.rows[:1], id=str(index)) for index in range(200)]
    assert [reply.document["id"] for reply in send_together(server, *bodies)] == [str(i) for i in range(200)]


def test_a_caller_that_leaves_does_not_disturb_the_others(server: Served, cancer: models.Cancer) -> None:
    request = post(json.dumps(matrix(cancer.rows[:1])).encode())
    for _ in range(20):
        with server.raw() as leaving:
            leaving.send(request * 3)
    assert server.infer(matrix(cancer.rows[:1])).status == 200
    assert server.metric("modelwright_requests_in_flight") == 0


def test_a_full_queue_says_when_to_come_back(model_file: ModelFile, cancer: models.Cancer) -> None:
    with serving(model_file(cancer.content), "--queue-limit", "4") as server:
        server.wait_ready()
        replies = send_together(server, *([matrix(cancer.rows[:1])] * 10))
        assert sorted(reply.status for reply in replies) == [200] * 4 + [503] * 6
        refused = next(reply for reply in replies if reply.status == 503)
        assert refused.headers["retry-after"] == "1"
        assert "waiting" in refused.error


@pytest.mark.parametrize("size", [300, 5000])
def test_a_request_larger_than_a_shared_run_is_answered(
    server: Served, cancer: models.Cancer, size: int
) -> None:
    rows = np.resize(cancer.rows, (size, cancer.features))
    small = matrix(cancer.rows[:1])
    replies = send_together(server, small, matrix(rows), small)
    assert [len(reply.output("label")) for reply in replies] == [1, size, 1]


def test_answers_of_two_connections_do_not_mix(server: Served, cancer: models.Cancer) -> None:
    with Wire(server.http_port) as first, Wire(server.http_port) as second:
        for round_ in range(20):
            for wire, name in ((first, "a"), (second, "b")):
                wire.send(post(json.dumps(matrix(cancer.rows[:1], id=f"{name}{round_}")).encode(), INFER))
            assert second.reply().document["id"] == f"b{round_}"
            assert first.reply().document["id"] == f"a{round_}"


def test_answered_requests_leave_nothing_to_the_garbage_collector(cancer: models.Cancer) -> None:
    rig = Rig(cancer.content)
    host = rig.http(rig.limits)
    connection = host.connect()
    transport = Recorder(connection)
    wire = post(json.dumps(matrix(cancer.rows[:1])).encode())
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            connection.data_received(wire)
            rig.settle()
        assert gc.collect() < 100
    finally:
        gc.enable()
    assert transport.written.count(b"HTTP/1.1 200") == 100
    rig.lose(host, (connection, transport))
