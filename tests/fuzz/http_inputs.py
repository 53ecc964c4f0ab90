"""What callers of the HTTP port send: whole requests to begin with, and words to put into others."""

from __future__ import annotations

import json
import struct
import zlib

from fuzz.rig import MODEL

INFER = f"/v2/models/{MODEL}/infer".encode()
FEEDBACK = f"/v2/models/{MODEL}/feedback".encode()
# Signed with KEY, for classes 0 and 1: three of an hour in the far future, one that has expired, one of other classes.
KEY = b"0123456789abcdef"
TOKENS = (
    "ATK4ASNFZx6EgAAAAAAAAAAAAAE_QAAAMgCtdBehGDDPmt4L",
    "ATK4ASNFZx6EgAEBAQEBAQEBAAA-gAAA9io6kaN90Rwc5k1E",
    "ATK4ASNFZx6EgAICAgICAgIC__9_wAAA94oxhTVdcd_3TFlC",
    "ATK4ASNFZwAAAQMDAwMDAwMDAAE_AAAADWPXf5FzoQ_OJW3D",
    "AT8_ASNFZx6EgAQEBAQEBAQEAAE_AAAAinrflYB2tspV9tnm",
)
_LINE = b"\r\n"


def request(method: bytes, target: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """A request with Host, and a length where there is a body."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    lines = (b"%b %b HTTP/1.1" % (method, target), b"Host: fuzz", *length, *headers, b"", body)
    return _LINE.join(lines)


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def _tensor(rows: int, **more: object) -> dict[str, object]:
    data = [round(0.5 * number, 1) for number in range(2 * rows)]
    return {"name": "x", "datatype": "FP32", "shape": [rows, 2], "data": data, **more}


JSON = json.dumps({"inputs": [_tensor(1)]}).encode()
MANY = json.dumps({"id": "7", "inputs": [_tensor(20)], "outputs": [{"name": "y"}]}).encode()
BINARY_HEAD = json.dumps(
    {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}],
        "parameters": {"binary_data_output": True},
    }
).encode()
FLOATS = struct.pack("<2f", 1.5, -2.0)
HEADER_LENGTH = b"Inference-Header-Content-Length: "
TRUTHS = json.dumps({"tokens": [*TOKENS, "nothing"], "truth": [1, "0", True, 1.0, 0, "x"]}).encode()

REQUESTS: tuple[bytes, ...] = (
    *(
        request(b"GET", path)
        for path in (
            *(b"/v2", b"/v2/models", b"/v2/health/live", b"/v2/health/ready", b"/v2/models/churn"),
            *(b"/v2/models/churn/ready", b"/v2/models/churn/versions/1", b"/v2/models/other"),
            *(b"/v2/models/churn/versions/9/ready", b"/", b"/v2/?a=b", b"//v2", b"/v2/health%2Flive"),
            *(
                b"http://other/v2",
                b"*",
                b"/v2/models/churn/config",
                b"/v2/models/churn/stats",
                b"/v2/openapi.json",
            ),
        )
    ),
    request(b"HEAD", b"/v2"),
    request(b"HEAD", INFER),
    request(b"OPTIONS", b"*"),
    request(b"DELETE", b"/v2"),
    request(b"CONNECT", b"other:443"),
    request(b"POST", b"/v2/repository/index", body=b"{}"),
    request(b"POST", INFER, body=JSON),
    request(b"POST", INFER, body=MANY),
    request(b"POST", INFER, b"Connection: close", body=JSON),
    request(b"POST", INFER, HEADER_LENGTH + b"%d" % len(BINARY_HEAD), body=BINARY_HEAD + FLOATS),
    request(b"POST", INFER, HEADER_LENGTH + b"0", body=FLOATS),
    request(b"POST", INFER, b"Expect: 100-continue", body=JSON),
    request(b"POST", INFER, b"Content-Encoding: deflate", body=zlib.compress(JSON)),
    request(b"POST", INFER, b"Transfer-Encoding: chunked") + chunked(JSON[:9], JSON[9:]),
    request(b"POST", INFER, b"Transfer-Encoding: chunked") + chunked(JSON)[:-2] + b"Trailer: x\r\n\r\n",
    request(b"POST", FEEDBACK, body=TRUTHS),
    request(b"POST", FEEDBACK, body=json.dumps({"tokens": [TOKENS[0]], "truth": [7]}).encode()),
    request(b"POST", FEEDBACK, body=b'{"tokens":[],"truth":[]}'),
    request(b"POST", INFER, b"modelwright-prediction-tokens: true", body=JSON),
    request(b"POST", INFER, body=JSON[:-1] + b',"parameters":{"prediction_tokens":true}}'),
    request(b"POST", INFER, body=b"x" * 5000),
    request(b"POST", INFER),
    request(b"GET", b"/v2", body=b"ignored"),
    request(b"GET", b"/v2", b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    request(b"GET", b"/v2", b"X-Long: " + b"a" * 3000),
    b"GET /v2 HTTP/1.0\r\n\r\n",
    b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET /v2 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)

WORDS: tuple[bytes, ...] = (
    *REQUESTS,
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\n\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b",",
        b";",
        b"%00",
        b"%2F",
        b"%",
    ),
    *(b"GET ", b"HEAD ", b"POST ", b"PUT ", b"CONNECT ", b"OPTIONS ", b"M-SEARCH ", b"get "),
    *(b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b" HTTP/0.9", b" HTTP/1.1 "),
    *(b"Host: a\r\n", b"Host:\r\n", b"host : a\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n"),
    *(b"Expect: 200-ok\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: +5\r\n"),
    *(b"Content-Length: 5, 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding: x\r\n", b"transfer-encoding:\r\n"),
    *(b"Content-Encoding: gzip\r\n", b"Content-Encoding: deflate\r\n", b"Content-Encoding: identity\r\n"),
    *(
        HEADER_LENGTH + b"0\r\n",
        HEADER_LENGTH + b"-1\r\n",
        HEADER_LENGTH + b"7\r\n",
        HEADER_LENGTH + b"x\r\n",
    ),
    *(
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"ffffffffffffffff\r\n",
        b"5;ext=1\r\nhello\r\n",
        b"0\r\nA: b\r\n\r\n",
    ),
    *(b" folded\r\n", b"X: \xff\xfe\r\n", b"{}", b"[]", b'"', b"null", b"NaN", b"1e999", b"[" * 2000),
    *(FLOATS, JSON, BINARY_HEAD, TRUTHS, b'"truth"', b'"tokens"', b'{"prediction_tokens":1}'),
    *(token.encode() for token in TOKENS),
)
