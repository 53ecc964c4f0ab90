"""Prediction tokens: what a prediction was, signed, so that its truth can be counted without keeping anything.

A token is base64url of 36 bytes, big-endian: version (1), the meaning of labels and values (2), the first bytes of the
model's digest (4), the hour of Unix time (3), random bytes that no other token has (8), the index of the label (2), the
value as a 32-bit float (4), and the first 12 bytes of HMAC-SHA256 over all before. It says nothing about the row.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from struct import Struct
from typing import NamedTuple

from modelwright_serving.feedback.keys import TAG_BYTES, Key, Keys
from modelwright_serving.predictions import Read

VERSION = 1
LENGTH = 48  # characters
HOUR = 3600  # seconds
NO_CLASS = 0xFFFF
_DIGEST_BYTES = 4
_ID_BYTES = 8
_TOKEN = re.compile(f"[A-Za-z0-9_-]{{{LENGTH}}}")
_PREFIX = Struct(f">B2s{_DIGEST_BYTES}s3s")
_CONTENT = Struct(f">{_PREFIX.size}s{_ID_BYTES}sHf")


class Token(NamedTuple):
    """What a token says. `digest`: the first 8 hex digits of the model's; `label`: -1 for one that is no class."""

    meaning: bytes
    digest: str
    hour: int
    label: int
    value: float
    tag: bytes


class Issuer:
    """Makes the tokens of one model; `digest` is `sha256:HEX`."""

    def __init__(self, digest: str, meaning: bytes) -> None:
        self._digest = bytes.fromhex(short(digest))
        self._meaning = meaning

    def make(self, key: Key, read: Read, hour: int) -> list[bytes]:
        """One for each row."""
        prefix = _PREFIX.pack(VERSION, self._meaning, self._digest, hour.to_bytes(3, "big"))
        labels, values = read.labels.tolist(), read.values.tolist()
        ids = os.urandom(_ID_BYTES * len(labels))
        parts: list[bytes] = []
        place = 0
        for label, value in zip(labels, values, strict=True):
            content = _CONTENT.pack(
                prefix, ids[place : place + _ID_BYTES], label if 0 <= label < NO_CLASS else NO_CLASS, value
            )
            place += _ID_BYTES
            parts.append(content + key.tag(content))
        whole = urlsafe_b64encode(b"".join(parts))
        return [whole[start : start + LENGTH] for start in range(0, len(whole), LENGTH)]


def read(token: str, keys: Keys) -> Token | None:
    """What a token says; None unless one of the keys has signed it."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = urlsafe_b64decode(token)
    content, tag = raw[:-TAG_BYTES], raw[-TAG_BYTES:]
    if not keys.signed(content, tag) or content[0] != VERSION:
        return None
    prefix, _, label, value = _CONTENT.unpack(content)
    _, meaning, digest, hour = _PREFIX.unpack(prefix)
    return Token(
        meaning,
        digest.hex(),
        int.from_bytes(hour, "big"),
        -1 if label == NO_CLASS else label,
        value,
        tag,
    )


def short(digest: str) -> str:
    """The part of a model's digest that stands for it in tokens and counts."""
    return digest.removeprefix("sha256:")[: 2 * _DIGEST_BYTES]
