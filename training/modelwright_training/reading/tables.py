"""Opens files as tables: which format a file has, which columns, how many rows and bytes, and the rows in batches.

Values are still as the file holds them; typing them is left to the columns, joining files to the gathering."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet

from modelwright_training.errors import InputError, listing
from modelwright_training.reading import csvfile
from modelwright_training.untyped import ArrowBatch, ArrowSchema, ArrowType

Format = Literal["csv", "parquet"]

PARQUET = b"PAR1"
BATCH_ROWS = 1 << 14
BATCH_BYTES = 16 << 20
START = 64
# What files that are no table begin with; text is compared in lower case.
OTHERS = {
    b"PK\x03\x04": "a ZIP archive, as Excel workbooks are: export it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: export it as CSV",
    b"\xfd7zXZ": "compressed with xz: use gzip, zstd or bz2",
    b"\x04\x22\x4d\x18": "compressed with lz4: use gzip, zstd or bz2",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"\x1f\x8b": "compressed twice: unpack it once",
    b"\x28\xb5\x2f\xfd": "compressed twice: unpack it once",
    b"BZh": "compressed twice: unpack it once",
    b"PARE": "an encrypted Parquet file: write it without encryption",
    b"ARROW1": "a Feather file: write it as Parquet",
    b"ORC": "an ORC file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"\x89HDF": "an HDF5 file: write it as Parquet",
    b"SQLite format 3": "an SQLite database: export a table as CSV",
    b"%PDF": "a PDF file",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run git lfs pull",
}
TEXTS = {
    b"<!doctype": "an HTML page: is a login needed?",
    b"<html": "an HTML page: is a login needed?",
    b"<?xml": "XML: write it as CSV or Parquet",
    b'{"': "JSON: write it as CSV or Parquet",
    b"[{": "JSON: write it as CSV or Parquet",
}


@dataclass(frozen=True)
class Part:
    """A file as a table: `rows` (None: not known before they are read) and `size`, the bytes they take in memory.

    `batches` can be read once. Their columns are `names`, in this order."""

    format: Format
    names: list[str]
    rows: int | None
    size: int
    batches: Iterator[ArrowBatch]
    notes: list[str] = field(default_factory=list)
    delimiter: str | None = None


def open_part(path: Path, name: str, wanted: frozenset[str] | None) -> Part | None:
    """Open the file at `path`, which is stored as `name`; of its columns only those `wanted`, if all are there.

    None if the file is empty."""
    if path.stat().st_size == 0:
        return None
    if _format(path, name) == "csv":
        return _open_csv(path, wanted)
    try:
        return _open_parquet(path, wanted)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken(name, error) from error


def _format(path: Path, name: str) -> Format:
    """Tell the format by what the file begins with."""
    with path.open("rb") as file:
        start = file.read(START)
    if start.startswith(PARQUET):
        return "parquet"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    known = [words for mark, words in OTHERS.items() if start.startswith(mark)]
    known += [words for mark, words in TEXTS.items() if text.startswith(mark)]
    if known:
        raise InputError("DataUnreadable", f"{name} is no CSV and no Parquet file, but {known[0]}.")
    if b"\0" in start:
        raise InputError("DataUnreadable", f"{name} is neither Parquet nor text: it holds a byte of zero.")
    if name.lower().endswith((".parquet", ".pq")):
        raise InputError("DataUnreadable", f"{name} is no Parquet file: it does not begin with PAR1.")
    return "csv"


def _kept(names: list[str], wanted: frozenset[str] | None) -> tuple[list[int], list[str]]:
    """The places of the columns to read, and a note if some have no name, as a data frame's index in a file has."""
    named = [place for place, name in enumerate(names) if name and not name.startswith("__index_level_")]
    twice = [name for name, times in Counter(names[place] for place in named).items() if times > 1]
    if twice:
        hint = " Has the file a header line?" if all(csvfile.NUMBER.fullmatch(name) for name in twice) else ""
        raise InputError("DataUnreadable", f"The data has columns of the same name: {listing(twice)}.{hint}")
    notes = (
        [f"{len(names) - len(named)} columns without a name were left out"] if len(named) < len(names) else []
    )
    if wanted is not None and wanted <= set(names):
        named = [place for place in named if names[place] in wanted]
    return named, notes


def _open_csv(path: Path, wanted: frozenset[str] | None) -> Part:
    laid = csvfile.layout(path)
    places, notes = _kept(laid.names, wanted)
    names = [laid.names[place] for place in places]
    body = path.stat().st_size - laid.offset
    stored = sum(len(cell.encode()) + 1 for row in laid.rows for cell in row) or 1
    in_memory = sum(
        len(row[place].encode()) + 4 for row in laid.rows for place in places if place < len(row)
    )  # Arrow's text: the bytes and where each cell ends
    rows = (batch.rename_columns(names) for batch in csvfile.batches(path, laid, places))
    return Part("csv", names, None, body * in_memory // stored, rows, notes, laid.mark)


def _open_parquet(path: Path, wanted: frozenset[str] | None) -> Part:
    file = pyarrow.parquet.ParquetFile(path)
    schema, footer = file.schema_arrow, file.metadata
    places, notes = _kept(schema.names, wanted)
    names = [schema.names[place] for place in places]
    count: int = footer.num_rows
    size = int(count * sum(_width(schema.field(place).type) for place in places))
    if len(places) == len(schema.names):
        size = max(
            size, sum(footer.row_group(group).total_byte_size for group in range(footer.num_row_groups))
        )
    return Part("parquet", names, count, size, _parquet_batches(file, schema, names, size, count), notes)


def _parquet_batches(
    file: pyarrow.parquet.ParquetFile, schema: ArrowSchema, names: list[str], size: int, count: int
) -> Iterator[ArrowBatch]:
    rows = min(BATCH_ROWS, max(1, BATCH_BYTES * count // max(size, 1)))
    columns = None if len(names) == len(schema.names) else names
    try:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield batch.select(names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken("The data", error) from error


def _width(kind: ArrowType) -> float:
    """The least bytes that a value takes in Arrow's memory."""
    try:
        return float(kind.bit_width) / 8
    except ValueError:  # text and nested values: at least where each one ends
        return 4.0


def _broken(name: str, error: Exception) -> InputError:
    detail = str(error).splitlines()[0][:300].rstrip(".")
    return InputError("DataUnreadable", f"Reading {name} as parquet failed: {detail}. Is the file whole?")
