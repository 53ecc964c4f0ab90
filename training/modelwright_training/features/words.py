"""Splits text into words, in Python and in the operator Tokenizer of ONNX Runtime alike.

A word is a run of letters, marks and digits that no mark begins; a Chinese or Japanese character and an emoji are a
word each. What counts as a letter is written out, range by range, in the expression that the model carries."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

# Written without spaces, or with a meaning each: hiragana and katakana, Chinese characters, emoji.
_SINGLE = (
    (0x3005, 0x3007),
    (0x3041, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x1F300, 0x1FAFF),
    (0x20000, 0x3FFFD),
)

# No letter, mark or digit lies beyond, but for marks that select a variant of a character.
_LAST = 0x40000

_Range = tuple[int, int]


@dataclass(frozen=True)
class _Alphabet:
    """Ranges of code points: what begins a word, what goes on with it, and what is one by itself."""

    first: list[_Range]
    further: list[_Range]
    single: list[_Range]

    def pattern(self, escape: str) -> str:
        """A regular expression of words; `escape` is how it writes a code point."""
        first, further, single = (
            "".join(f"{escape.format(low)}-{escape.format(high)}" for low, high in ranges)
            for ranges in (self.first, self.further, self.single)
        )
        return f"[{first}][{further}]*|[{single}]"


@cache
def _alphabet() -> _Alphabet:
    """By the Unicode version of this Python; the model carries the ranges, so callers' versions do not matter."""
    kinds = [unicodedata.category(chr(point)) for point in range(_LAST)]
    single = {
        point for low, high in _SINGLE for point in range(low, high + 1) if kinds[point][0] not in "MPZ"
    }
    return _Alphabet(
        _ranges(point for point, kind in enumerate(kinds) if kind[0] in "LN" and point not in single),
        _ranges(point for point, kind in enumerate(kinds) if kind[0] in "LMN" and point not in single),
        _ranges(sorted(single)),
    )


def _ranges(points: Iterable[int]) -> list[_Range]:
    found: list[_Range] = []
    for point in points:
        if found and point == found[-1][1] + 1:
            found[-1] = (found[-1][0], point)
        else:
            found.append((point, point))
    return found


# What the pattern comes to for texts of nothing else, ten times as fast.
_ASCII = re.compile("[0-9A-Za-z]+")


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(_alphabet().pattern("\\U{:08x}"))


def split(text: str) -> list[str]:
    """The words of a text in their order, as they are spelt."""
    return _ASCII.findall(text) if text.isascii() else _pattern().findall(text)


def distinct(text: str) -> set[str]:
    """The words of a text, each as all of its spellings have in common."""
    return {same(word) for word in split(text)}


def same(word: str) -> str:
    """What all spellings of a word have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", word).casefold())


def ranges() -> list[_Range]:
    """The first and the last of each run of characters that are part of words."""
    return [*_alphabet().further, *_alphabet().single]


def expression() -> str:
    """The regular expression of a word as ONNX Runtime reads it."""
    return _alphabet().pattern("\\x{{{:x}}}")


def unsuitable(column: str) -> str:
    """Why a column of text is refused."""
    return (
        f"Column {column!r} is text, but no word occurs in two of its rows, so there is nothing to learn from it. "
        "Leave it out with data.exclude, or let data.schema call it a string if its values are categories."
    )
