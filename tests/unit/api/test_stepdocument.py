"""A packed result is read within bounds, and what cannot be read is no result."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from modelwright.api.stepdocument import UNPACKED, step_document


def packed(text: bytes) -> str:
    """A message with some bytes packed."""
    return json.dumps({"step": "publish", "packed": base64.b85encode(zlib.compress(text, 9)).decode()})


def test_a_result_is_unpacked() -> None:
    assert step_document(packed(b'{"metrics": []}')) == {"step": "publish", "result": {"metrics": []}}


def test_a_plain_document_stays_as_it_is() -> None:
    assert step_document('{"step": "fetch", "result": {}}') == {"step": "fetch", "result": {}}


@pytest.mark.parametrize("size", [UNPACKED, UNPACKED + 1])
def test_no_more_is_unpacked_than_a_result_may_have(size: int) -> None:
    found = step_document(packed(b'"' + b"a" * (size - 2) + b'"'))
    assert bool(found) == (size == UNPACKED)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("panic: out of cheese", id="a log"),
        pytest.param("[1]", id="no object"),
        pytest.param("[" * 4000, id="deep"),
        pytest.param('{"step": "publish", "packed": "\\u00fc"}', id="no base85"),
        pytest.param('{"step": "publish", "packed": "~~~~~"}', id="beyond base85"),
        pytest.param('{"step": "publish", "packed": "abcde"}', id="no zlib"),
        pytest.param('{"step": "publish", "packed": ["abcde"]}', id="no text"),
        pytest.param(packed(b'{"metrics": [' * 10)[:-30] + '"}', id="cut"),
        pytest.param(packed(b'{"metrics": ['), id="no JSON within"),
        pytest.param(packed(b"[" * 60_000), id="deep within"),
        pytest.param(packed(b"\xff"), id="no UTF-8 within"),
        pytest.param(packed(b"a" * (64 << 20)), id="bomb"),
    ],
)
def test_what_cannot_be_read_is_no_document(text: str) -> None:
    assert step_document(text) == {}
