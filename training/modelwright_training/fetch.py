"""The step `fetch`: brings the data, checks it, and splits it into what the trainer sees and what it does not."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from modelwright_training import memory
from modelwright_training.documents import (
    VERIFY,
    Data,
    Dataset,
    SourceFacts,
    VerifyDocument,
    from_environment,
    load_run,
    source_uri,
    to_json,
    with_sources,
)
from modelwright_training.errors import InputError, storage
from modelwright_training.files import digest_of, replace_file
from modelwright_training.learning.estimators import task_of
from modelwright_training.message import Json
from modelwright_training.onnxfile.declared import declared
from modelwright_training.paths import Paths
from modelwright_training.reading import evaluating, markers, sources
from modelwright_training.reading.holdout import Split
from modelwright_training.reading.preparing import prepare
from modelwright_training.reading.sources import Source
from modelwright_training.storing import artifact
from modelwright_training.storing.stores import check_writable
from modelwright_training.untyped import ArrowTable

log = logging.getLogger(__name__)

RowNumbers = npt.NDArray[np.int64]
ROW_GROUP = 1 << 17


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Fetch the data of the run and leave it in two folders; or all of it in one, for a model that is there already."""
    memory.give_back()
    return _for_model(environ, paths) if VERIFY in environ else _for_run(environ, paths)


def _for_run(environ: Mapping[str, str], paths: Paths) -> Json:
    document = with_sources(load_run(paths.run), environ)
    check_writable(document.artifacts.uri, environ, paths)
    estimator = document.trainer.sklearn
    by_estimator = task_of(estimator.estimator, estimator.parameters) if estimator else None
    source = sources.bring(document.data, paths, environ)
    log.info(
        "Read %d rows and %d columns (%s)", source.table.num_rows, source.table.num_columns, source.format
    )
    own = sources.bring_holdout(document.data, paths, environ)
    seen = _seen(source, own)
    _check_known(document.known_digest, seen["inputDigest"])
    extra = document.data.holdout.extra_columns
    table, dataset, facts, chosen = prepare(document, by_estimator, source, own)
    size = source.size
    del source, own  # their columns take as much memory as those that are written
    _write(table, dataset, facts, chosen, extra, paths)
    log.info("Wrote %d rows to learn from and %d to score on", facts.rows.train, facts.rows.holdout)
    return {**_result(size, dataset, facts), **seen}


def _seen(source: Source, own: Source | None) -> Json:
    """What later runs are compared with: the digest of all that was read, and the marker, if there is one.

    The digest of data with a hold-out of its own is that of both digests, each ended by a line feed."""
    marker = markers.joined([source.mark, *([own.mark] if own else [])])
    digest = digest_of(f"{source.digest}\n{own.digest}\n".encode()) if own else source.digest
    return {"inputDigest": digest, **({"marker": marker} if marker else {})}


def _check_known(known: str | None, found: str) -> None:
    if known == found:
        raise InputError(
            "DataUnchanged",
            f"The data is that of the last successful run ({found}), so there is nothing new to learn.",
        )


def _for_model(environ: Mapping[str, str], paths: Paths) -> Json:
    """Fetch what a ModelVersion's `evaluate` names: all rows are held out. The model file is read, but not run."""
    document = from_environment(VerifyDocument, environ, VERIFY)
    asked, uri = document.evaluate, source_uri(environ)
    if asked is None:
        raise InputError("DocumentInvalid", f"{VERIFY} names nothing to evaluate on.")
    model = declared(artifact.reader(environ, paths).read(document.artifact))
    with _of_the_evaluation():
        data = Data(uri=uri, digest=asked.digest, target=asked.target)
        source = sources.bring(data, paths, environ, "evaluate.store")
        table, dataset, facts = evaluating.prepare(asked, model, source, uri)
    size = source.size
    del source
    with storage("Writing the data"):
        _write_rows(table, np.arange(table.num_rows), paths.holdout_rows)
        replace_file(paths.source_facts, to_json(facts))
        replace_file(paths.scored_dataset, to_json(dataset))
    log.info("Wrote %d rows to score on", facts.rows.holdout)
    return _result(size, dataset, facts)


@contextmanager
def _of_the_evaluation() -> Iterator[None]:
    """Say of what is wrong with the data where it is named. Its digest is not that of the model."""
    try:
        yield
    except InputError as error:
        reason = "DataDigestMismatch" if error.reason == "DigestMismatch" else error.reason
        message = error.message.replace("data.digest", "evaluate.digest").replace(
            "data.positiveClass", "evaluate.positiveClass"
        )
        raise InputError(reason, f"evaluate: {message}") from error


def _result(size: int, dataset: Dataset, facts: SourceFacts) -> Json:
    return {
        "size": size,
        **facts.model_dump(by_alias=True, include={"digest", "format", "rows", "stratified", "notes"}),
        **dataset.model_dump(by_alias=True, include={"task", "task_from"}),
        "features": len(dataset.features),
        **({"dvc": facts.dvc.model_dump()} if facts.dvc else {}),
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
