"""The step `fetch`: brings the data, checks it, and splits it into what the trainer sees and what it does not."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from modelwright_training import memory
from modelwright_training.documents import Dataset, SourceFacts, load_run, to_json, with_sources
from modelwright_training.errors import storage
from modelwright_training.files import replace_file
from modelwright_training.learning.estimators import task_of
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.reading import sources
from modelwright_training.reading.holdout import Split
from modelwright_training.reading.preparing import prepare
from modelwright_training.untyped import ArrowTable

log = logging.getLogger(__name__)

RowNumbers = npt.NDArray[np.int64]
ROW_GROUP = 1 << 17


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Fetch the data of the run and leave it in two folders."""
    memory.give_back()
    document = with_sources(load_run(paths.run), environ)
    estimator = document.trainer.sklearn
    by_estimator = task_of(estimator.estimator, estimator.parameters) if estimator else None
    source = sources.bring(document.data, paths.source, environ)
    log.info(
        "Read %d rows and %d columns (%s)", source.table.num_rows, source.table.num_columns, source.format
    )
    own = sources.bring_holdout(document.data, paths.source_holdout, environ)
    extra = document.data.holdout.extra_columns
    table, dataset, facts, chosen = prepare(document, by_estimator, source, own)
    size = source.size
    del source, own  # their columns take as much memory as those that are written
    _write(table, dataset, facts, chosen, extra, paths)
    log.info("Wrote %d rows to learn from and %d to score on", facts.rows.train, facts.rows.holdout)
    return {
        "size": size,
        **facts.model_dump(by_alias=True, include={"digest", "format", "rows", "stratified", "notes"}),
        **dataset.model_dump(by_alias=True, include={"task", "task_from"}),
        "features": len(dataset.features),
    }


def _write(
    table: ArrowTable, dataset: Dataset, facts: SourceFacts, chosen: Split, extra: list[str], paths: Paths
) -> None:
    with storage("Writing the data"):
        both = [*dataset.names, dataset.target.name]
        train = table.select([*both, *([dataset.weight] if dataset.weight else [])])
        others = [*([facts.group] if facts.group else []), *extra]
        holdout = table.select(list(dict.fromkeys([*both, *others])))
        _write_rows(holdout, chosen.holdout, paths.holdout_rows)
        _write_rows(train, chosen.train, paths.train_rows)
        replace_file(paths.source_facts, to_json(facts))
        replace_file(paths.dataset, to_json(dataset))


def _write_rows(table: ArrowTable, rows: RowNumbers, path: Path) -> None:
    """Write some rows of a table; a part at a time, because a copy of all takes as much memory as the table.

    Numbers are neither compressed nor looked up in a dictionary: that takes four times as long."""
    texts = [column.name for column in table.schema if pa.types.is_string(column.type)]
    with pyarrow.parquet.ParquetWriter(
        path, table.schema, use_dictionary=texts, compression="none", write_statistics=False
    ) as writer:
        for start in range(0, len(rows), ROW_GROUP):
            writer.write_table(table.take(pa.array(rows[start : start + ROW_GROUP])))
