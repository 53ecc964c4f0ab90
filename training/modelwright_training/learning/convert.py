"""Turns a fitted pipeline into the bytes of an ONNX model: the same bytes for the same pipeline, in any process."""

import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnx.helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from modelwright_training.documents import Dataset
from modelwright_training.errors import InputError, listing
from modelwright_training.features import prologue
from modelwright_training.features.prepared import prepared
from modelwright_training.learning import graphs, labels, mended
from modelwright_training.learning.labels import LabelledPipeline
from modelwright_training.untyped import Estimator

# What ONNX Runtime has supported for years, whatever the converter's default is today.
ML_OPSET = 3
INPUT = "input"
mended.register()
# What the converters raise where they do not know an estimator or one of its settings.
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError, NameError)


def output_names(dataset: Dataset, pipeline: Pipeline) -> list[str]:
    """What the outputs of the model are called."""
    if dataset.task == "Regression":
        return ["value"]
    return ["label", "probabilities" if hasattr(pipeline, "predict_proba") else "scores"]


def check_names(dataset: Dataset) -> None:
    """Refuse columns whose names the outputs need; only where each column is an input of its own."""
    taken = {"value"} if dataset.task == "Regression" else {"label", "probabilities", "scores"}
    clash = [name for name in dataset.names if name in taken]
    if clash and not dataset.all_numeric:
        raise InputError(
            "FeatureNameReserved",
            f"The model's outputs are called {listing(sorted(taken))}, so a column cannot be called {listing(clash)}. "
            "Rename the column or leave it out with data.features.",
        )


def to_onnx(pipeline: Pipeline, dataset: Dataset) -> bytes:
    """The ONNX model of a fitted pipeline, or NotConvertible."""
    kind = type(pipeline[-1]).__name__
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converter's own making; a user can do nothing about them
            model = _convert(Pipeline(pipeline.steps), dataset)
        if not dataset.all_numeric:
            prologue.attach(model, dataset)
    except REFUSALS as error:
        detail = str(error).strip().split("\n")[0][:300].rstrip(".")
        raise InputError(
            "NotConvertible",
            f"{kind} with these parameters cannot be converted to ONNX: {detail}. Use another estimator.",
        ) from error
    if isinstance(pipeline, LabelledPipeline):
        labels.attach(model, pipeline.labels)
    graphs.settle(model, _outer_names(model.graph, pipeline, dataset))
    onnx.helper.set_model_props(model, _properties(pipeline, dataset))
    return bytes(model.SerializeToString(deterministic=True))


def _convert(pipeline: Pipeline, dataset: Dataset) -> onnx.ModelProto:
    width = len(dataset.features)
    inputs: list[tuple[str, Any]] = [(INPUT, FloatTensorType([None, width]))]
    if not dataset.all_numeric:
        kinds = {"numeric": FloatTensorType, "categorical": StringTensorType, "text": StringTensorType}
        inputs = [(column.name, kinds[column.kind]([None, 1])) for column in prepared(dataset)]
    for fitted in parts(pipeline[-1], set()):
        _exact_thresholds(fitted)
    last = id(pipeline[-1])
    opsets = {"": prologue.opset(dataset), "ai.onnx.ml": ML_OPSET}
    if dataset.task == "Regression":
        return _call(pipeline, inputs, {}, opsets)
    try:
        return _call(pipeline, inputs, {last: {"zipmap": False}}, opsets)
    except NameError:  # the converter of this classifier has no such option
        return _call(pipeline, inputs, {last: {}}, opsets)


def _call(
    pipeline: Pipeline, inputs: list[tuple[str, Any]], options: Mapping[int, Any], opsets: Mapping[str, int]
) -> onnx.ModelProto:
    # Without a name the converter takes a random one, and the same model would get another digest.
    model: onnx.ModelProto = convert_sklearn(
        pipeline, name="modelwright", initial_types=inputs, options=options, target_opset=opsets, verbose=0
    )
    return model


def parts(value: object, seen: set[int]) -> Iterator[Estimator]:
    """A fitted estimator and those that it has fitted."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        for item in value:
            yield from parts(item, seen)
    elif (
        type(value).__module__.startswith("sklearn.") and hasattr(value, "__dict__") and id(value) not in seen
    ):
        seen.add(id(value))
        yield value
        yield from parts(vars(value), seen)


def _exact_thresholds(estimator: Estimator) -> None:
    """Move the thresholds of histogram gradient boosting down to float32, which changes no float32 row's path.

    The converter rounds them to the nearest float32; where that is upwards and a row lies on it, the row
    would go the other way."""
    for stage in getattr(estimator, "_predictors", []):
        for tree in stage:
            exact = tree.nodes["num_threshold"]
            near = exact.astype(np.float32)
            below = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)
            tree.nodes["num_threshold"] = below.astype(np.float64)


def _outer_names(graph: onnx.GraphProto, pipeline: Pipeline, dataset: Dataset) -> dict[str, str]:
    """What the inputs and outputs are to be called instead."""
    inputs = [INPUT] if dataset.all_numeric else dataset.names
    return dict(zip([value.name for value in graph.input], inputs, strict=True)) | dict(
        zip([output.name for output in graph.output], output_names(dataset, pipeline), strict=True)
    )


def _properties(pipeline: Pipeline, dataset: Dataset) -> dict[str, str]:
    found: dict[str, str] = {"dev.modelwright.task": dataset.task}
    if dataset.all_numeric:
        found["dev.modelwright.features"] = json.dumps(dataset.names, ensure_ascii=False)
    formats = {feature.name: feature.format for feature in dataset.features if feature.kind == "date"}
    if formats:
        found["dev.modelwright.formats"] = json.dumps(formats, ensure_ascii=False)
    if dataset.task == "Classification":
        found["dev.modelwright.classes"] = json.dumps(pipeline.classes_.tolist(), ensure_ascii=False)
    return found
