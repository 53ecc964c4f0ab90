"""Tells columns of natural text from categories, identifiers and codes, and refuses texts that share no word."""

from statistics import median

import pyarrow as pa

from modelwright_training.errors import InputError
from modelwright_training.features import words
from modelwright_training.untyped import ArrowArray

# Texts that are looked at.
SEEN = 2000
MIN_DISTINCT = 20
# So many different texts of several words are no categories, however often they come back.
MANY = 100
# Of the middle text: words of at least two letters between spaces, and letters among what is no space.
MIN_WORDS = 3
MIN_LETTERS = 0.6


def is_natural(texts: ArrowArray, rows: int) -> bool:
    """Whether the different texts of a column are sentences or phrases; `rows` have a text.

    They are if at least 20 differ, these are half of the rows or more than 100, and the middle one of them has three
    words and 60 % letters."""
    if len(texts) < MIN_DISTINCT or not (2 * len(texts) >= rows or len(texts) > MANY):
        return False
    seen = [str(value) for value in texts.slice(0, SEEN).to_pylist()]
    return median(map(_words, seen)) >= MIN_WORDS and median(map(_letters, seen)) >= MIN_LETTERS


def check(name: str, texts: ArrowArray) -> None:
    """Refuse a column of text in which no word occurs in two rows; `texts` are those of all rows."""
    known: set[str] = set()
    for chunk in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        for value in chunk:
            found = words.distinct(value.as_py() or "")
            if not known.isdisjoint(found):
                return
            known |= found
    raise InputError("TextUnsuitable", words.unsuitable(name))


def _words(value: str) -> float:
    """Words between spaces; of a language without spaces, two characters make one."""
    spaced = sum(sum(map(str.isalpha, piece)) >= 2 for piece in value.split())
    return max(spaced, sum(len(word) == 1 and ord(word) >= 0x3000 for word in words.split(value)) / 2)


def _letters(value: str) -> float:
    marks = sum(map(len, value.split()))
    return sum(map(str.isalpha, value)) / marks if marks else 0.0
