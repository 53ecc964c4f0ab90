"""Reads CSV and Parquet into columns that are still as the file holds them; typing them is left to the columns.

A CSV cell stays text here, so that the same file gives the same types however long it is."""

import csv
from collections import Counter
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from modelwright_training.errors import InputError, listing
from modelwright_training.untyped import ArrowTable

Format = Literal["csv", "parquet"]

MAGIC = b"PAR1"
BLOCK = 64 << 20
HEADER_LIMIT = 1 << 20


def format_of(path: Path) -> Format:
    """Tell the format by what the file begins with, then by its name."""
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    return "parquet" if start == MAGIC or path.suffix.lower() in (".parquet", ".pq") else "csv"


def read(path: Path) -> tuple[Format, ArrowTable, list[str]]:
    """Read a file whole: its format, its columns, and notes about what was left out."""
    if path.stat().st_size == 0:
        raise InputError("DataEmpty", "The data is an empty file.")
    kind = format_of(path)
    try:
        table = _read_parquet(path) if kind == "parquet" else _read_csv(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, csv.Error) as error:
        hint = (
            "It has to be UTF-8 text with a header line." if kind == "csv" else "It has to be a Parquet file."
        )
        raise InputError(
            "DataUnreadable", f"Reading the data as {kind} failed: {_first_line(error)}. {hint}"
        ) from error
    table, notes = _drop_unnamed(table)
    twice = [name for name, times in Counter(table.column_names).items() if times > 1]
    if twice:
        raise InputError("DataUnreadable", f"The data has columns of the same name: {listing(twice)}.")
    if table.num_rows == 0:
        raise InputError("DataEmpty", f"The data has {table.num_columns} columns but no rows.")
    return kind, table, notes


def _read_parquet(path: Path) -> ArrowTable:
    return pyarrow.parquet.ParquetFile(path).read()


def _read_csv(path: Path) -> ArrowTable:
    header, delimiter = _header(path)
    if not any(header):
        raise InputError("DataUnreadable", "The first line of the data is empty; it has to name the columns.")
    places = [str(place) for place in range(len(header))]  # names may repeat or be empty
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=BLOCK, column_names=places, skip_rows=1),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()), strings_can_be_null=False
        ),
    )
    return table.rename_columns(header)


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns and the delimiter: whichever splits the first line into most parts."""
    with path.open("rb") as file:
        line = file.readline(HEADER_LIMIT).decode("utf-8-sig").rstrip("\r\n")
    if "\0" in line:
        raise InputError("DataUnreadable", "The data is neither Parquet nor text.")
    split = {mark: next(csv.reader([line], delimiter=mark), []) for mark in ",;\t|"}
    delimiter = max(split, key=lambda mark: len(split[mark]))
    return [name.strip() for name in split[delimiter]], delimiter


def _drop_unnamed(table: ArrowTable) -> tuple[ArrowTable, list[str]]:
    """Leave out what a data frame's index becomes in a file: a column without a name of its own."""
    names = table.column_names
    unnamed = [place for place, name in enumerate(names) if not name or name.startswith("__index_level_")]
    if not unnamed:
        return table, []
    kept = [place for place in range(len(names)) if place not in unnamed]
    return table.select(kept), [f"{len(unnamed)} columns without a name were left out"]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300].rstrip(".")
