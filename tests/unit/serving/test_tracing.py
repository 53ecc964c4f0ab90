"""A caller finds its request again: in the answer, and in the log when the server fails."""

from pathlib import Path
from typing import Any

import pytest
from unit.serving import models
from unit.serving.harness import REFUSED, Served, matrix, post, serving

from modelwright_serving import logs
from modelwright_serving.limits import Limits
from modelwright_serving.tracing import FailureLog, request_id

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "event", lambda name, **fields: found.append({"event": name, **fields}))
    return found


def test_the_request_id_is_echoed_if_it_is_short_and_plain(server: Served, cancer: models.Cancer) -> None:
    for _ in range(2):  # the second time the head is known
        reply = server.infer(matrix(cancer.rows[:1]), X_Request_Id="7f3/a.b:c@d=")
        assert reply.headers["x-request-id"] == "7f3/a.b:c@d="
    assert server.call("GET", "/nowhere", X_Request_Id="one").headers["x-request-id"] == "one"
    for value in ("", "a" * 129, "a b", 'a"b', "ä".encode().decode("latin-1")):
        assert "x-request-id" not in server.call("GET", "/v2", X_Request_Id=value).headers
    assert "x-request-id" not in server.get("/v2").headers


def test_a_failure_of_the_server_is_logged_with_what_its_caller_sent(
    cancer: models.Cancer, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path, "--memory-bytes", "20000", "--max-body-bytes", "10000") as server:
        server.wait_ready()
        with server.raw() as wire:  # its head is known from then on
            wire.send(post(b"x" * 5000))
            assert wire.reply().status == 400
        with server.raw() as hog, server.raw() as wire:
            hog.send(post(b"x" * 10_000)[:-10])
            while server.metric("modelwright_memory_bytes") < 9990:
                pass
            reply = server.infer(b"x" * 5000, X_Request_Id="mine", Traceparent=TRACE)
            wire.send(post(b"x" * 5000))
            assert wire.reply().status == 503
            while (refused := server.metric(REFUSED % "Memory")) == 0:
                pass  # metrics are rendered at most twenty times a second
            assert refused == 2
        assert (reply.status, reply.headers["x-request-id"]) == (503, "mine")
        line = server.wait_for("request_failed")
        assert (line["protocol"], line["code"]) == ("http", 503)
        assert (line["request_id"], line["traceparent"]) == ("mine", TRACE)
        assert "holds too much" in line["error"]


def test_lines_about_one_status_are_bounded_and_what_is_left_out_is_counted(
    lines: list[dict[str, Any]],
) -> None:
    log = FailureLog("http")
    for _ in range(100):
        log.write(10.0, 503, "busy", {})
    log.write(10.0, 500, "x" * 10_000, {b"x-request-id": b"r-1", b"traceparent": TRACE.encode()})
    log.write(11.0, 503, "busy", {b"x-request-id": b'evil"id', b"traceparent": b"00-xyz"})
    assert lines[: int(Limits.logged_failures)] == [
        {"event": "request_failed", "protocol": "http", "code": 503, "error": "busy"}
    ] * int(Limits.logged_failures)
    failed, late = lines[int(Limits.logged_failures) :]
    assert (failed["request_id"], failed["traceparent"], len(failed["error"])) == (
        "r-1",
        TRACE,
        Limits.logged_error,
    )
    assert late == {
        "event": "request_failed",
        "protocol": "http",
        "code": 503,
        "error": "busy",
        "not_logged": 100 - int(Limits.logged_failures),
    }


def test_no_id_is_no_id() -> None:
    assert request_id({}) == b""
