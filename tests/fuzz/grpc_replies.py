"""Reads what the server wrote on an HTTP/2 connection, and demands of it what RFC 9113 and gRPC do."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from hpack import Decoder, HPACKError

from fuzz.engine import Finding, without_details
from fuzz.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    parse,
)

_HTTP1 = b"HTTP/1.1 400 Bad Request\r\n"
_OF_THE_CONNECTION = {SETTINGS, PING, GOAWAY}
Fields = dict[str, str]


@dataclass
class Answer:
    """Everything that came on one stream."""

    headers: Fields | None = None
    body: bytes = b""
    trailers: Fields | None = None
    ended: bool = False
    reset: int | None = None

    @property
    def code(self) -> int | None:
        """gRPC's status, where there is one."""
        last = self.headers if self.trailers is None else self.trailers
        found = (last or {}).get("grpc-status")
        return None if found is None else int(found)

    @property
    def error(self) -> str:
        """What is wrong, of an answer that says so."""
        return unquote(
            ((self.headers if self.trailers is None else self.trailers) or {}).get("grpc-message", "")
        )

    @property
    def messages(self) -> list[bytes]:
        """The messages in the body; Finding if it is anything else."""
        found, at = [], 0
        while at < len(self.body):
            if len(self.body) < at + 5 or self.body[at]:
                raise Finding(f"no message: {self}")
            (size,) = struct.unpack_from(">L", self.body, at + 1)
            found.append(self.body[at + 5 : at + 5 + size])
            if len(found[-1]) != size:
                raise Finding(f"a message is cut off: {self}")
            at += 5 + size
        return found

    @property
    def said(self) -> str:
        """What it is, without the details that depend on the input."""
        if self.headers is not None and self.headers[":status"] != "200":
            return self.headers[":status"]
        end = f"reset {self.reset}" if self.reset is not None else "" if self.ended else "open"
        return f"{self.code} {without_details(self.error)} {end}"


@dataclass
class Heard:
    """All that a connection's caller has heard."""

    answers: dict[int, Answer] = field(default_factory=dict)
    goaway: tuple[int, str] | None = None
    sent: dict[int, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the server has ended the connection because something is wrong with it."""
        return self.goaway is not None and self.goaway[0] != 0


def heard(written: bytes) -> Heard:
    """Reads it; Finding if a caller could not."""
    found = Heard()
    if written.startswith(_HTTP1):
        return found
    frames, rest = parse(written)
    # Who has said nothing is not greeted before the connection is ended.
    greeted = not frames or (frames[0].kind, frames[0].flags) == (SETTINGS, 0) or len(frames) == 1
    if rest or not greeted:
        raise Finding(f"no frames: {written[:100]!r} ... {rest[:100]!r}")
    for frame in frames:
        if found.failed:
            raise Finding(f"something follows the end: {frame}")
        if len(frame.payload) > 65_536:
            raise Finding(f"a frame is too large: {len(frame.payload)}")
        if frame.stream == 0 and frame.kind in _OF_THE_CONNECTION:
            _hear_connection(found, frame)
        elif frame.kind != WINDOW_UPDATE or not frame.number:
            _hear(found.answers.setdefault(frame.stream, Answer()), frame)
            found.sent[frame.stream] = len(found.answers[frame.stream].body)
    for answer in found.answers.values():
        _check(answer)
    return found


def _hear_connection(found: Heard, frame: Frame) -> None:
    """One frame of the connection."""
    if frame.kind == GOAWAY:
        found.goaway = frame.payload[7], frame.payload[8:].decode()
    if b" at 0x" in frame.payload:
        raise Finding(f"an address is told: {frame}")


def _hear(answer: Answer, frame: Frame) -> None:
    """One frame of a stream."""
    if answer.ended or answer.reset is not None or not frame.stream & 1:
        if frame.kind == RST_STREAM and frame.stream & 1:
            return  # the answer to what still comes on a stream that has ended
        raise Finding(f"{frame} on a stream with {answer}")
    if frame.kind == HEADERS and frame.flags & END_HEADERS:
        fields = _fields(frame.payload)
        if answer.headers is None:
            answer.headers = fields
        elif frame.flags & END_STREAM:
            answer.trailers = fields
        else:
            raise Finding(f"headers twice: {frame} after {answer}")
    elif frame.kind == DATA and answer.headers is not None:
        answer.body += frame.payload
    elif frame.kind == RST_STREAM:
        answer.reset = frame.number
    else:
        raise Finding(f"{frame} on a stream with {answer}")
    answer.ended = frame.kind in {HEADERS, DATA} and bool(frame.flags & END_STREAM)


@lru_cache(maxsize=4096)
def _fields(block: bytes) -> Fields:
    """The fields of a block, which has to mean the same whatever came before."""
    try:
        fields = [(str(name), str(text)) for name, text in Decoder().decode(block)]
    except HPACKError as error:
        raise Finding(f"hpack does not take {block!r}: {error}") from None
    if len(dict(fields)) != len(fields):
        raise Finding(f"a field is sent twice: {fields}")
    return dict(fields)


def _check(answer: Answer) -> None:
    """Finding if this is no answer as gRPC has them: headers, messages, status."""
    if answer.headers is None:
        return
    status = answer.headers.get(":status")
    if status == "200":
        right = answer.headers.get("content-type") == "application/grpc"
        done = not answer.ended or (answer.code is not None and len(answer.messages) <= 1000)
    else:
        right, done = status == "415" and answer.headers.get("content-type") == "text/plain", True
    if not (right and done) or (answer.trailers is not None and ":status" in answer.trailers):
        raise Finding(f"no answer of gRPC: {answer}")
