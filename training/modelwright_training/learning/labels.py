"""Estimators learn the places of the classes, 0 to n - 1; their labels are put in place of these at the very end.

So a converter meets no label: some know only numbers, and some hold these as float32."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import pandas as pd
from sklearn.pipeline import Pipeline

from modelwright_training.documents import Class
from modelwright_training.untyped import Features

Array = npt.NDArray[Any]

TABLE, LABEL = "labels/classes", "labels/label"


class LabelledPipeline(Pipeline):  # type: ignore[misc]  # scikit-learn is not typed
    """A pipeline whose last estimator knows a class by its place in `labels`."""

    labels: Array

    @property
    def classes_(self) -> Array:
        """The classes that the estimator has met, in the order of its probabilities."""
        found: Array = self.labels[self.steps[-1][1].classes_]
        return found

    def predict(self, rows: Features) -> Array:
        """The class of each row."""
        found: Array = self.labels[super().predict(rows)]
        return found


def places(target: Array, classes: Sequence[Class]) -> npt.NDArray[np.int64]:
    """The place of each row's class."""
    return pd.Index(classes).get_indexer(pd.Index(target)).astype(np.int64)


def labelled(pipeline: Pipeline, classes: Sequence[Class]) -> LabelledPipeline:
    """The same pipeline, that predicts classes."""
    found = LabelledPipeline(pipeline.steps)
    found.labels = np.array(classes)
    return found


def attach(model: onnx.ModelProto, labels: Array) -> None:
    """Put the labels of the classes into the first output of a model, where it has their places."""
    if labels.tolist() == list(range(len(labels))):
        return
    output = model.graph.output[0]
    text = labels.dtype.kind not in "iu"
    table = labels.astype(object) if text else labels.astype(np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(table, TABLE))
    model.graph.node.append(onnx.helper.make_node("Gather", [TABLE, output.name], [LABEL], name=LABEL))
    output.name = LABEL
    output.type.tensor_type.elem_type = onnx.TensorProto.STRING if text else onnx.TensorProto.INT64
