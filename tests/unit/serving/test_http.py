"""HTTP/1.1 as callers, proxies and attackers speak it."""

import gzip
import json
import os
import time
import zlib
from collections.abc import Callable

import aiohttp
import pytest
from unit.serving import models
from unit.serving.harness import INFER, Served, matrix, post


@pytest.fixture(scope="module")
def request_body(cancer: models.Cancer) -> bytes:
    return json.dumps(matrix(cancer.rows[:1])).encode()


WRONG = [
    ("GET", "/", 404, "there is nothing at /"),
    ("GET", "/v2/nothing", 404, "there is nothing at /v2/nothing"),
    ("GET", "/metrics", 404, "there is nothing at /metrics"),
    ("GET", "/v2/models/other", 404, "unknown model in /v2/models/other: this server serves 'churn'"),
    ("POST", "/v2/models/other/infer", 404, "unknown model in /v2/models/other/infer"),
    ("GET", "/v2/models/churn/versions/8", 404, "unknown version in /v2/models/churn/versions/8"),
    ("POST", "/v2/models/churn/versions/8/infer", 404, "unknown version"),
    ("GET", "/v2/models/churn/explain", 404, "there is nothing at /v2/models/churn/explain"),
    ("GET", INFER, 405, "this path takes POST only"),
    ("DELETE", INFER, 405, "this path takes POST only"),
    ("POST", "/v2/health/ready", 405, "this path takes GET, HEAD only"),
    ("PUT", "/v2/models/churn", 405, "this path takes GET, HEAD only"),
]


@pytest.mark.parametrize(("method", "path", "status", "words"), WRONG)
def test_a_wrong_path_or_method_is_explained(
    server: Served, method: str, path: str, status: int, words: str
) -> None:
    reply = server.call(method, path, b"{}" if method == "POST" else None)
    assert reply.status == status
    assert reply.error.startswith(words)
    assert ("allow" in reply.headers) == (status == 405)


def test_an_error_leaves_the_connection_usable(server: Served, request_body: bytes) -> None:
    with server.raw() as wire:
        for request in (post(b"{"), post(b"x" * 5000, "/nowhere"), post(request_body, Content_Encoding="br")):
            wire.send(request)
            assert wire.reply().status in {400, 404, 415}
        wire.send(post(request_body))
        assert wire.reply().status == 200


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("GZIP", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
    ],
)
def test_a_compressed_body_means_what_the_plain_one_means(
    server: Served, request_body: bytes, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    plain = server.infer(request_body)
    packed = server.infer(compress(request_body), Content_Encoding=encoding)
    assert (packed.status, packed.body) == (200, plain.body)


def test_the_same_head_means_the_same_again_and_a_similar_one_does_not(
    server: Served, request_body: bytes
) -> None:
    whole = post(request_body)
    other = whole.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1)
    with server.raw() as wire:
        for request, status in (
            (whole, 200),
            (whole, 200),
            (other, 400),
            (whole[:-1] + b"!", 400),
            (whole, 200),
        ):
            wire.send(request)
            assert wire.reply().status == status
        wire.send(whole[:-7])
        wire.send(whole[-7:] + whole)
        assert [wire.reply().status, wire.reply().status] == [200, 200]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v2/models/churn?x=1",
            "/v2/models/churn/",
            "/v2/%6dodels/churn",
            "http://proxy:80/v2/models/churn",
        ),
        "/v2/models/churn/versions/7",
    ],
)
def test_a_path_may_be_written_in_every_legal_way(server: Served, path: str) -> None:
    with server.raw() as wire:
        wire.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert wire.reply().document["name"] == "churn"


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/churn", "/nowhere"]
)
def test_head_is_get_without_the_body(server: Served, path: str) -> None:
    full = server.get(path)
    with server.raw() as wire:
        wire.send(f"HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        reply = wire.reply(head_only=True)
        assert reply.status == full.status
        assert reply.headers["content-length"] == str(len(full.body))
        wire.send(b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        assert wire.reply().document == {"live": True}


def test_pipelined_requests_are_answered_in_their_order(server: Served, request_body: bytes) -> None:
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
    with server.raw() as wire:
        wire.send(post(request_body) + live + post(b"{") + live + post(request_body))
        replies = [wire.reply() for _ in range(5)]
    assert [reply.status for reply in replies] == [200, 200, 400, 200, 200]
    assert "outputs" in replies[0].document
    assert replies[1].document == replies[3].document == {"live": True}


def test_a_request_may_arrive_byte_by_byte(server: Served, request_body: bytes) -> None:
    with server.raw() as wire:
        for byte in post(request_body):
            wire.send(bytes([byte]))
        assert wire.reply().status == 200


def test_a_chunked_body_is_a_body(server: Served, request_body: bytes) -> None:
    parts = [request_body[:7], request_body[7:100], request_body[100:]]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    with server.raw() as wire:
        wire.send(CHUNKED + chunks + b"0\r\n\r\n" + post(request_body))
        assert wire.reply().body == wire.reply().body == server.infer(request_body).body


def test_a_caller_that_asks_first_is_told_to_go_on(server: Served, request_body: bytes) -> None:
    request = post(request_body, Expect="100-continue")
    head, body = request[: -len(request_body)], request[-len(request_body) :]
    with server.raw() as wire:
        wire.send(head)
        assert wire.reply().status == 100
        wire.send(body)
        assert wire.reply().status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", {}, 404),
        ("/v2/models/churn", {}, 405),
        (INFER, {"Content_Encoding": "br"}, 415),
    ],
)
def test_a_caller_that_asks_first_is_spared_a_useless_body(
    server: Served, path: str, headers: dict[str, str], status: int
) -> None:
    request = post(b"x" * 1000, path, Expect="100-continue", **headers)
    with server.raw() as wire:
        wire.send(request[:-1000])
        reply = wire.reply()
        assert reply.status == status
        assert reply.headers["connection"] == "close"
        assert wire.closed_by_server()


CHUNKED = f"POST {INFER} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
LARGE = gzip.compress(b"".join(bytes(960) + os.urandom(40) for _ in range(17_000)), 1)
EMPTY_BLOCKS = b"\x78\x9c" + b"\x00\x00\x00\xff\xff" * 200_000
HOSTILE = [
    (b"hello\r\n\r\n", 400, "not valid HTTP/1.1"),
    (b"GET /v2 HTTP/1.1\r\n\r\n", 400, "the header Host is missing"),
    (b"GET /v2 HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n", 400, "not valid HTTP/1.1"),
    (
        b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        400,
        "Content-Length",
    ),
    (
        b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        "valid",
    ),
    (b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400, "not valid HTTP/1.1"),
    (b"POST /v2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "not valid HTTP/1.1"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "not valid HTTP/1.1"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "longer than 8192 bytes"),
    (b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"X-Many: 1\r\n" * 5000, 431, "more than 128 headers"),
    (b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Host stands twice"),
    (CHUNKED + b"0\r\n" + b"X-Trailer: 1\r\n" * 200 + b"\r\n", 431, "more than 128 headers"),
    (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", 501, "no Transfer-Encoding but chunked"),
    (CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n", 400, "HTTP/1.0 has no Transfer-Encoding"),
    (CHUNKED + b"1;" + b"x" * 600_000 + b"\r\n{\r\n0\r\n\r\n", 400, "chunks are too small"),
    (CHUNKED + b"1\r\n[\r\n" * 100_000 + b"0\r\n\r\n", 400, "chunks are too small"),
    (b"GET /v2 HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 400_000, 431, "larger than 32768 bytes"),
    (b"POST /v2 HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417, "may only say 100-continue"),
    (post(b"x", Content_Encoding="br"), 415, "identity, gzip"),
    (post(b"x", Content_Encoding="gzip"), 400, "the body is not gzip"),
    (post(b"", Content_Encoding="gzip"), 400, "the body is empty"),
    (post(gzip.compress(b"{}")[:-4], Content_Encoding="gzip"), 400, "ends too early"),
    (post(gzip.compress(b"[" * 17_000_000), Content_Encoding="gzip"), 413, "more than 100 times its size"),
    (post(LARGE, Content_Encoding="gzip"), 413, "fewer rows"),
    (post(gzip.compress(b"") * 100_000, Content_Encoding="gzip"), 400, "larger than what it holds"),
    (post(EMPTY_BLOCKS, Content_Encoding="deflate"), 400, "larger than what it holds"),
    (post(b"x", Inference_Header_Content_Length="-1"), 400, "Inference-Header-Content-Length"),
    (post(b"x", Inference_Header_Content_Length="9" * 30), 400, "Inference-Header-Content-Length"),
    (post(b"x" * 0, INFER)[:-2] + b"Content-Length: 99999999999\r\n\r\n", 400, "Content-Length"),
    (f"POST {INFER} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".encode(), 413, "fewer rows"),
    (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 404, "there is nothing"),
]


@pytest.mark.parametrize(("request_bytes", "status", "words"), HOSTILE)
def test_a_hostile_or_broken_request_is_answered(
    server: Served, request_bytes: bytes, status: int, words: str
) -> None:
    with server.raw() as wire:
        wire.send(request_bytes)
        reply = wire.reply()
        assert reply.status == status
        assert words in reply.error
    assert server.get("/v2/health/live").status == 200


def test_good_requests_before_a_broken_one_are_answered(server: Served, request_body: bytes) -> None:
    with server.raw() as wire:
        wire.send(post(request_body) + b"broken\r\n\r\n" + post(request_body))
        assert wire.reply().status == 200
        broken = wire.reply()
        assert (broken.status, broken.headers["connection"]) == (400, "close")
        assert wire.closed_by_server()


def test_a_caller_still_hears_that_its_body_is_too_large(server: Served) -> None:
    size = 40 * 1024**2
    head = f"POST {INFER} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n".encode()
    with server.raw() as wire:
        wire.send(head + b"x" * size)
        reply = wire.reply()
        assert reply.status == 413
        assert "16777216 bytes" in reply.error


def test_a_wish_for_http_2_is_passed_over(server: Served, request_body: bytes) -> None:
    wish = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    upgrade = post(request_body, **wish)
    with server.raw() as wire:
        wire.send(upgrade)
        assert wire.reply().status == 200
        half = len(upgrade) // 2
        wire.send(upgrade[:half])
        time.sleep(0.05)
        wire.send(upgrade[half:])
        assert wire.reply().status == 200
        wire.send(post(request_body))
        assert wire.reply().body == server.infer(request_body).body
        wire.send(upgrade * 100)
        assert [wire.reply().status for _ in range(100)] == [200] * 100
        wire.send(post(request_body, **{**wish, "Connection": "close, Upgrade"}))
        assert wire.reply().headers["connection"] == "close"
        assert wire.closed_by_server()
    with server.raw() as wire:
        wire.send(upgrade + CHUNKED + b"1\r\n[\r\n" * 10_000)
        assert [wire.reply().status for _ in range(2)] == [200, 400]
        assert wire.closed_by_server()


def test_the_caller_decides_whether_the_connection_lives_on(server: Served, request_body: bytes) -> None:
    with server.raw() as wire:
        wire.send(post(request_body, Connection="close"))
        assert wire.reply().headers["connection"] == "close"
        assert wire.closed_by_server()
    old = b"GET /v2/health/live HTTP/1.0\r\n"
    with server.raw() as wire:
        wire.send(old + b"Connection: keep-alive\r\n\r\n")
        assert wire.reply().headers["connection"] == "keep-alive"
        wire.send(old + b"\r\n")
        assert wire.reply().headers["connection"] == "close"
        assert wire.closed_by_server()


def test_a_caller_that_has_finished_sending_still_gets_its_answers(
    server: Served, request_body: bytes
) -> None:
    with server.raw() as wire:
        wire.send(post(request_body) * 3 + post(request_body)[:50])
        wire.socket.shutdown(1)
        assert [wire.reply().status for _ in range(3)] == [200, 200, 200]
        assert wire.closed_by_server()


async def test_a_pooled_client_keeps_its_connections(server: Served, request_body: bytes) -> None:
    url = f"http://127.0.0.1:{server.http_port}{INFER}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4)) as session:
        for _ in range(50):
            async with session.post(url, data=request_body) as response:
                assert response.status == 200
                assert len((await response.json())["outputs"]) == 2
