"""How calls end before their time: deadlines, cancellation, limits, and what is no gRPC at all."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.serving import models
from unit.serving.grpc_caller import HEALTH, SERVICE, Code, caller, raw
from unit.serving.harness import Served, serving
from unit.serving.http2_peer import Answer, connected

from modelwright_serving.http2 import frames
from modelwright_serving.limits import Limits

INFER = f"/{SERVICE}/ModelInfer"
_LIMIT = 50_000


@pytest.fixture(scope="module")
def strict(cancer: models.Cancer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that takes small messages only."""
    path = tmp_path_factory.mktemp("strict") / "model.onnx"
    path.write_bytes(cancer.content)
    with serving(path, "--max-body-bytes", str(_LIMIT)) as found:
        yield found.wait_ready()


def headers(path: str = INFER, **more: str) -> list[tuple[str, str]]:
    fields = {"content_type": "application/grpc", "te": "trailers", **more}
    return [
        *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")),
        *((name.replace("_", "-"), value) for name, value in fields.items()),
    ]


def framed(content: bytes, *, compressed: bool = False) -> bytes:
    return bytes((compressed,)) + len(content).to_bytes(4, "big") + content


async def answered(served: Served, body: bytes, head: list[tuple[str, str]] | None = None) -> Answer:
    async with connected(served.grpc_port) as peer:
        peer.send(peer.request(1, headers() if head is None else head, body))
        return await peer.answer(1)


@pytest.fixture(scope="module")
def message(cancer: models.Cancer) -> bytes:
    return bytes(raw(cancer.rows[:1]).SerializeToString())


async def test_a_success_is_headers_message_and_status(strict: Served, message: bytes) -> None:
    answer = await answered(strict, framed(message))
    assert answer.headers[":status"] == "200"
    assert answer.headers["content-type"] == "application/grpc"
    assert answer.trailers == {"grpc-status": "0"}
    assert int.from_bytes(answer.body[1:5], "big") == len(answer.body) - 5


async def test_a_failure_is_headers_only(strict: Served) -> None:
    answer = await answered(strict, framed(b"\xff"))
    assert (answer.headers[":status"], answer.headers["grpc-status"]) == ("200", "3")
    assert answer.body == b""
    assert answer.headers["modelwright-model-digest"].startswith("sha256:")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/grpc-web", "application/grpc+json"]
)
async def test_other_content_types_are_unsupported(strict: Served, content_type: str) -> None:
    answer = await answered(strict, b"{}", headers(content_type=content_type))
    assert answer.headers[":status"] == "415"
    assert b"application/grpc" in answer.body


@pytest.mark.parametrize("content_type", ["application/grpc+proto", "application/grpc;charset=utf-8"])
async def test_the_content_type_may_say_more(strict: Served, message: bytes, content_type: str) -> None:
    answer = await answered(strict, framed(message), headers(content_type=content_type))
    assert answer.trailers == {"grpc-status": "0"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "holds no message"),
        (b"\0\0\0\0", "holds no message"),
        (b"\0\0\0\0\5abc", "said to have 5 bytes, but 3 came"),
        (framed(b"") + framed(b""), "exactly one message"),
        (framed(b"zip", compressed=True), "grpc-encoding does not say how"),
        (b"\x07" + framed(b"")[1:], "grpc-encoding does not say how"),
    ],
)
async def test_a_body_that_is_not_one_message_is_refused(strict: Served, body: bytes, said: str) -> None:
    answer = await answered(strict, body)
    assert answer.headers["grpc-status"] == "3"
    assert said in answer.headers["grpc-message"]


async def test_compression_is_undone(strict: Served, message: bytes) -> None:
    body = framed(gzip.compress(message), compressed=True)
    assert (await answered(strict, body, headers(grpc_encoding="gzip"))).trailers == {"grpc-status": "0"}
    plain = await answered(strict, framed(message), headers(grpc_encoding="gzip"))
    assert plain.trailers == {"grpc-status": "0"}


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (gzip.compress(bytes(10_000_000), mtime=0), "8", "larger than 50000 bytes"),
        (gzip.compress(b"cut off", mtime=0)[:-3], "3", "no complete gzip"),
        (b"nonsense", "3", "no valid gzip"),
    ],
)
async def test_compression_can_be_no_bomb(strict: Served, content: bytes, status: str, said: str) -> None:
    answer = await answered(strict, framed(content, compressed=True), headers(grpc_encoding="gzip"))
    assert answer.headers["grpc-status"] == status
    assert said in answer.headers["grpc-message"]


async def test_an_unknown_compression_is_unimplemented(strict: Served, message: bytes) -> None:
    answer = await answered(strict, framed(message), headers(grpc_encoding="snappy"))
    assert (answer.headers["grpc-status"], "snappy" in answer.headers["grpc-message"]) == ("12", True)


def test_a_message_beyond_the_limit_exhausts_resources(strict: Served, cancer: models.Cancer) -> None:
    with caller(strict.grpc_port) as calls:
        reply = calls.infer(raw(cancer.rows.repeat(10, axis=0)))
        assert (reply.code, reply.details) == (
            Code.RESOURCE_EXHAUSTED,
            f"the message is larger than {_LIMIT} bytes",
        )
        assert calls.infer(raw(cancer.rows[:400])).code is Code.OK


async def test_a_deadline_that_has_passed_is_answered_and_nothing_is_run(
    strict: Served, message: bytes
) -> None:
    rows = strict.metric("modelwright_rows_total")
    answer = await answered(strict, framed(message), headers(grpc_timeout="1n"))
    assert answer.headers["grpc-status"] == "4"
    assert strict.metric("modelwright_rows_total") == rows
    assert strict.metric('modelwright_requests_total{code="DEADLINE_EXCEEDED"') >= 1
    assert strict.metric('modelwright_requests_in_flight{model="churn",protocol="grpc"') == 0


async def test_a_deadline_passes_while_the_message_is_still_coming(strict: Served) -> None:
    async with connected(strict.grpc_port) as peer:
        peer.send(peer.head(1, headers(grpc_timeout="20m")))
        answer = await peer.answer(1)
    assert answer.headers["grpc-status"] == "4"


@pytest.mark.parametrize("patience", ["1H", "99999999S", "99999999u"])
async def test_deadlines_that_are_far_away_do_not_matter(
    strict: Served, message: bytes, patience: str
) -> None:
    answer = await answered(strict, framed(message), headers(grpc_timeout=patience))
    assert answer.trailers == {"grpc-status": "0"}


@pytest.mark.parametrize("patience", ["1", "S", "-1S", "123456789S", "1h"])
async def test_a_deadline_that_is_no_time_is_refused(strict: Served, message: bytes, patience: str) -> None:
    answer = await answered(strict, framed(message), headers(grpc_timeout=patience))
    assert (answer.headers["grpc-status"], "grpc-timeout" in answer.headers["grpc-message"]) == ("3", True)


async def test_calls_that_are_cancelled_are_not_run(strict: Served, message: bytes) -> None:
    async with connected(strict.grpc_port) as peer:
        rows = strict.metric("modelwright_rows_total")
        for stream in range(1, 201, 2):
            peer.send(
                peer.request(stream, headers(), framed(message)),
                frames.rst_stream(stream, frames.ErrorCode.CANCEL),
            )
        peer.send(peer.request(201, headers(), framed(message)))
        assert (await peer.answer(201)).trailers == {"grpc-status": "0"}
    assert strict.metric("modelwright_rows_total") < rows + 101
    assert strict.metric('modelwright_requests_in_flight{model="churn",protocol="grpc"') == 0


def test_a_client_may_cancel_a_call(strict: Served, cancer: models.Cancer) -> None:
    with caller(strict.grpc_port) as calls:
        for _ in range(50):
            calls.start("ModelInfer", raw(cancer.rows[:1])).cancel()
        assert calls.infer(raw(cancer.rows[:1])).code is Code.OK


async def test_the_request_id_is_echoed_if_it_is_short_and_plain(strict: Served, message: bytes) -> None:
    for body, status in ((framed(message), "0"), (framed(b"\xff"), "3")):
        answer = await answered(strict, body, headers(x_request_id="7f3/a.b:c@d="))
        assert answer.headers["x-request-id"] == "7f3/a.b:c@d="
        assert {**answer.headers, **answer.trailers}["grpc-status"] == status
    nowhere = await answered(strict, framed(b""), headers("/nowhere", x_request_id="mine"))
    assert (nowhere.headers["grpc-status"], nowhere.headers["x-request-id"]) == ("12", "mine")
    for value in ("", "a" * 129, "a b", 'a"b'):
        answer = await answered(strict, framed(message), headers(x_request_id=value))
        assert "x-request-id" not in answer.headers
    watched = headers(f"/{HEALTH}/Watch", x_request_id="watch", grpc_timeout="20m")
    assert (await answered(strict, framed(b""), watched)).headers["x-request-id"] == "watch"


async def test_a_failure_of_the_server_is_logged_with_what_its_caller_sent(
    cancer: models.Cancer, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with serving(path, "--memory-bytes", "20000", "--max-body-bytes", "10000") as server:
        server.wait_ready()
        async with connected(server.grpc_port) as peer:
            body = frames.frame(frames.DATA, 0, 1, framed(bytes(9_000))[:-10])
            peer.send(peer.head(1, headers()), body)
            peer.send(peer.request(3, headers(x_request_id="mine", traceparent=trace), bytes(8_000)))
            assert (await peer.answer(3)).headers["grpc-status"] == "14"
        line = server.wait_for("request_failed")
        assert (line["protocol"], line["code"]) == ("grpc", "UNAVAILABLE")
        assert (line["request_id"], line["traceparent"]) == ("mine", trace)
        assert "holds too much" in line["error"]


async def test_calls_that_are_reset_leave_the_queue_of_a_slow_model(tmp_path: Path) -> None:
    """Twenty times as many as may wait, each whole; an honest caller of another address is not refused."""
    path = tmp_path / "model.onnx"
    path.write_bytes(models.slow(20))
    call = framed(raw(np.ones((1, 2), np.float32), "x").SerializeToString())
    with serving(path, "--queue-limit", "50") as server:
        server.wait_ready()
        async with connected(server.grpc_port) as peer, connected(server.grpc_port, "127.0.0.2") as honest:
            peer.send(peer.request(1, headers(), call))
            for stream in range(3, 2003, 2):
                peer.send(
                    peer.request(stream, headers(), call),
                    frames.rst_stream(stream, frames.ErrorCode.CANCEL),
                )
            peer.send(frames.ping(b"all read", ack=False))
            honest.send(honest.request(1, headers(), call))
            await peer.until(frames.PING)
            honest.send(honest.request(3, headers(), call))
            assert (await honest.answer(1)).trailers == {"grpc-status": "0"}
            assert (await honest.answer(3)).trailers == {"grpc-status": "0"}
            assert (await peer.answer(1)).trailers == {"grpc-status": "0"}
        assert server.metric('modelwright_requests_refused_total{model="churn",reason="QueueFull"') == 0
        assert server.metric("modelwright_queue_length") == 0
        assert server.metric('modelwright_requests_in_flight{model="churn",protocol="grpc"') == 0


ENDS: dict[str, Callable[[int], bytes]] = {
    "reset": lambda stream: frames.rst_stream(stream, frames.ErrorCode.CANCEL),
    "window of 0": lambda stream: frames.window_update(stream, 0),
    "data after the end": lambda stream: frames.frame(frames.DATA, 0, stream, b"more"),
}


@pytest.mark.parametrize("end", list(ENDS))
async def test_a_flood_of_whole_calls_that_are_reset_ends_the_connection(
    strict: Served, message: bytes, end: str
) -> None:
    async with connected(strict.grpc_port, "127.0.0.3") as peer:
        for stream in range(1, 10_001, 2):
            peer.send(peer.request(stream, headers(), framed(message)), ENDS[end](stream))
        assert (await peer.until(frames.GOAWAY)).code == frames.ErrorCode.ENHANCE_YOUR_CALM


def test_a_watcher_hears_that_the_server_goes(tmp_path_factory: Any, cancer: models.Cancer) -> None:
    path = tmp_path_factory.mktemp("watched") / "model.onnx"
    path.write_bytes(cancer.content)
    with (
        serving(path, "--drain-delay-seconds", "0.3") as server,
        caller(server.wait_ready().grpc_port) as calls,
    ):
        watch = calls.channel.unary_stream(f"/{HEALTH}/Watch")(b"", timeout=20)
        assert next(watch) == b"\x08\x01"
        server.terminate()
        assert next(watch) == b"\x08\x02"
        assert watch.code() is Code.UNAVAILABLE
        assert server.exit_code() == 0


def test_a_watcher_of_an_unknown_service_hears_that(strict: Served) -> None:
    with caller(strict.grpc_port) as calls:
        watch = calls.channel.unary_stream(f"/{HEALTH}/Watch")(b"\x0a\x04nope", timeout=0.5)
        assert next(watch) == b"\x08\x03"
        assert watch.code() is Code.DEADLINE_EXCEEDED


async def test_a_watchers_deadline_ends_the_watch_in_order(strict: Served) -> None:
    async with connected(strict.grpc_port) as peer:
        path = f"/{HEALTH}/Watch"
        peer.send(peer.request(1, headers(path, grpc_timeout="20m"), framed(b"")))
        answer = await peer.answer(1)
    assert (answer.body, answer.trailers["grpc-status"]) == (framed(b"\x08\x01"), "4")


@pytest.mark.parametrize("service", [b"", b"\x0a\x04nope"], ids=["known", "unknown"])
async def test_a_connection_may_watch_so_often_and_leaves_others_alone(
    strict: Served, service: bytes
) -> None:
    watch = headers(f"/{HEALTH}/Watch")
    async with connected(strict.grpc_port) as peer, connected(strict.grpc_port) as other:
        limit = Limits().watches
        for stream in range(1, 2 * limit + 1, 2):
            peer.send(peer.request(stream, watch, framed(service)))
        peer.send(peer.request(2 * limit + 1, watch, framed(service)))
        refused = await peer.answer(2 * limit + 1)
        assert (refused.headers["grpc-status"], "too much" in refused.headers["grpc-message"]) == ("8", True)
        other.send(other.request(1, watch, framed(b"")))
        assert (await other.until(frames.DATA)).payload == framed(b"\x08\x01")
        peer.send(
            frames.rst_stream(1, frames.ErrorCode.CANCEL), peer.request(2 * limit + 3, watch, framed(service))
        )
        while not peer.answers.get(2 * limit + 3, Answer()).body:
            await peer.until(frames.DATA)


async def test_a_call_has_a_bounded_number_of_metadata_fields(strict: Served, message: bytes) -> None:
    limit = Limits().header_fields
    most = [*headers(), *((f"x-{number}", "") for number in range(limit - 2))]
    assert (await answered(strict, framed(message), most)).trailers == {"grpc-status": "0"}
    refused = await answered(strict, framed(message), [*most, ("x-more", "")])
    assert refused.headers["grpc-status"] == "8"
    assert f"{limit + 1} fields of metadata; send at most {limit}" in refused.headers["grpc-message"]


async def test_a_watcher_makes_room_for_another_address(cancer: models.Cancer, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(cancer.content)
    watch = headers(f"/{HEALTH}/Watch")
    with serving(path, "--max-connections", "2") as server:
        port = server.grpc_port
        async with connected(port) as first, connected(port) as second:
            for peer in (first, second):
                peer.send(peer.request(1, watch, framed(b"")))
                await peer.until(frames.DATA)
            async with connected(port, "127.0.0.2") as other:
                other.send(other.request(1, headers(f"/{HEALTH}/Check"), framed(b"")))
                assert (await other.answer(1)).trailers == {"grpc-status": "0"}
            assert (await first.until(frames.GOAWAY)).code == frames.ErrorCode.NO_ERROR


async def test_answers_wait_for_the_window_of_a_slow_caller(strict: Served, message: bytes) -> None:
    async with connected(strict.grpc_port, initial_window_size=10) as peer:
        peer.send(peer.request(1, headers(), framed(message)))
        assert len((await peer.until(frames.DATA)).payload) == 10
        peer.send(frames.window_update(1, 1000))
        answer = await peer.answer(1)
    whole = await answered(strict, framed(message))
    assert (answer.body, answer.trailers) == (whole.body, whole.trailers)
