"""The body of a request with feedback to its entries; nothing of a wrong one is counted."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from modelwright_serving.feedback.truths import Truths
from modelwright_serving.limits import FEEDBACK
from modelwright_serving.oip.errors import OipError, Problem
from modelwright_serving.oip.request import document_cost

_EXAMPLE = '{"tokens": ["AQ..."], "truth": ["yes"]}'


class Entries(NamedTuple):
    """Tokens and as many truths."""

    tokens: list[str]
    truths: list[Any]


def cost(body: bytes) -> int:
    """About the bytes that its values take; OipError if they are too many, or the body too large."""
    if len(body) > FEEDBACK.body:
        raise _too_large(f"the body has more than {FEEDBACK.body} bytes")
    found = document_cost(body)
    if found > FEEDBACK.document:
        raise _too_large("the values of the body take too much memory")
    return found


def decode(body: bytes, truths: Truths) -> Entries:
    """The entries; OipError if the body is no feedback."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise OipError(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise OipError(f"the body has to be a JSON object such as {_EXAMPLE}")
    tokens, values = (_listed(document, name) for name in ("tokens", "truth"))
    if len(tokens) != len(values):
        raise OipError(f"there are {len(tokens)} tokens, but {len(values)} truths")
    if len(tokens) > FEEDBACK.entries:
        raise _too_large(f"there are {len(tokens)} tokens")
    for index, token in enumerate(tokens):
        if type(token) is not str:
            raise OipError(f"tokens[{index}] has to be a string")
    truths.check(values)
    return Entries(tokens, values)


def _listed(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name)
    if type(found) is not list:
        raise OipError(f"{name} has to be a list, as in {_EXAMPLE}")
    return found


def _too_large(what: str) -> OipError:
    return OipError(f"{what}; send at most {FEEDBACK.entries} tokens at a time", Problem.TOO_LARGE)
