"""What fetch leaves of features that have to be prepared, and both ways to prepare them: numpy and ONNX."""

from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime
import pandas as pd
from onnx import helper
from unit.training.pod import Pod

from modelwright_training.documents import Dataset, Duplicates, Feature, Rows, SourceFacts, Target
from modelwright_training.features import frames, prologue
from modelwright_training.features.prepared import prepared
from modelwright_training.learning import graphs


def dataset(*features: Feature, task: str = "Classification") -> Dataset:
    """What fetch would have written about the features."""
    return Dataset.model_validate(
        {
            "features": [feature.model_dump(exclude_none=True) for feature in features],
            "target": Target(name="y", type="integer").model_dump(),
            "task": task,
            "task_from": "Run",
            "classes": [0, 1] if task == "Classification" else None,
            "rows": 240,
        }
    )


def fetched(pod: Pod, frame: pd.DataFrame, described: Dataset) -> Pod:
    """A pod whose fetch step has left these rows."""
    train = len(frame) * 4 // 5
    frame.iloc[:train].to_parquet(pod.paths.train_rows, index=False)
    frame.iloc[train:].to_parquet(pod.paths.holdout_rows, index=False)
    facts = SourceFacts(
        source="configmap://rows/rows.csv",
        digest=f"sha256:{'0' * 64}",
        format="csv",
        rows=Rows(train=train, holdout=len(frame) - train),
        stratified=False,
        notes=[],
        duplicates=Duplicates(rows=0, ambiguous=0, across=0),
        leaks=[],
    )
    for path, document in ((pod.paths.dataset, described), (pod.paths.source_facts, facts)):
        path.write_text(document.model_dump_json(by_alias=True, exclude_none=True))
    return pod


def session_of(described: Dataset) -> onnxruntime.InferenceSession:
    """A session of `model_of`."""
    return onnxruntime.InferenceSession(model_of(described).SerializeToString())


def model_of(described: Dataset) -> onnx.ModelProto:
    """A model that gives the prepared columns as they are."""
    columns = prepared(described)
    types = {"numeric": onnx.TensorProto.FLOAT}
    ends = [
        helper.make_tensor_value_info(column.name, types.get(column.kind, onnx.TensorProto.STRING), [None, 1])
        for column in columns
    ]
    outs = [
        helper.make_tensor_value_info(f"{end.name}_out", end.type.tensor_type.elem_type, [None, 1])
        for end in ends
    ]
    nodes = [
        helper.make_node("Identity", [end.name], [out.name]) for end, out in zip(ends, outs, strict=True)
    ]
    graph = helper.make_graph(nodes, "columns", ends, outs)
    opset = helper.make_opsetid("", prologue.opset(described))
    model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    prologue.attach(model, described)
    inputs = [value.name for value in model.graph.input]
    outputs = {out.name: out.name for out in outs}
    graphs.settle(model, dict(zip(inputs, described.names, strict=True)) | outputs)
    onnx.checker.check_model(model, full_check=True)
    return model


def both(described: Dataset, frame: pd.DataFrame, feed: dict[str, npt.NDArray[Any]]) -> tuple[Any, Any]:
    """The prepared columns as the trainer has them and as a caller gets them."""
    ours = [series.to_numpy() for _, series in frames.for_estimator(frame, described).items()]
    theirs = [answer.reshape(-1) for answer in session_of(described).run(None, feed)]
    return ours, theirs
