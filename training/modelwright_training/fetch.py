"""The step `fetch`: brings the data, checks it, and splits it into what the trainer sees and what it does not."""

import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from modelwright_training.documents import Data, Dataset, Feature, Rows, RunDocument, Task, from_environment
from modelwright_training.errors import InputError, OutsideError, listing, storage, suggestion
from modelwright_training.files import digest_of_file, replace_file
from modelwright_training.learning.estimators import find, task_of
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.reading import rules, sources, tables, targets
from modelwright_training.reading.columns import Column, asked_type, read_column
from modelwright_training.reading.split import Split, split

log = logging.getLogger(__name__)

MAX_CATEGORIES = 1000


@dataclass(frozen=True)
class Source:
    """The columns of the data and what is known of the file they came from."""

    format: tables.Format
    table: Any
    notes: list[str]
    digest: str
    size: int


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Fetch the data of the run and leave it in two folders."""
    document = from_environment(RunDocument, environ, "MODELWRIGHT_RUN")
    estimator = document.trainer.sklearn
    by_estimator = task_of(find(estimator.estimator)) if estimator else None
    source = _bring(document.data, paths, environ)
    log.info(
        "Read %d rows and %d columns (%s)", source.table.num_rows, source.table.num_columns, source.format
    )
    frame, dataset, chosen = prepare(document, by_estimator, source)
    _write(frame, dataset, chosen, paths)
    log.info("Wrote %d rows to learn from and %d to score on", dataset.rows.train, dataset.rows.holdout)
    return {
        "digest": source.digest,
        "size": source.size,
        **dataset.model_dump(
            by_alias=True, include={"format", "task", "task_from", "rows", "stratified", "notes"}
        ),
        "features": len(dataset.features),
    }


def _bring(data: Data, paths: Paths, environ: Mapping[str, str]) -> Source:
    with tempfile.TemporaryDirectory() as scratch:
        log.info("Fetching %s", sources.public(data.uri))
        path = sources.bring(data.uri, paths.source, Path(scratch), environ)
        try:
            with storage(f"Reading {sources.public(data.uri)}"):
                return _read(data, path)
        except OutsideError as error:
            if isinstance(error.__cause__, PermissionError):
                message = f"{sources.public(data.uri)} may not be read by user {os.getuid()}."
                raise InputError("AccessDenied", message) from error
            raise


def _read(data: Data, path: Path) -> Source:
    before = path.stat()
    digest = digest_of_file(path)
    if data.digest not in (None, digest):
        raise InputError(
            "DigestMismatch",
            f"{sources.public(data.uri)} has digest {digest}, but data.digest asks for {data.digest}. "
            "The data has changed: set data.digest to the new one if that is intended.",
        )
    kind, table, notes = tables.read(path)
    after = path.stat()
    if (before.st_mtime_ns, before.st_size, before.st_ino) != (
        after.st_mtime_ns,
        after.st_size,
        after.st_ino,
    ):
        raise OutsideError("FetchFailed", f"{sources.public(data.uri)} changed while it was read.")
    return Source(kind, table, notes, digest, before.st_size)


def prepare(
    document: RunDocument, by_estimator: Task | None, source: Source
) -> tuple[pd.DataFrame, Dataset, Split]:
    """Check the data and choose the hold-out: the whole table, what is in it, and the rows of each side."""
    data = document.data
    features = _features(data, source.table.column_names)
    wanted = dict.fromkeys([*features, data.target, *data.rules])
    untyped = source.format == "csv"
    columns = {
        name: read_column(name, source.table[name], asked_type(data.rules.get(name)), untyped)
        for name in wanted
    }
    rules.check(columns, data.rules)
    for name in features:
        _check_feature(columns[name])
    target = columns[data.target]
    targets.check_complete(target)
    rules.check_range(target)
    task, task_from = targets.decide(document.task, by_estimator, target)
    values, described, classes = targets.labels(target, task)
    chosen = split(len(values), data.holdout, values.to_numpy() if classes else None)
    dataset = Dataset(
        features=[Feature(name=name, kind=columns[name].kind) for name in features],
        target=described,
        task=task,
        task_from=task_from,
        classes=classes,
        source=sources.public(data.uri),
        digest=source.digest,
        format=source.format,
        rows=Rows(train=len(chosen.train), holdout=len(chosen.holdout)),
        stratified=chosen.stratified,
        notes=[*source.notes, *([chosen.note] if chosen.note else [])],
    )
    frame = pd.DataFrame({**{name: columns[name].values for name in features}, data.target: values})
    return frame, dataset, chosen


def _features(data: Data, present: list[str]) -> list[str]:
    """The names of the features; refuses names that the data does not have."""
    if data.target not in present:
        raise InputError(
            "TargetMissing",
            f"The data has no column {data.target!r} (data.target).{suggestion(data.target, present)} "
            f"Its columns are {listing(present)}.",
        )
    for where, names in (("data.features", data.features or []), ("data.schema", list(data.rules))):
        absent = [name for name in names if name not in present]
        if absent:
            hint = suggestion(absent[0], present)
            message = f"{where} names columns that the data does not have: {listing(absent)}.{hint} "
            raise InputError("FeatureMissing", f"{message}Its columns are {listing(present)}.")
    features = data.features or [name for name in present if name != data.target]
    if not features:
        raise InputError(
            "FeatureMissing",
            f"The data has only the target {data.target!r}; there is nothing to predict from.",
        )
    return features


def _check_feature(column: Column) -> None:
    rules.check_range(column)
    count = column.values.nunique() if column.kind == "categorical" else 0
    if count > MAX_CATEGORIES:
        raise InputError(
            "TooManyCategories",
            f"Column {column.name!r} holds {count} different texts such as {column.values.iloc[0]!r:.60}; "
            f"at most {MAX_CATEGORIES} make a category. Is it an identifier? Leave it out with data.features.",
        )


def _write(frame: pd.DataFrame, dataset: Dataset, chosen: Split, paths: Paths) -> None:
    with storage("Writing the data"):
        frame.iloc[chosen.holdout].to_parquet(paths.holdout_rows, index=False)
        frame.iloc[chosen.train].to_parquet(paths.train_rows, index=False)
        text = dataset.model_dump_json(by_alias=True, exclude_none=True, indent=2)
        replace_file(paths.dataset, text.encode())
