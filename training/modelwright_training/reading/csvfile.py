"""The grammar of CSV: which character separates cells, what the header holds, and whether each row fits it.

A cell stays text here, so that the same file gives the same types however long it is."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from modelwright_training.errors import InputError
from modelwright_training.untyped import ArrowBatch, Buffer, CsvRow, Numbers

BLOCK = 4 << 20
HEAD = 1 << 20
SAMPLE = 100
MARKS = ",;\t|"
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SEPARATOR = re.compile(r'"?sep=(?P<mark>[^"\r\n])"?[,;\t|]*(\r\n|\n|\r)')
NUMBER = re.compile(r"\s*[-+]?[\d.,' \u00a0\u202f]*\d\s*")
SHOWN = 5
MAX_RAGGED = 1000
QUOTE = ord('"')

Cells = list[str]


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its columns, what separates cells, where the rows begin, and the first of them."""

    names: Cells
    mark: str
    offset: int
    line: int
    rows: list[Cells]


@dataclass
class _Split:
    """The head of a file as one separator splits it."""

    mark: str
    header: Cells
    lines: int
    rows: list[Cells]

    @property
    def agreement(self) -> float:
        """The share of the first rows that have as many cells as the header."""
        fits = sum(len(row) == len(self.header) or _trailing(row, len(self.header)) for row in self.rows)
        return fits / len(self.rows) if self.rows else 1.0

    @property
    def clean(self) -> float:
        """The share of cells that hold no other separator, but perhaps a number with decimal commas."""
        cells = [cell for row in (self.header, *self.rows) for cell in row]
        clean = sum(not any(mark in cell for mark in MARKS) or bool(NUMBER.fullmatch(cell)) for cell in cells)
        return clean / max(len(cells), 1)


def layout(path: Path) -> Layout:
    """Read the header, and the first rows to tell what separates cells: a header alone may mislead."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        whole = not file.read(1)
    text = _decoded(head, whole).removeprefix("\ufeff")
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    said = SEPARATOR.match(text)
    if said:
        text, start = text[said.end() :], start + len(said.group().encode())
    lines = list(io.StringIO(text, newline=""))
    split = _chosen(lines, said["mark"] if said else MARKS, whole)
    header = sum(len(line.encode()) for line in lines[: split.lines])
    names = [name.strip() for name in _fitted(split)]
    if not any(names):
        raise InputError("DataUnreadable", "The first line of the data is empty; it has to name the columns.")
    return Layout(names, split.mark, start + header, split.lines + 1 + bool(said), split.rows)


def _decoded(head: bytes, whole: bool) -> str:
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head, whole)
    except UnicodeDecodeError as error:
        raise not_utf8(head[: error.start], head[error.start]) from error


def not_utf8(before: bytes, byte: int, lines: int = 0) -> InputError:
    """The refusal of a byte that is no UTF-8, which `before` and `lines` lines before that precede."""
    line = lines + before.count(b"\n") + 1
    return InputError(
        "DataUnreadable",
        f"Line {line} of the data holds the byte 0x{byte:02x}, which is not UTF-8: it may be text of Windows-1252 or "
        "Latin-1. Save the file as UTF-8 (Excel: 'CSV UTF-8'; or iconv -f WINDOWS-1252 -t UTF-8).",
    )


def _chosen(lines: list[str], marks: str, whole: bool) -> _Split:
    """The separator whose rows agree with the header; of several, the one that leaves the cleanest cells."""
    splits = [split for mark in marks if (split := _split(lines, mark, whole)) is not None]
    if not splits:
        raise InputError(
            "DataUnreadable",
            "The header of the data cannot be read: a quote in it is not closed, there is text after a closing quote, "
            f"or it is longer than {HEAD} bytes.",
        )
    several = [split for split in splits if len(split.header) > 1] or splits[:1]
    best = max(several, key=_score)
    rivals = [other for other in several if other is not best and _score(other) == _score(best)]
    if rivals and best.rows:
        shown = " or ".join(
            f"{NAMES.get(split.mark, split.mark)} ({split.header[0]!r}, ...)" for split in (best, *rivals)
        )
        raise InputError(
            "DataUnreadable",
            f"Cells may be separated by {shown}: both fit. Put the names of columns into quotes, or write "
            f"sep={best.mark} as a line of its own before the header.",
        )
    return best


def _score(split: _Split) -> tuple[float, float, int]:
    return round(split.agreement, 2), round(split.clean, 2), len(split.header) if not split.rows else 0


def _split(lines: list[str], mark: str, whole: bool) -> _Split | None:
    """The header and the first rows; None where the header is no CSV with this separator, or does not end."""
    reader = csv.reader(iter(lines), delimiter=mark, strict=True)
    try:
        header = next(reader, [])
    except csv.Error:
        return None
    used = reader.line_num
    if used == len(lines) and not whole:
        return None
    rows: list[Cells] = []
    body = csv.reader(iter(lines[used:]), delimiter=mark)
    try:
        while len(rows) <= SAMPLE and (row := next(body, None)) is not None:
            rows += [row] if row else []
    except csv.Error:
        pass
    ended = whole or len(rows) > SAMPLE
    return _Split(mark, header, used, rows[:SAMPLE] if ended else rows[:-1])


def _trailing(row: Cells, width: int) -> bool:
    """Whether a row has one cell more than the header, an empty one: a separator at the end of each line."""
    return len(row) == width + 1 and not row[-1]


def _fitted(split: _Split) -> Cells:
    """The header, with a column without a name more or less where all rows but the header end with a separator."""
    header, rows = split.header, split.rows
    if rows and all(_trailing(row, len(header)) for row in rows):
        return [*header, ""]
    if rows and header and not header[-1] and all(len(row) == len(header) - 1 for row in rows):
        return header[:-1]
    if rows and all(len(row) == len(header) + 1 for row in rows):
        raise InputError(
            "DataUnreadable",
            f"The header names {len(header)} columns, but the rows have {len(header) + 1} cells: the first column "
            "may lack its name, as R's write.table leaves it (col.names=NA gives it one).",
        )
    return header


def batches(path: Path, laid: Layout, places: Collection[int]) -> Iterator[ArrowBatch]:
    """The rows in batches of about 4 MiB of text: the columns at `places`, each named by its place."""
    every = [str(place) for place in range(len(laid.names))]
    wanted = [str(place) for place in sorted(places)]
    ragged = _Ragged()
    with path.open("rb") as file:
        file.seek(laid.offset)
        try:
            yield from pyarrow.csv.open_csv(
                _Checked(file, laid),
                # One thread: row numbers in messages, and no slower where the columns are text.
                pyarrow.csv.ReadOptions(block_size=BLOCK, column_names=every, use_threads=False),
                pyarrow.csv.ParseOptions(
                    delimiter=laid.mark, newlines_in_values=True, invalid_row_handler=ragged
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()),
                    strings_can_be_null=False,
                    include_columns=wanted,
                ),
            )
        except pa.ArrowInvalid as error:
            if ragged.count == 0 and not _is_empty(error):
                raise _unreadable(path, error) from error
    if ragged.count:
        raise ragged.refusal(len(laid.names))


def _is_empty(error: pa.ArrowInvalid) -> bool:
    return "Empty CSV file" in str(error)


def _unreadable(path: Path, error: pa.ArrowInvalid) -> InputError:
    """What Arrow cannot read, without the text that its message quotes."""
    if "UTF8" in str(error):
        lines = 0
        with path.open("rb") as file:
            for line in file:
                try:
                    line.decode()
                except UnicodeDecodeError as broken:
                    return not_utf8(b"", line[broken.start], lines)
                lines += 1
    if "straddling" in str(error):
        return InputError(
            "DataUnreadable", f"A row of the data is longer than {BLOCK >> 20} MiB. Is a quote not closed?"
        )
    return InputError("DataUnreadable", "The data cannot be read as CSV: is it text with a header line?")


@dataclass
class _Ragged:
    """Counts the rows that have another number of cells than the header."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def __call__(self, row: CsvRow) -> str:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(f"row {row.number} has {row.actual_columns}")
        return "skip" if self.count < MAX_RAGGED else "error"

    def refusal(self, width: int) -> InputError:
        more = self.count - len(self.first)
        others = f" and {more} rows more" if self.count < MAX_RAGGED else " and more than 1000 others"
        return InputError(
            "DataUnreadable",
            f"The header has {width} cells, but {', '.join(self.first)}{others if more else ''}. Put cells that hold a "
            "separator or a line break into quotes.",
        )


class _Checked(io.RawIOBase):
    """Passes on the bytes of the rows, and refuses what a lenient reader would make something else of."""

    def __init__(self, file: BinaryIO, laid: Layout) -> None:
        self.file, self.quotes = file, _Quotes(laid.mark, laid.line)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        chunk = self.file.read(len(buffer))
        if b"\0" in chunk:
            raise InputError(
                "DataUnreadable", "The data is neither Parquet nor text: it holds a byte of zero."
            )
        self.quotes.feed(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Quotes:
    """Refuses a quote that is not closed, and text after one that is: they would swallow rows without a word.

    A quote inside a cell that does not begin with one is a character like others. In quotes, two stand for one: the
    first counts as closing, the second as opening."""

    def __init__(self, mark: str, line: int) -> None:
        self.edge = np.zeros(256, dtype=bool)
        self.edge[list(f'{mark}\r\n"'.encode())] = True
        self.line = line  # of the first byte that is not decided
        self.inside, self.closed, self.opened = False, False, line
        self.tail = b"\n"  # the byte before, and the one that awaits what follows it

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; an empty chunk ends them."""
        text = self.tail + (chunk or b"\n")
        data = np.frombuffer(text, np.uint8)
        places = np.flatnonzero(data[1:-1] == QUOTE) + 1
        if places.size and not self._quick(text, data, places):
            self._slow(text, places.tolist())
        if not chunk and self.inside:
            raise InputError("DataUnreadable", f"A quote in line {self.opened} of the data is not closed.")
        self.line += text.count(b"\n", 1, len(text) - 1)
        self.tail = text[-2:]

    def _quick(self, text: bytes, data: Numbers, places: Numbers) -> bool:
        """Whether all quotes open and close cells, or are doubled; else nothing is decided."""
        opening = (np.arange(places.size) % 2 == 0) != self.inside
        if not self.edge[data[np.where(opening, places - 1, places + 1)]].all():
            return False
        if data[places[0] - 1] == QUOTE and not self.inside and not self.closed:
            return False
        self.inside = bool(opening[-1])
        self.closed = not self.inside
        if self.inside:
            self.opened = self.line + text.count(b"\n", 1, int(places[-1]))
        return True

    def _slow(self, text: bytes, places: list[int]) -> None:
        for place in places:
            before, after = text[place - 1], text[place + 1]
            if self.inside and not self.edge[after]:
                line = self.line + text.count(b"\n", 1, place)
                raise InputError(
                    "DataUnreadable",
                    f"There is text after a closing quote in line {line} of the data. Inside quotes, a quote is "
                    "written twice (Spark: option escape '\"').",
                )
            doubled = before == QUOTE and self.closed
            opens = not self.inside and (doubled or (before != QUOTE and bool(self.edge[before])))
            self.closed, self.inside = self.inside, opens
            if opens:
                self.opened = self.line + text.count(b"\n", 1, place)
