"""What an answer of the other revision is: checked before it is passed on, read before it is compared.

The two forms of answers, JSON and protobuf, are defined where their protocols are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from modelwright_serving.oip.response import Outputs
from modelwright_serving.oip.signature import DIGEST
from modelwright_serving.traffic.client import CONTENT_TYPE, ReceivedResponse

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")


class InvalidAnswerError(Exception):
    """A response with status 200 that is no answer of the protocol; its text says why."""


class OwnError(Enum):
    """Why a request has no answer of this revision."""

    REFUSED = auto()
    """An error that is the caller's fault."""
    FAILED = auto()
    """An error that is the server's fault."""


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What this revision answered a request with: a body, or an error. `json_length`: the bytes of the JSON in the
    body, if binary data follow it."""

    body: bytes | None = None
    json_length: int | None = None
    error: OwnError | None = None


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """What is passed on of the other revision's response."""

    body: bytes
    json_length: int | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How answers look that are asked for in one way.

    `check` raises InvalidAnswerError. `read` takes a body and the length of its JSON; OipError if it cannot be read.
    """

    check: Callable[[ReceivedResponse], CheckedAnswer]
    read: Callable[[bytes, int | None], Outputs]


def content_type(response: ReceivedResponse, *expected: bytes) -> bytes:
    """The response's content type; InvalidAnswerError unless it is one of those expected."""
    found = response.headers.get(CONTENT_TYPE, b"")
    if found not in expected:
        shown = found[:100].decode("latin-1")
        raise InvalidAnswerError(f"its content type is {shown!r} instead of {expected[0].decode()!r}")
    return found


def digest(response: ReceivedResponse) -> bytes:
    """The digest of the model that answered; InvalidAnswerError if the response names none."""
    found = response.headers.get(DIGEST, b"")
    if not _DIGEST.fullmatch(found):
        raise InvalidAnswerError(f"its header {DIGEST.decode()} does not hold a sha256 digest")
    return found
