"""Requests that are small on the wire and large, or slow, inside: over HTTP/1.1."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator
from dataclasses import replace

from attacks.aim import AGAIN, Aim, addresses, attack
from attacks.questions import post, zeros
from attacks.wire import How, Line, Script

MOST = 16 * 2**20  # what a body may be, compressed or not, by default
IGNORED = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"data":[0]}],"ignored":['


def repeated(request: bytes, times: int = 1_000_000, ahead: int = 2) -> Script:
    """The same request, with few that wait for their answer."""

    def script(line: Line) -> Iterator[bytes | float]:
        for number in range(times):
            while number - line.done >= ahead:
                yield 0.002
            yield request

    return script


def zipped(body: bytes, **headers: str) -> bytes:
    return post(gzip.compress(body, 9), Content_Encoding="gzip", **headers)


def many_rows(rows: int, *, binary: bool = False) -> bytes:
    """A compressed request of so many rows of zeros; the answer is JSON unless it is asked for as binary."""
    header, content = zeros(rows)
    if binary:
        header = header[:-1] + b',"parameters":{"binary_data_output":true}}'
    return zipped(header + content, Inference_Header_Content_Length=str(len(header)))


def filled(start: bytes, piece: bytes, end: bytes, size: int = MOST) -> bytes:
    """A document that consists of the same piece again and again."""
    times = (size - len(start) - len(end)) // (len(piece) + 1)
    return start + b",".join([piece] * times) + end


@attack("gzip: 4 M rows of zeros, binary, answered in JSON")
def gzip_rows(aim: Aim) -> None:
    aim.http(repeated(many_rows(4_000_000)))


@attack("gzip: the same from 50 connections")
def gzip_rows_50(aim: Aim) -> None:
    aim.http(repeated(many_rows(4_000_000)), AGAIN, 50)


@attack("gzip: the same from 32 addresses")
def gzip_rows_addresses(aim: Aim) -> None:
    request = many_rows(4_000_000)
    for source in addresses(32):
        aim.http(repeated(request), replace(AGAIN, source=source), 2)


@attack("gzip: 8,192 rows of zeros in 80 bytes, 50 connections")
def gzip_small(aim: Aim) -> None:
    aim.http(repeated(many_rows(8_192), ahead=8), AGAIN, 50)


@attack("gzip: `{}` as a record, 4 M times")
def gzip_records(aim: Aim) -> None:
    aim.http(repeated(zipped(filled(b'{"records":[', b"{}", b"]}"))), AGAIN, 4)


@attack("gzip: `[]` in an ignored field, 5.5 M times")
def gzip_lists(aim: Aim) -> None:
    aim.http(repeated(zipped(filled(IGNORED, b"[]", b"]}"))), AGAIN, 4)


@attack('gzip: `{"":0}` in an ignored field, 2.4 M times')
def gzip_objects(aim: Aim) -> None:
    aim.http(repeated(zipped(filled(IGNORED, b'{"":0}', b"]}"))), AGAIN, 4)


@attack("gzip: `{}` as a record amid noise, at a ratio of 50")
def gzip_noise(aim: Aim) -> None:
    """What no bound on the ratio catches."""
    noise = random.Random(0)
    parts = []
    for _ in range(MOST // 4_000):
        parts.append(b'{"X":%d}' % noise.getrandbits(400))
        parts.append(b",".join([b"{}"] * 1_280))
    body = b'{"records":[' + b",".join(parts)[: MOST - 64].rpartition(b",")[0] + b"]}"
    aim.http(repeated(zipped(body)), AGAIN, 4)


@attack("gzip inside gzip inside gzip")
def gzip_nested(aim: Aim) -> None:
    body = gzip.compress(gzip.compress(gzip.compress(bytes(MOST))))
    aim.http(repeated(post(body, Content_Encoding="gzip, gzip, gzip")), AGAIN, 16)
    aim.http(repeated(post(body, Content_Encoding="gzip")), AGAIN, 16)


@attack("gzip of 800,000 empty members, deflate of 3 M empty blocks")
def gzip_members(aim: Aim) -> None:
    blocks = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * 3_000_000
    aim.http(repeated(post(blocks, Content_Encoding="deflate")), AGAIN, 2)
    aim.http(repeated(post(gzip.compress(b"") * 800_000, Content_Encoding="gzip")), AGAIN, 2)


@attack("gzip: 16 MiB of zeros in one chunk of 1 byte each")
def gzip_dripped(aim: Aim) -> None:
    head = (
        b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: attack\r\nContent-Encoding: gzip\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in gzip.compress(bytes(MOST)))
    aim.http(repeated(head + body + b"0\r\n\r\n"), AGAIN, 8)


@attack("JSON: `{}` as a record, 16 MiB uncompressed")
def plain_records(aim: Aim) -> None:
    aim.http(repeated(post(filled(b'{"records":[', b"{}", b"]}"))), AGAIN, 2)


@attack("JSON: 200 kB of records, 16 connections")
def middling_records(aim: Aim) -> None:
    aim.http(repeated(post(filled(b'{"records":[', b'{"X":1}', b"]}", 200_000))), AGAIN, 16)


@attack("JSON: 2 MB of nested brackets")
def nesting(aim: Aim) -> None:
    aim.http(repeated(post(IGNORED + b"[" * 2_000_000)), AGAIN, 4)
    aim.http(repeated(post(IGNORED + b"[" * 900 + b"]" * 900 + b"]}")), AGAIN, 4)


@attack("JSON: numbers of 1 MB and of 1e999999, NaN, 64-bit edges")
def numbers(aim: Aim) -> None:
    for value in (b"1" * 2**20, b"1e999999", b"NaN", b"-" + b"9" * 400, b"0." + b"0" * 2**20 + b"1"):
        body = b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,1],"data":[' + value + b"]}]}"
        aim.http(repeated(post(body)), AGAIN, 2)


@attack("JSON: 2 MB of escaped text where a number belongs")
def escapes(aim: Aim) -> None:
    body = b'{"records":[{"X":"' + b"\\u0041" * 330_000 + b'"}]}'
    aim.http(repeated(post(body)), AGAIN, 4)


@attack("JSON: 100,000 names for the same key, then 300,000 unknown names")
def names(aim: Aim) -> None:
    same = b'{"records":[{' + b",".join([b'"X":1'] * 100_000) + b"}]}"
    unknown = b'{"records":[{' + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}]}"
    aim.http(repeated(post(same)), AGAIN, 2)
    aim.http(repeated(post(unknown)), AGAIN, 2)


@attack("chunks of 2 bytes, 3 M in a body")
def chunks(aim: Aim) -> None:
    head = b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: attack\r\nTransfer-Encoding: chunked\r\n\r\n"
    aim.http(repeated(head + b"2\r\n[[\r\n" * 3_000_000 + b"0\r\n\r\n"), AGAIN, 2)


@attack("wide answers that are not read, 8 pipelined on 32 connections", "wide")
def wide_unread(aim: Aim) -> None:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[0.123]}]}'
    unread = How(reads=False, receive_buffer=4_096)
    aim.http(repeated(post(body), 8, ahead=8), unread, 32)


@attack("wide answers, 10 rows in 90 bytes, read at full speed by 16 connections", "wide")
def wide_read(aim: Aim) -> None:
    data = b",".join([b"0.1234567"] * 10)
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[10,1],"data":[' + data + b"]}]}"
    aim.http(repeated(post(body)), AGAIN, 16)


@attack("large answers that are not read, 64 pipelined on 8 connections, then on 8 more")
def rows_unread(aim: Aim) -> None:
    unread = How(reads=False, receive_buffer=4_096)
    aim.http(repeated(many_rows(60_000), 64, ahead=64), unread, 8)
    aim.http(repeated(many_rows(8_192), 64, ahead=64), unread, 8)


@attack("the largest answers that are given, unread, 2 connections from each of 32 addresses")
def rows_unread_addresses(aim: Aim) -> None:
    how = How(reads=False, receive_buffer=4_096)
    for source in addresses(32):
        aim.http(repeated(many_rows(400_000), 8, ahead=8), replace(how, source=source), 2)


@attack("large answers read at 4 kB/s by 64 connections")
def slow_readers(aim: Aim) -> None:
    aim.http(_dripping(many_rows(8_192)), How(reads=False, receive_buffer=4_096), 64)


def _dripping(request: bytes) -> Script:
    """Asks for much, and takes little of it."""

    def script(line: Line) -> Iterator[bytes | float]:
        yield request * 8
        while True:
            line.sip(4_096)
            yield 1.0

    return script


@attack("the OpenAPI document of 3,000 features, 64 pipelined on 4 connections", "columns")
def documents(aim: Aim) -> None:
    requests = b"GET /v2/openapi.json HTTP/1.1\r\nHost: attack\r\n\r\n"
    aim.http(repeated(requests, ahead=64), AGAIN, 4)


@attack("metrics, 64 pipelined on 4 connections of the admin port")
def scrapes(aim: Aim) -> None:
    aim.admin(repeated(b"GET /metrics HTTP/1.1\r\nHost: attack\r\n\r\n", ahead=64), AGAIN, 4)
