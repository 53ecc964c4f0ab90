"""The step `publish`: judges the model that was trained on rows it has not seen, and keeps it if it holds.

What is scored here is the file that will be served, in the library that will serve it."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from modelwright_training import libraries
from modelwright_training.documents import (
    Class,
    Dataset,
    RunDocument,
    SourceFacts,
    load_dataset,
    load_run,
    load_source_facts,
)
from modelwright_training.errors import InputError
from modelwright_training.features import frames
from modelwright_training.judging import card, golden, metrics, parity
from modelwright_training.judging import reference as references
from modelwright_training.judging.metrics import Measured
from modelwright_training.judging.trained import Training, load_training
from modelwright_training.message import Json
from modelwright_training.onnxfile import feeding, modelfile, predictions, session
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.paths import Paths
from modelwright_training.storing import store

log = logging.getLogger(__name__)

SKIPPED = {"verdict": "Skipped", "compared": 0}


@dataclass(frozen=True)
class Candidate:
    """A model that is loaded, with the data it is judged on."""

    file: ModelFile
    model: session.Model
    feed: feeding.Feeder
    dataset: Dataset
    classes: list[Class] | None

    def predict(self, frame: pd.DataFrame) -> predictions.Predictions:
        """What the model predicts for some rows."""
        return predictions.read(feeding.run(self.model, self.feed, frame), self.classes)


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Judge the model of the run and put it into the artifact store."""
    document = load_run(paths.run)
    prefix = store.folder_of(document.artifacts.uri, paths.artifacts, "artifacts.uri")
    dataset = load_dataset(paths.dataset)
    candidate = _load(paths, dataset)
    holdout = frames.load_rows(paths.holdout_rows, dataset)
    log.info("Scoring %d bytes of model on %d rows", candidate.file.size, len(holdout))
    measured = _measure(candidate, holdout)
    for name, value in measured.values.items():
        log.info("  %s = %.6g", name, value)
    compared = _compare(candidate, paths)
    log.info("Parity: %s over %d rows", compared["verdict"], compared["compared"])
    source = load_source_facts(paths.source_facts)
    report = _report(document, source, candidate, measured, compared, load_training(paths.training))
    files = {
        store.MODEL: candidate.file.content,
        "report.json": _text(report),
        "golden.json": _text(golden.make(candidate.model, candidate.feed, holdout, dataset)),
        "card.md": card.card(report),
    }
    mark = store.mark_of(document.namespace, document.training_job, document.run)
    fresh = store.put(prefix, candidate.file.digest, files, mark)
    log.info("%s %s", "Published" if fresh else "Already published:", report["artifact"]["uri"])
    return {key: report[key] for key in ("artifact", "task", "metrics", "parity", "signature", "libraries")}


def _load(paths: Paths, dataset: Dataset) -> Candidate:
    if not paths.model_file.is_file():
        raise InputError(
            "ModelMissing", "The trainer has left no /model/model.onnx. It has to write the model there."
        )
    file = modelfile.read(paths.model_file)
    modelfile.check(file)
    model = session.load(file)
    feed = feeding.feeder(model, dataset)
    return Candidate(file, model, feed, dataset, predictions.classes_of(model, dataset))


def _measure(candidate: Candidate, holdout: pd.DataFrame) -> Measured:
    truth = frames.target(holdout, candidate.dataset)
    predicted = candidate.predict(holdout)
    if candidate.classes is None:
        return metrics.regression(truth, predicted)
    return metrics.classification(truth, predicted, candidate.classes, candidate.dataset.classes or [])


def _compare(candidate: Candidate, paths: Paths) -> Json:
    reference = references.load(paths.reference, candidate.dataset)
    if reference is None:
        return SKIPPED
    rows = frames.load_rows(paths.train_rows, candidate.dataset).iloc[reference.rows]
    outcome = parity.compare(reference, candidate.predict(rows), candidate.classes)
    if outcome.faults:
        raise InputError(
            "ParityFailed",
            f"The ONNX model does not predict what the trainer's own library predicts for the same "
            f"{len(rows)} rows: {'; '.join(outcome.faults)}. Use another estimator or other parameters; "
            f"numbers: {outcome.summary()}",
        )
    return outcome.document()


def _report(
    document: RunDocument,
    source: SourceFacts,
    candidate: Candidate,
    measured: Measured,
    compared: Json,
    training: Training | None,
) -> Json:
    dataset, digest = candidate.dataset, candidate.file.digest
    uri = f"{document.artifacts.uri.rstrip('/')}/{digest.replace(':', '-')}/{store.MODEL}"
    features = None if candidate.feed.by_column else dataset.names
    matrix = {"classes": measured.classes, "counts": measured.confusion} if measured.averaging else None
    return {
        "model": document.model,
        "trainingJob": document.training_job,
        "namespace": document.namespace,
        "artifact": {"uri": uri, "digest": digest, "size": candidate.file.size},
        "task": dataset.task,
        "data": {
            **source.model_dump(by_alias=True, include={"source", "digest", "rows", "stratified", "notes"}),
            "target": dataset.target.name,
        },
        "metrics": [{"name": name, "value": value} for name, value in measured.values.items()],
        "omitted": [{"name": name, "why": why} for name, why in measured.omitted.items()],
        "averaging": measured.averaging,
        "positiveClass": measured.positive_class,
        "confusionMatrix": matrix,
        "parity": compared,
        "signature": session.signature(candidate.model, features, candidate.classes),
        "training": training.model_dump(by_alias=True, exclude_none=True) if training else None,
        "seed": document.seed,
        "libraries": {**(training.libraries if training else {}), **libraries.versions(libraries.SCORING)},
    }


def _text(document: Json) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode()
