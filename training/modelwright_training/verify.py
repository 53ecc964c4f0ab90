"""The step `verify`: checks an artifact that no run has made, its signature where there is a key, and scores it where
there is data; changes nothing in the store."""

import json
import logging
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelwright_training import libraries, memory
from modelwright_training.documents import (
    VERIFY,
    VerifyDocument,
    from_environment,
    load_dataset,
    load_source_facts,
)
from modelwright_training.errors import InputError
from modelwright_training.features import frames
from modelwright_training.judging.account import account
from modelwright_training.judging.gates import champion
from modelwright_training.judging.gates.overlap import Origin
from modelwright_training.judging.gates.world import look
from modelwright_training.judging.loaded import load, of_its_classes
from modelwright_training.judging.metrics import Rows
from modelwright_training.message import Json
from modelwright_training.onnxfile import modelfile, session
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.onnxfile.session import DTYPES, Array, Tensor
from modelwright_training.paths import SIGNATURE, Paths
from modelwright_training.signing import bundle, keys
from modelwright_training.storing import artifact
from modelwright_training.storing.artifact import Reader
from modelwright_training.storing.layout import REPORT

log = logging.getLogger(__name__)

MAX_REPORT_BYTES = 1 << 20
MAX_METRICS = 30
MAX_LABEL = 256
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
LIBRARIES = ("onnx", "onnxruntime")
TASKS = ("Classification", "Regression")
UNKNOWN_ROWS = (
    "the rows that it has learnt from are not known: the baseline is that of the rows it was scored on"
)


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Check the artifact of a ModelVersion, and score it if there is something to score it on."""
    document = from_environment(VerifyDocument, environ, VERIFY)
    reader = artifact.reader(environ, paths)
    file = reader.read(document.artifact)
    signed = _signed(document, file, reader, paths) if document.verification else {}
    found = _scored(document, file, environ, paths) if document.evaluate else _said(document, file, reader)
    return {
        "artifact": {"uri": document.artifact.uri, "digest": file.digest, "size": file.size},
        **found,
        **signed,
    }


def _signed(document: VerifyDocument, file: ModelFile, reader: Reader, paths: Paths) -> Json:
    """The name of the key that the file is signed with. Only then is the file parsed here."""
    key = keys.public_key(paths.key, document.verification or "")
    signature = reader.beside(document.artifact, SIGNATURE, bundle.MAX_BYTES)
    bundle.verify(signature, reader.name_of(document.artifact), file.digest, key)
    log.info("The signature holds, of the key %s", keys.hint(key))
    return {"signedBy": keys.hint(key)}


def _said(document: VerifyDocument, file: ModelFile, reader: Reader) -> Json:
    """What the model, which runs, and the report beside it say of themselves."""
    modelfile.check(file)
    model = session.load(file)
    with memory.bounded(memory.BYTES, "Answering one row"):
        model.repeat({tensor.name: _blank(tensor) for tensor in model.inputs})
    log.info("%s is what it says, loads and runs", document.artifact.uri)
    task = model.properties.get("dev.modelwright.task")
    return {
        **({"task": task} if task in TASKS else {}),
        "metrics": _reported(_report(document, reader)),
        "signature": session.signature(model, _texts(model, "features"), _classes(model)),
        "libraries": libraries.versions(LIBRARIES),
    }


def _scored(document: VerifyDocument, file: ModelFile, environ: Mapping[str, str], paths: Paths) -> Json:
    """What the model is worth on the rows that fetch has brought, none of which it is known to have learnt from."""
    dataset, source = load_dataset(paths.scored_dataset), load_source_facts(paths.source_facts)
    model = of_its_classes(load(file, dataset))
    rows = frames.load_rows(paths.holdout_rows, dataset, extra=True)
    rival = None
    if document.champion is not None:
        own, there = document.artifact.uri, document.champion.artifact.uri
        reader = artifact.reader_of_champion(there, own, environ, paths)
        place = champion.Place(paths.champion, reader.read, own)
        rival = champion.rival(document.champion, place, Origin(source.digest, None, dataset.names))
    world = look(model.row_by_row(rows), rows, None, Rows.of(file.digest), rival)
    found = account(world, document.gates)
    features = None if model.feed.by_column else dataset.names
    kept = ("metrics", "gates", "importance", "fairness")
    return {
        "task": dataset.task,
        **{key: found[key] for key in kept if key in found},
        "evaluation": _without_training(found["evaluation"], source.notes),
        "signature": session.signature(model.model, features, model.classes),
        "libraries": libraries.versions(libraries.SCORING),
    }


def _without_training(evaluation: Json, notes: list[str]) -> Json:
    """The tables of an evaluation, where no training rows are known."""
    found = evaluation | {"trainRows": 0, "notes": [UNKNOWN_ROWS, *evaluation["notes"], *notes]}
    if "classes" in found:
        found["classes"] = [each | {"trainRows": 0} for each in found["classes"]]
    return found


def _blank(tensor: Tensor) -> Array:
    """The smallest input of a shape: zeros, or empty texts."""
    shape = [1 if size == -1 else size for size in tensor.shape]
    if tensor.datatype == "BYTES":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=DTYPES[tensor.datatype])


def _report(document: VerifyDocument, reader: Reader) -> bytes:
    """The report beside the model; an empty one if there is none that can be read."""
    try:
        text = reader.beside(document.artifact, REPORT, MAX_REPORT_BYTES)
    except InputError as error:
        log.info("%s is left out: %s", REPORT, error.message)
        return b"{}"
    return text if text is not None and len(text) <= MAX_REPORT_BYTES else b"{}"


def _reported(text: bytes) -> list[Json]:
    """The metrics of a report beside the model; whatever is not a name with a number is left out."""
    try:
        report = json.loads(text)
    except ValueError:
        log.info("report.json is left out: it is not JSON")
        return []
    metrics = report.get("metrics") if isinstance(report, dict) else None
    return [
        {"name": metric["name"], "value": metric["value"], **_beside(metric)}
        for metric in (metrics if isinstance(metrics, list) else [])
        if _is_metric(metric)
    ][:MAX_METRICS]


def _is_metric(metric: Any) -> bool:  # noqa: ANN401 (whatever a file holds)
    if not isinstance(metric, dict) or set(metric) < {"name", "value"}:
        return False
    name = metric["name"]
    return _is_number(metric["value"]) and isinstance(name, str) and METRIC_NAME.fullmatch(name) is not None


def _beside(metric: Json) -> Json:
    """The interval, the baseline and the class of a metric, as far as they are what they should be."""
    numbers = {name: metric[name] for name in ("low", "high", "baseline") if _is_number(metric.get(name))}
    positive = metric.get("positiveClass")
    named = type(positive) is int or (isinstance(positive, str) and len(positive) <= MAX_LABEL)
    return numbers | ({"positiveClass": positive} if named else {})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _texts(model: session.Model, key: str) -> list[str] | None:
    values = session.listed(model, key)
    return values if values and all(isinstance(value, str) for value in values) else None


def _classes(model: session.Model) -> list[int | str] | None:
    values = session.listed(model, "classes")
    return values if values and all(type(value) in (int, str) for value in values) else None
