"""The step `fetch`: brings the data, checks it, and splits it into what the trainer sees and what it does not."""

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from modelwright_training.documents import Data, Dataset, SourceFacts, load_run, to_json, with_sources
from modelwright_training.errors import InputError, OutsideError, storage
from modelwright_training.files import digest_of_file, replace_file
from modelwright_training.learning.estimators import find, task_of
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.reading import sources, tables
from modelwright_training.reading.preparing import Source, prepare
from modelwright_training.reading.split import Split

log = logging.getLogger(__name__)


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Fetch the data of the run and leave it in two folders."""
    document = with_sources(load_run(paths.run), environ)
    estimator = document.trainer.sklearn
    by_estimator = task_of(find(estimator.estimator)) if estimator else None
    source = _bring(document.data, paths, environ)
    log.info(
        "Read %d rows and %d columns (%s)", source.table.num_rows, source.table.num_columns, source.format
    )
    frame, dataset, facts, chosen = prepare(document, by_estimator, source)
    _write(frame, dataset, facts, chosen, paths)
    log.info("Wrote %d rows to learn from and %d to score on", facts.rows.train, facts.rows.holdout)
    return {
        "size": source.size,
        **facts.model_dump(by_alias=True, include={"digest", "format", "rows", "stratified", "notes"}),
        **dataset.model_dump(by_alias=True, include={"task", "task_from"}),
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


def _write(frame: pd.DataFrame, dataset: Dataset, facts: SourceFacts, chosen: Split, paths: Paths) -> None:
    with storage("Writing the data"):
        frame.iloc[chosen.holdout].to_parquet(paths.holdout_rows, index=False)
        frame.iloc[chosen.train].to_parquet(paths.train_rows, index=False)
        replace_file(paths.source_facts, to_json(facts))
        replace_file(paths.dataset, to_json(dataset))
