"""What Prometheus answers becomes one number, or a word for why there is none."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.inferenceservice.analysis.prometheus_result import (
    MESSAGE_LENGTH,
    NoValue,
    Reading,
    result,
    steady,
)


def success(kind: str, found: Any, **more: Any) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": kind, "result": found, **more}, "warnings": ["slow"]}
    ).encode()


def error(kind: str, text: str) -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def sample(value: str) -> dict[str, Any]:
    return {"metric": {"job": "churn"}, "value": [1767225600.5, value]}


HISTOGRAM = {"metric": {}, "histogram": [1767225600, {"count": "1", "sum": "1", "buckets": []}]}


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (success("scalar", [1767225600, "0.25"]), 0.25),
        (success("scalar", [1767225600.123, "-1e-3"]), -0.001),
        (success("vector", [sample("3")]), 3.0),
        (success("vector", [sample("0")], stats={}), 0.0),
    ],
)
def test_one_number_is_the_value(body: bytes, value: float) -> None:
    assert result(200, body) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (success("vector", []), "NoData"),
        (success("vector", [sample("1"), sample("2")]), "TooManySeries"),
        (success("vector", [sample("NaN")]), "NotANumber"),
        (success("vector", [HISTOGRAM]), "NotANumber"),
        (success("scalar", [0, "NaN"]), "NotANumber"),
        (success("scalar", [0, "+Inf"]), "NotANumber"),
        (success("scalar", [0, "-Inf"]), "NotANumber"),
        (success("matrix", []), "BadQuery"),
        (success("string", [0, "1"]), "BadQuery"),
        (success("scalar", [0, "one"]), "PrometheusFailed"),
        (success("scalar", [0]), "PrometheusFailed"),
        (success("vector", {}), "PrometheusFailed"),
        (success("else", []), "PrometheusFailed"),
        (b'{"status": "success"}', "PrometheusFailed"),
        (b"{}", "PrometheusFailed"),
        (b"null", "PrometheusFailed"),
        (b"", "PrometheusFailed"),
        (b"<html>", "PrometheusFailed"),
        (b"\xff\xfe", "PrometheusFailed"),
        (b'{"status": "error", "errorType": "x", "error": "\\ud800"}', "PrometheusFailed"),
        (b"[" * 100_000, "PrometheusFailed"),
        (b'{"status":' * 50_000, "PrometheusFailed"),
        (b'{"status": "success", "data": ' + b"9" * 10_000 + b"}", "PrometheusFailed"),
    ],
    ids=lambda part: part[:60].decode(errors="replace") if isinstance(part, bytes) else part,
)
def test_anything_else_is_no_value_and_says_why(body: bytes, reason: str) -> None:
    found = result(200, body)
    assert isinstance(found, NoValue)
    assert (found.reason, bool(found.message)) == (reason, True)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error("bad_data", "1:5: parse error"), NoValue("BadQuery", "1:5: parse error")),
        (422, error("execution", "duplicate series"), NoValue("BadQuery", "duplicate series")),
        (503, error("timeout", "query timed out"), NoValue("PrometheusFailed", "query timed out")),
        (503, error("unavailable", "starting"), NoValue("PrometheusFailed", "starting")),
        (401, b"Unauthorized", NoValue("PrometheusFailed", "it answers with HTTP status 401")),
        (302, b"", NoValue("PrometheusFailed", "it answers with HTTP status 302")),
        (500, success("scalar", [0, "1"]), NoValue("PrometheusFailed", "it answers with HTTP status 500")),
    ],
)
def test_an_error_is_told_in_the_words_of_prometheus(status: int, body: bytes, expected: NoValue) -> None:
    assert result(status, body) == expected


def test_the_words_are_one_line_of_bounded_length() -> None:
    found = result(400, error("bad_data", "a\n\x00\x1b[31m  b\u2028" + "c" * 5000))
    assert isinstance(found, NoValue)
    assert found.message.startswith("a [31m b c")
    assert len(found.message) == MESSAGE_LENGTH


def test_an_error_that_goes_on_keeps_its_first_words() -> None:
    first = Reading("up", NoValue("BadQuery", "duplicate series a"))
    assert steady(first, Reading("up", NoValue("BadQuery", "duplicate series b"))) == first


@pytest.mark.parametrize(
    "now",
    [
        Reading("up", 1.0),
        Reading("up", NoValue("NoData", "nothing")),
        Reading("up + 1", NoValue("BadQuery", "duplicate series b")),
    ],
)
def test_what_is_new_replaces_it(now: Reading) -> None:
    assert steady(Reading("up", NoValue("BadQuery", "duplicate series a")), now) == now
    assert steady(None, now) == now


TEXTS = st.text(max_size=20) | st.sampled_from(["NaN", "+Inf", "1", "1e999", "-0", " 1", "1_0", "0x1"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "metric"]), inner),
    max_leaves=8,
)
DATA = st.fixed_dictionaries(
    {
        "resultType": st.sampled_from(["scalar", "vector", "matrix", "string", "streams"]),
        "result": ANYTHING | st.tuples(SCALARS, TEXTS) | st.lists(st.fixed_dictionaries({"value": ANYTHING})),
    }
)
ANSWERS = st.fixed_dictionaries(
    {"status": st.sampled_from(["success", "error"]), "data": DATA | ANYTHING},
    optional={"errorType": TEXTS, "error": st.text() | ANYTHING},
).map(lambda answer: json.dumps(answer).encode())


@given(st.sampled_from([200, 400, 503]), ANSWERS | st.binary())
def test_whatever_comes_is_a_finite_number_or_a_bounded_reason(status: int, body: bytes) -> None:
    found = result(status, body)
    if isinstance(found, NoValue):
        assert 0 <= len(found.message) <= MESSAGE_LENGTH
        assert found.message.isprintable()
    else:
        assert isfinite(found)
        assert status == 200


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[" * 10**5, b'{"a":' * 10**5, b"1e999", b"NaN", b'"\\ud800"']
)
def test_what_is_no_json_of_prometheus_is_a_reason(body: bytes) -> None:
    assert isinstance(result(200, body), NoValue)
