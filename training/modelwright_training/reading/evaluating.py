"""Reads data to score a model on that is there already: the model decides which columns it takes, and of what type.

All rows are held out. Nothing is looked for that concerns learning only: leaks, identifiers, a split."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa

from modelwright_training.documents import (
    Class,
    ClassCounts,
    ColumnRule,
    Dataset,
    Duplicates,
    Evaluation,
    Feature,
    Rows,
    SourceFacts,
    Task,
)
from modelwright_training.errors import InputError, listing, row_listing, suggestion
from modelwright_training.features.dates import FORMATS
from modelwright_training.onnxfile.declared import Declared
from modelwright_training.onnxfile.session import Tensor
from modelwright_training.reading import dates, equal_rows, extras, names, places, rules, targets
from modelwright_training.reading.column import Column
from modelwright_training.reading.columns import read_columns
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.sources import Source
from modelwright_training.untyped import ArrowArray, ArrowTable

REMEDY = "The model decides what its inputs are: mend the data."
TASKS: dict[str | None, Task] = {"Classification": "Classification", "Regression": "Regression"}


def prepare(
    asked: Evaluation, model: Declared, source: Source, uri: str
) -> tuple[ArrowTable, Dataset, SourceFacts]:
    """Read the columns that the model takes, the target and the extra columns.

    Raises: InputError if the data lacks a column or holds what the model does not take."""
    inputs = _inputs(asked, model, source.table.column_names)
    raise_all(names.check(dict.fromkeys([*inputs, asked.target, *asked.extra_columns])))
    columns = _read(asked, model, inputs, source)
    raise_all(fault for name, tensor in inputs.items() for fault in _faults(columns[name], tensor))
    target = columns[asked.target]
    targets.check_complete(target)
    task, task_from = _task(asked, model, target)
    values, described, classes = targets.labels(target, task)
    labels = values.to_numpy(zero_copy_only=False)
    counts = Counter(labels.tolist()) if classes else Counter()
    stored = {name: columns[name].stored() for name in inputs}
    dataset = Dataset(
        features=[_feature(columns[name], tensor) for name, tensor in inputs.items()],
        target=described,
        task=task,
        task_from=task_from,
        classes=classes,
        positive_class=targets.positive_class(asked.positive_class, _both(classes, model), counts),
        rows=0,
    )
    facts = SourceFacts(
        source=places.public(uri),
        digest=source.digest,
        format=source.format,
        rows=Rows(train=0, holdout=len(values)),
        class_counts=ClassCounts(train=[0] * len(classes), holdout=[counts[each] for each in classes])
        if classes
        else None,
        stratified=False,
        notes=source.notes,
        duplicates=_duplicates(stored, values),
        leaks=[],
        dvc=source.dvc,
    )
    others = extras.read(source, [name for name in asked.extra_columns if name not in stored], {})
    return pa.table({**stored, asked.target: values, **others}), dataset, facts


def _inputs(asked: Evaluation, model: Declared, present: list[str]) -> dict[str, Tensor]:
    """Which columns the model takes, each with the input that it goes to."""
    _check_present([asked.target], "evaluate.target", "TargetMissing", present)
    _check_present(asked.extra_columns, "evaluate.extraColumns", "FeatureMissing", present)
    if asked.target in asked.extra_columns:
        raise InputError(
            "DocumentInvalid", "evaluate.extraColumns names the target, which gates have anyway."
        )
    by_column = {tensor.name: tensor for tensor in model.inputs}
    if len(model.inputs) > 1 or model.inputs[0].name in present:
        _check_present(list(by_column), "an input of the model", "FeatureMissing", present)
        found = by_column
    else:
        found = _of_matrix(asked, model, model.inputs[0], present)
    if asked.target in found:
        raise InputError("DocumentInvalid", f"The model takes the target {asked.target!r} as an input.")
    return found


def _of_matrix(asked: Evaluation, model: Declared, matrix: Tensor, present: list[str]) -> dict[str, Tensor]:
    """The columns of the one matrix that the model takes."""
    if model.features:
        _check_present(model.features, "a feature that the model names", "FeatureMissing", present)
    columns = model.features or [
        name for name in present if name != asked.target and name not in asked.extra_columns
    ]
    width = matrix.shape[1] if len(matrix.shape) == 2 else 0
    if width in (-1, len(columns)) and len(set(columns)) == len(columns) > 0:
        return dict.fromkeys(columns, matrix)
    takes = f"The model takes one matrix {matrix.name!r} of shape {list(matrix.shape)}"
    if model.features:
        raise InputError(
            "FeatureMissing",
            f"{takes}, and its property dev.modelwright.features names {len(columns)} columns: {listing(columns)}. "
            "It has to name each column of the matrix once: export the model again.",
        )
    raise InputError(
        "FeatureMissing",
        f"{takes} and names no columns, so it is given all but the target and evaluate.extraColumns, in their order. "
        f"These are {len(columns)}: {listing(columns)}. Leave other columns out of the data, or name them in "
        "evaluate.extraColumns.",
    )


def _check_present(wanted: list[str], what: str, reason: str, present: list[str]) -> None:
    absent = [name for name in wanted if name not in present]
    if absent:
        hints = "".join(suggestion(name, present) for name in absent[:3])
        raise InputError(
            reason,
            f"The data lacks columns: {listing(absent)} ({what}).{hints} Its columns are {listing(present)}.",
        )


def _read(asked: Evaluation, model: Declared, inputs: dict[str, Tensor], source: Source) -> dict[str, Column]:
    """The columns; those that go to an input of texts as texts, whatever they look like."""
    texts = [name for name, tensor in inputs.items() if tensor.datatype == "BYTES"]
    labels = [asked.target] if model.classes and isinstance(model.classes[0], str) else []
    read = read_columns(
        source.table,
        [*inputs, asked.target],
        {name: ColumnRule(type="string") for name in (*texts, *labels)},
        untyped=source.format == "csv",
        delimiter=source.delimiter,
        labels={asked.target},
    )
    return {
        name: _dated(column, written)
        if name in inputs and (written := inputs[name].format) in FORMATS
        else column
        for name, column in read.items()
    }


def _dated(column: Column, written: str) -> Column:
    """A column of texts as dates of a format."""
    values, unfit = dates.values(column.stored(), written)
    return replace(column, type="date", values=values.dictionary_encode(), unfit=unfit, format=written)


def _faults(column: Column, tensor: Tensor) -> Iterator[ColumnError]:
    """What keeps the model from taking a column."""
    takes = f"Column {column.name!r} goes to the model's input {tensor.name!r} of {tensor.datatype}"
    if tensor.datatype == "BYTES":
        if column.unfit.any():
            where = row_listing(column.unfit)
            yield ColumnError(
                "SchemaViolation",
                f"{takes}, which takes dates of the format {column.format}, but not so {where}",
                REMEDY,
            )
        return
    if column.kind != "numeric":
        first = column.written()[0].as_py()
        yield ColumnError("SchemaViolation", f"{takes}, but it holds text such as {first!r:.60}", REMEDY)
        return
    if fault := rules.out_of_range(column):
        yield fault
    elif tensor.datatype[:2] != "FP":
        numbers = column.numbers()
        broken = ~np.isfinite(numbers) | (numbers != np.floor(numbers))
        if tensor.datatype == "BOOL":
            broken |= ~np.isin(numbers, (0, 1))
        if broken.any():
            yield ColumnError("SchemaViolation", f"{takes}, which cannot hold {row_listing(broken)}", REMEDY)


def _feature(column: Column, tensor: Tensor) -> Feature:
    if tensor.datatype != "BYTES":
        return Feature(name=column.name, kind="numeric")
    return Feature(name=column.name, kind="date" if column.format else "categorical", format=column.format)


def _task(
    asked: Evaluation, model: Declared, target: Column
) -> tuple[Task, Literal["Run", "Target", "Model"]]:
    """What was asked for, else what the model says, else what the target's values look like."""
    said = TASKS.get(model.task) or ("Classification" if model.classes else None)
    if asked.task and said and asked.task != said:
        raise InputError(
            "DocumentInvalid", f"evaluate.task is {asked.task}, but the model says {said} of itself."
        )
    if asked.task:
        return asked.task, "Run"
    return (said, "Model") if said else (targets.decide(None, None, target)[0], "Target")


def _both(classes: list[Class] | None, model: Declared) -> list[Class] | None:
    """The classes among which one may be positive: those of the model, if it says."""
    return None if classes is None else sorted(model.classes or classes, key=str)


def _duplicates(features: dict[str, ArrowArray], target: ArrowArray) -> Duplicates:
    equal = equal_rows.ids(features.values())
    both = equal_rows.ids([pa.array(equal), target])
    sets, distinct = len(np.unique(equal)), len(np.unique(both))
    return Duplicates(rows=len(equal) - distinct, ambiguous=distinct - sets, across=0)
