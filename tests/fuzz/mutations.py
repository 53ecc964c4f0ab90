"""Changes bytes at random, as every fuzzer does: flips, cuts, repeats, inserts words that mean something."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MAX_LENGTH = 1 << 14
_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**20)
Mutation = Callable[[random.Random, bytes], bytes]


def mutated(chance: random.Random, data: bytes, other: bytes, words: Sequence[bytes]) -> bytes:
    """The data after a few random changes; `words` are inserted whole, `other` is a second parent."""
    for _ in range(1 + int(chance.expovariate(0.7))):
        kind = chance.randrange(10)
        if kind == 0:
            data = spliced(chance, data, other)
        elif kind < 4:
            data = _insert(chance, data, chance.choice(words))
        else:
            data = chance.choice(_BLIND)(chance, data)
    return data[:MAX_LENGTH]


def spliced(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of the other."""
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _insert(chance: random.Random, data: bytes, word: bytes) -> bytes:
    at = chance.randint(0, len(data))
    skip = len(word) if chance.random() < 0.5 else 0
    return data[:at] + word + data[at + skip :]


def _span(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + 1 + int(chance.expovariate(0.05)))


def _flip(chance: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _any_byte(chance: random.Random, data: bytes) -> bytes:
    return _insert(chance, data, bytes([chance.randrange(256)]))


def _cut(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data)
    return data[:start] + data[stop:]


def _end(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randint(0, len(data))]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data)
    times = chance.choice((2, 2, 3, 8, 64, 500))
    return data[:start] + data[start:stop] * times + data[stop:]


def _move(chance: random.Random, data: bytes) -> bytes:
    start, stop = _span(chance, data)
    rest = data[:start] + data[stop:]
    at = chance.randint(0, len(rest))
    return rest[:at] + data[start:stop] + rest[at:]


def _number(chance: random.Random, data: bytes) -> bytes:
    """Another number where there is one."""
    places = [at for at, byte in enumerate(data[:2000]) if 48 <= byte <= 57]
    if not places:
        return data
    start = stop = chance.choice(places)
    while stop < len(data) and 48 <= data[stop] <= 57:
        stop += 1
    value = chance.choice(_NUMBERS) + chance.randint(-2, 2)
    return data[:start] + str(value).encode() + data[stop:]


_BLIND: tuple[Mutation, ...] = (_flip, _any_byte, _cut, _cut, _end, _repeat, _move, _number, _number)
