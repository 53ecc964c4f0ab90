"""Tokens: who can make one, and what one gives away."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from modelwright_serving.feedback import tokens
from modelwright_serving.feedback.keys import TAG_BYTES, Key, Keys
from modelwright_serving.feedback.seen import Seen
from modelwright_serving.feedback.tokens import LENGTH, Issuer
from modelwright_serving.predictions import Read

DIGEST = "sha256:" + "0123456789abcdef" * 4
MEANING = b"\x07\x08"
CONTENT = bytes(range(32))
KEY = Key(CONTENT, "churn")
KEYS = Keys(KEY, (KEY,))
HOUR = 490_000


def made(key: Key = KEY, labels: tuple[int, ...] = (1,), values: tuple[float, ...] = (0.25,)) -> list[str]:
    read = Read(np.array(labels), np.array(values, np.float32))
    return [token.decode() for token in Issuer(DIGEST, MEANING).make(key, read, HOUR)]


def test_a_token_says_what_has_been_predicted() -> None:
    first, second = made(labels=(2, -1), values=(0.25, float("nan")))
    read = tokens.read(first, KEYS)
    assert read is not None
    assert read[:5] == (MEANING, "01234567", HOUR, 2, 0.25)
    other = tokens.read(second, KEYS)
    assert other is not None
    assert other.label == -1
    assert np.isnan(other.value)


def test_no_two_tokens_are_equal_not_even_those_of_equal_predictions() -> None:
    found = [token for _ in range(20) for token in made(labels=(0,) * 50, values=(0.5,) * 50)]
    assert len(set(found)) == 1000
    assert len({token.tag for text in found if (token := tokens.read(text, KEYS))}) == 1000


def test_the_tag_is_hmac_sha256_of_a_key_of_the_service() -> None:
    raw = urlsafe_b64decode(made()[0])
    derived = hmac.digest(CONTENT, b"modelwright prediction token\0churn", "sha256")
    assert raw[-TAG_BYTES:] == hmac.digest(derived, raw[:-TAG_BYTES], "sha256")[:TAG_BYTES]


def test_every_single_bit_counts() -> None:
    raw = urlsafe_b64decode(made()[0])
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        assert tokens.read(urlsafe_b64encode(flipped).decode(), KEYS) is None


def broken() -> Iterator[str]:
    token = made()[0]
    yield from ("", token[:-1], token[:-4], token + "A", token + "AAAA", f" {token[1:]}", f"{token}\n")
    yield from (token[:5] + "+" + token[6:], token[:5] + "=" + token[6:], token[:5] + "é" + token[6:])
    yield from ("A" * LENGTH, token.swapcase(), token[::-1])


def test_what_is_cut_or_written_otherwise_is_no_token() -> None:
    for token in broken():
        assert tokens.read(token, KEYS) is None, token


def test_another_key_and_the_same_key_of_another_service_make_no_tokens_of_this_one() -> None:
    for key in (Key(CONTENT[::-1], "churn"), Key(CONTENT, "churn2"), Key(CONTENT, "")):
        token = made(key)[0]
        assert tokens.read(token, KEYS) is None
        assert tokens.read(token, Keys(key, (key,))) is not None


def test_a_token_of_another_version_is_none_although_it_is_signed() -> None:
    content = b"\2" + urlsafe_b64decode(made()[0])[1:-TAG_BYTES]
    assert tokens.read(urlsafe_b64encode(content + KEY.tag(content)).decode(), KEYS) is None


def test_a_key_that_does_not_sign_any_more_still_verifies() -> None:
    newer = Key(bytes(16), "churn")
    rotated = Keys(newer, (newer, KEY))
    assert tokens.read(made()[0], rotated) is not None
    assert tokens.read(made(newer)[0], rotated) is not None
    assert tokens.read(made()[0], Keys(newer, (newer,))) is None


def test_tags_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return a == b

    token = made()[0]
    monkeypatch.setattr("modelwright_serving.feedback.keys.hmac", SimpleNamespace(compare_digest=compare))
    assert tokens.read(token, KEYS) is not None
    assert [len(part) for pair in compared for part in pair] == [TAG_BYTES, TAG_BYTES]


def test_the_memory_knows_what_it_has_seen_and_forgets_the_oldest() -> None:
    chance = np.random.default_rng(7)
    tags = [chance.bytes(12) for _ in range(3000)]
    seen = Seen(remembered=1000)
    for tag in tags:
        assert tag not in seen
        seen.add(tag)
    assert all(tag in seen for tag in tags[-1000:])
    assert not any(tag in seen for tag in tags[:1000])


def test_a_full_memory_rarely_takes_a_new_tag_for_a_known_one() -> None:
    chance = np.random.default_rng(8)
    seen = Seen()
    for _ in range(400_000):
        seen.add(chance.bytes(12))
    assert sum(chance.bytes(12) in seen for _ in range(50_000)) <= 12  # 3 are expected, of one full filter
