"""Gives each row a place between 0 and 1 that depends on its values only, so that it stays when other rows come.

A cell is 8 bytes: a number, also one that is written as text, as a big-endian IEEE 754 double (-0 as 0, true and false
as 1 and 0, missing as the NaN 7ff8000000000000); another text, and a whole number that a double cannot hold, as the
first 8 bytes of SHA-256 of its UTF-8. A row is the seed in 8 big-endian bytes, then its cells, sorted by the columns'
names. Its place is the first 8 bytes of SHA-256 of the row as a big-endian fraction of 2**64."""

import re
from collections.abc import Mapping
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.reading import column as columns
from modelwright_training.reading.equal_rows import MISSING, Cells, Floats, bits, coded
from modelwright_training.untyped import ArrowArray

WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
NUMBER = re.compile(r"(?=.{1,400}$)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?")
# What Arrow reads as Python does, and a double holds exactly where it is whole.
SHORT_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,20})?$"
EXACT = 2**53
BLOCK = 1 << 16


def places(table: Mapping[str, ArrowArray], seed: int) -> Floats:
    """The place of each row, in [0, 1)."""
    cells = [_cells(table[name]) for name in sorted(table)]
    rows, width = len(cells[0]), 8 * (len(cells) + 1)
    found = np.empty(rows, dtype=">u8")
    for start in range(0, rows, BLOCK):
        part = [column[start : start + BLOCK] for column in cells]
        block = np.empty((len(part[0]), len(cells) + 1), dtype=">u8")
        block[:, 0] = seed
        for place, column in enumerate(part, 1):
            block[:, place] = column
        content = block.tobytes()
        digests = b"".join(
            sha256(content[at : at + width]).digest()[:8] for at in range(0, len(content), width)
        )
        found[start : start + BLOCK] = np.frombuffer(digests, dtype=">u8")
    # A double has 53 bits: the upper ones decide, so that the place stays below 1.
    return (found >> np.uint64(11)).astype(np.float64) / 2.0**53


def _cells(values: ArrowArray) -> Cells:
    if pa.types.is_floating(values.type):
        return bits(np.asarray(values).astype(np.float64))
    if pa.types.is_integer(values.type):
        return _of_integers(values)
    codes, distinct = coded(values)
    return np.append(_of_texts(distinct), np.uint64(MISSING))[codes]


def _of_texts(texts: ArrowArray) -> Cells:
    cells = np.empty(len(texts), dtype=np.uint64)
    words = pc.fill_null(pc.utf8_trim_whitespace(texts), "")
    short = np.asarray(pc.match_substring_regex(words, SHORT_NUMBER))
    cells[short] = bits(np.asarray(words.filter(pa.array(short)).cast(pa.float64())))
    others = texts.filter(pa.array(~short)).to_pylist()
    cells[~short] = np.array([_of_text(text) for text in others], dtype=np.uint64)
    return cells


def _of_integers(values: ArrowArray) -> Cells:
    whole = np.asarray(pc.fill_null(values, 0))
    cells = bits(whole.astype(np.float64))
    for place in np.flatnonzero(np.abs(whole) > EXACT):
        cells[place] = _of_text(str(whole[place]))
    cells[np.asarray(values.is_null())] = MISSING
    return cells


def _of_text(text: str | None) -> int:
    word = "" if text is None else text.strip().lower()
    if word in columns.MISSING:
        return MISSING
    if word in columns.FLAGS:
        return _bit(columns.FLAGS[word])
    if not NUMBER.fullmatch(word):
        return _hash(text or "")
    number = float(word)
    if WHOLE.fullmatch(word) and number != int(word):
        return _hash(str(int(word)))
    return _bit(number)


def _hash(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8])


def _bit(number: float) -> int:
    return int(bits(np.array([number]))[0])
