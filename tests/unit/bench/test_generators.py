"""What the generators print becomes an outcome, and the requests they are given stay what they are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from bench import h2load, wrk
from bench.checks import check_outcome
from bench.generator import BenchError, Outcome
from bench.wrk import Request
from unit.bench import outputs

GOOD = Outcome(requests=10, seconds=1, refused=0, broken=0, mean_us=1, bytes_per_answer=125)


def test_wrk_is_understood() -> None:
    found = wrk.parse(outputs.WRK)

    assert found == Outcome(
        requests=18391, seconds=1.001858, refused=735, broken=2, mean_us=3543.7, p50_us=3193, p99_us=12412
    )


def test_h2load_is_understood() -> None:
    found = h2load.parse(outputs.H2LOAD)

    assert found == Outcome(
        requests=4202, seconds=2.01, refused=0, broken=0, mean_us=7580, bytes_per_answer=125
    )


def test_h2load_tells_refused_requests_from_those_without_an_answer() -> None:
    bad = outputs.H2LOAD.replace(
        "4202 succeeded, 0 failed, 0 errored, 0 timeout", "4190 succeeded, 12 failed, 4 errored, 3 timeout"
    )

    found = h2load.parse(bad)

    assert (found.requests, found.refused, found.broken) == (4190, 5, 7)


@pytest.mark.parametrize("parse", [wrk.parse, h2load.parse])
def test_a_generator_that_reports_nothing_is_an_error(parse: object) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match="reported no outcome: unable to connect"):
        parse("unable to connect")


def test_good_answers_pass() -> None:
    check_outcome("a server", GOOD, 120)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (replace(GOOD, refused=1), "1 refused"),
        (replace(GOOD, broken=1), "1 broken"),
        (replace(GOOD, requests=0), "0 answered"),
        (replace(GOOD, bytes_per_answer=0), "0 bytes instead of 120"),
    ],
)
def test_a_server_that_does_not_answer_every_request_is_not_compared(outcome: Outcome, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        check_outcome("a server", outcome, 120)


def test_a_script_holds_every_request_byte_for_byte() -> None:
    every_byte = bytes(range(256)) + b'9"\\9'

    program = wrk.script([Request("/a", every_byte, (("X-A", "b"),)), Request("/b", b"", method="GET")])

    assert strings(program, "prepared[1]") == [b"POST", b"/a", b"X-A", b"b", every_byte]
    assert strings(program, "prepared[2]") == [b"GET", b"/b", b""]


def strings(program: str, line: str) -> list[bytes]:
    """The Lua strings of a line: a backslash is followed by the three digits of a byte."""
    found = next(one for one in program.splitlines() if one.strip().startswith(line)).encode()
    return [
        re.sub(rb"\\(\d{3})", lambda match: bytes((int(match[1]),)), one)
        for one in re.findall(rb'"([^"]*)"', found)
    ]
