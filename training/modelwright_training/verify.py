"""The step `verify`: checks an artifact that somebody else has put into a store; changes nothing there."""

import json
import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelwright_training import libraries, memory
from modelwright_training.documents import Artifact, VerifyDocument, from_environment
from modelwright_training.errors import InputError, storage
from modelwright_training.message import Json
from modelwright_training.onnxfile import modelfile, session
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.onnxfile.session import DTYPES, Array, Tensor
from modelwright_training.paths import Paths
from modelwright_training.storing import store

log = logging.getLogger(__name__)

MAX_REPORT_BYTES = 1 << 20
MAX_METRICS = 30
MAX_LABEL = 256
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
LIBRARIES = ("onnx", "onnxruntime")
TASKS = ("Classification", "Regression")


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Check the artifact of a ModelVersion."""
    document = from_environment(VerifyDocument, environ, "MODELWRIGHT_VERIFY")
    path = store.folder_of(document.artifact.uri, paths.artifacts, "artifact.uri")
    file = _read(path, document.artifact)
    modelfile.check(file)
    model = session.load(file)
    with memory.bounded(memory.BYTES, "Answering one row"):
        model.repeat({tensor.name: _blank(tensor) for tensor in model.inputs})
    log.info("%s is what it says, loads and runs", document.artifact.uri)
    task = model.properties.get("dev.modelwright.task")
    return {
        "artifact": {"uri": document.artifact.uri, "digest": file.digest, "size": file.size},
        **({"task": task} if task in TASKS else {}),
        "metrics": _reported(path.with_name("report.json")),
        "signature": session.signature(model, _texts(model, "features"), _classes(model)),
        "libraries": libraries.versions(LIBRARIES),
    }


def _read(path: Path, artifact: Artifact) -> ModelFile:
    with storage(f"Looking for {artifact.uri}"):
        found = path.is_file()
    if not found:
        raise InputError(
            "ArtifactNotFound", f"There is no file {artifact.uri!r}. Check artifact.uri and its claim."
        )
    file = modelfile.read(path)
    if file.digest != artifact.digest:
        raise InputError(
            "DigestMismatch",
            f"{artifact.uri!r} has digest {file.digest}, but artifact.digest asks for {artifact.digest}. "
            "Either the file has changed or the digest is of another file.",
        )
    return file


def _blank(tensor: Tensor) -> Array:
    """The smallest input of a shape: zeros, or empty texts."""
    shape = [1 if size == -1 else size for size in tensor.shape]
    if tensor.datatype == "BYTES":
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=DTYPES[tensor.datatype])


def _reported(path: Path) -> list[Json]:
    """The metrics of a report beside the model; whatever is not a name with a number is left out."""
    with storage(f"Reading {path.name}"):
        text = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_REPORT_BYTES else b"{}"
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
