"""Compressed bodies: unpacked in small steps, within bounds, and accounted for."""

import gzip
import zlib
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright_serving.http.encoding import UnpackError, Unpacking
from modelwright_serving.limits import Limits
from modelwright_serving.memory import Memory

LIMITS = Limits(body=4 * 1024**2)


def unpack(body: bytes, encoding: bytes = b"gzip", memory: int = 64 * 1024**2) -> tuple[bytes, int]:
    """The plain body and the number of steps; nothing stays in the account."""
    shared = Memory(memory)
    account = shared.join("10.0.0.1")
    unpacking = Unpacking(body, encoding, LIMITS, account)
    try:
        for steps in count(1):
            plain = unpacking.step()
            if plain is not None:
                account.give(len(plain))
                return plain, steps
    finally:
        unpacking.drop()
        assert shared.used == 0
    raise AssertionError


@given(st.lists(st.binary(min_size=1, max_size=300_000), min_size=1, max_size=3), st.integers(0, 9))
def test_every_body_comes_back(parts: list[bytes], level: int) -> None:
    plain = b"".join(parts)
    assert unpack(b"".join(gzip.compress(part, level) for part in parts))[0] == plain
    assert unpack(zlib.compress(plain, level), b"deflate")[0] == plain


def test_a_step_is_small_and_a_small_body_takes_one() -> None:
    plain = bytes(range(256)) * 4096
    found, steps = unpack(gzip.compress(plain, 1))
    assert found == plain
    assert len(plain) // 65536 <= steps <= len(plain) // 65536 + 2
    assert unpack(gzip.compress(b"small"))[1] == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (gzip.compress(bytes(LIMITS.body)), 413, "100 times"),
        (gzip.compress(b"\0" * 960 + bytes(range(256)) * 40_000, 0), 413, "fewer rows"),
        (gzip.compress(b"") * 10_000, 400, "larger than what it holds"),
        (gzip.compress(b"{}")[:-1], 400, "too early"),
        (gzip.compress(b"{}") + b"more", 400, "not gzip"),
        (b"", 400, "empty"),
    ],
    ids=["zeros", "all bytes", "empty members", "cut off", "with more behind", "empty"],
)
def test_what_is_refused_leaves_nothing_behind(body: bytes, status: int, words: str) -> None:
    with pytest.raises(UnpackError, match=words) as refusal:
        unpack(body)
    assert refusal.value.status == status


def test_a_body_for_which_there_is_no_memory_is_refused_before_it_is_there() -> None:
    with pytest.raises(UnpackError) as refusal:
        unpack(gzip.compress(bytes(900_000)), memory=1_000_000)
    assert refusal.value.status == 503
