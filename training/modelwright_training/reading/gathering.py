"""Joins the rows of one or many files to one table in bounded memory: all of them, or a random sample."""

from dataclasses import dataclass, field

import pyarrow as pa

from modelwright_training import memory
from modelwright_training.documents import Sample
from modelwright_training.errors import InputError, listing
from modelwright_training.reading.sample import Sampler
from modelwright_training.reading.stored import Bound
from modelwright_training.reading.tables import Format, Part
from modelwright_training.untyped import ArrowBatch, ArrowSchema, ArrowTable

# What a step takes in all for each byte of a table as it is read: 2.5 from CSV, 3.1 from Parquet, and some reserve.
TIMES = 4
# How far an estimate from the first rows may be off before it counts.
DOUBT = 1.25


@dataclass
class Gathering:
    """A table that grows file by file; `share` is how many bytes of memory it may take.

    Raises InputError: FilesDiffer for a file that is not like the first, DataTooLarge for what does not fit memory.
    """

    sample: Sample | None
    share: int = field(default_factory=lambda: max(0, memory.limit() - memory.used()) // TIMES)
    format: Format | None = None
    delimiter: str | None = None
    rows: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    _first: str = ""
    _names: list[str] = field(default_factory=list)
    _schemas: list[ArrowSchema] = field(default_factory=list)
    _batches: list[ArrowBatch] = field(default_factory=list)
    _size: int = 0

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.sample) if self.sample else None

    def bound(self) -> Bound:
        """What the next file may unpack to if all of its rows and columns are kept: a table takes no less."""
        return Bound(int(max(0, self.share - self._size) * DOUBT), self._remedy())

    def add(self, part: Part, name: str) -> None:
        """Read all rows of a file."""
        if self.format is None:
            self.format, self.delimiter = part.format, part.delimiter
            self._names, self._first = part.names, name
        self._check_alike(part, name)
        self.notes |= dict.fromkeys(part.notes)
        if self._sampler is None:
            self._check_early(part)
        for number, batch in enumerate(part.batches):
            batch = batch.select(self._names)  # noqa: PLW2901 (another order of columns)
            if number == 0:
                self._check_types(batch.schema, name)
            self._take(batch)

    def table(self) -> ArrowTable:
        """The rows of all files, in the order of the files and of their rows."""
        if self._sampler is not None:
            self._sampler.prune()
            self._batches = self._sampler.batches
        if not self._batches:
            raise InputError("DataEmpty", f"The data has {len(self._names)} columns but no rows.")
        schema = _common(self._schemas)
        batches, self._batches = self._batches, []
        if self._sampler is not None:
            self._sampler.batches = []
        table = pa.Table.from_batches([_cast(batch, schema, self._first) for batch in batches])
        if table.num_rows < self.rows:
            self.notes = {f"a sample of {table.num_rows} of {self.rows} rows": None} | self.notes
        return table

    def _take(self, batch: ArrowBatch) -> None:
        self.rows += batch.num_rows
        if self._sampler is not None:
            self._sampler.add(batch)
            size = self._sampler.size
        else:
            self._batches.append(batch)
            self._size += batch.nbytes
            size = self._size
        if size > self.share:
            raise self._too_large(f"more than {_shown(size)}", None, size)

    def _check_early(self, part: Part) -> None:
        size = self._size + part.size
        if size > self.share * (1 if part.rows is not None else DOUBT):
            rows = self.rows + part.rows if part.rows is not None else None
            raise self._too_large(f"about {_shown(size)}", rows, size)

    def _too_large(self, takes: str, rows: int | None, size: int) -> InputError:
        count = f"The table has {rows} rows and {len(self._names)} columns and" if rows else "The table"
        fits = rows * self.share // size if rows else None
        return InputError("DataTooLarge", f"{count} takes {takes} of memory. {self._remedy(fits)}")

    def _remedy(self, fits: int | None = None) -> str:
        sample = "data.sample.rows" + (f", {fits} at most" if fits else "")
        if self.sample is not None:
            sample = "a smaller data.sample.rows"
        return (
            f"This step may use {_shown(memory.limit())} in all, which leaves room for a table of "
            f"{_shown(self.share)}. Raise spec.resources.limits.memory, name fewer columns "
            f"(data.features), or learn from a part of the rows ({sample})."
        )

    def _check_alike(self, part: Part, name: str) -> None:
        if part.format != self.format:
            raise _different(
                f"{self._first!r} is {self.format}, but {name!r} is {part.format}", self._first, name
            )
        if part.delimiter != self.delimiter:
            marks = f"cells of {self._first!r} end with {self.delimiter!r}, those of {name!r} with {part.delimiter!r}"
            raise _different(marks, self._first, name)
        missing = [column for column in self._names if column not in part.names]
        added = [column for column in part.names if column not in self._names]
        lacks = f"{name!r} lacks {listing(missing)}" if missing else ""
        has = f"{'and' if missing else repr(name)} has {listing(added)}" if added else ""
        if missing or added:
            raise _different(" ".join(filter(None, (lacks, has))), self._first, name)

    def _check_types(self, schema: ArrowSchema, name: str) -> None:
        if schema in self._schemas:
            return
        try:
            _common([*self._schemas, schema])
        except pa.ArrowException as error:
            first = self._schemas[0]
            odd = [
                f"column {column!r} is {first.field(column).type} in {self._first!r} and "
                f"{schema.field(column).type} in {name!r}"
                for column in self._names
                if first.field(column).type != schema.field(column).type
            ]
            raise _different("; ".join(odd[:5]), self._first, name) from error
        self._schemas.append(schema)


def _common(schemas: list[ArrowSchema]) -> ArrowSchema:
    """The schema that all fit: wider numbers, and any type where a column holds nothing in some files."""
    return pa.unify_schemas([_plain(schema) for schema in schemas], promote_options="permissive")


def _plain(schema: ArrowSchema) -> ArrowSchema:
    return schema.remove_metadata()


def _cast(batch: ArrowBatch, schema: ArrowSchema, first: str) -> ArrowBatch:
    if batch.schema.equals(schema):
        return batch
    try:
        return batch.cast(schema)
    except pa.ArrowInvalid as error:
        odd = [name for name in schema.names if batch.schema.field(name).type != schema.field(name).type]
        raise InputError(
            "FilesDiffer",
            f"Columns {listing(odd)} are of another type in some files than in {first!r}, and some of their numbers "
            "have no exact place in a common type. Write them with one type.",
        ) from error


def _different(what: str, first: str, name: str) -> InputError:
    return InputError(
        "FilesDiffer",
        f"All files have to have the same format and columns, but {what}. Compared were {first!r} and {name!r}. "
        "Leave files out by a pattern, or write them with one schema.",
    )


def _shown(size: float) -> str:
    return f"{size / (1 << 20):.0f} MiB" if size < 10 << 30 else f"{size / (1 << 30):.0f} GiB"
