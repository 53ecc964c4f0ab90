"""Checks the columns of the data against the run document and decides what each of them is to a model.

Where the data comes from and where the rows are written is left to the step."""

from typing import Any

import pandas as pd

from modelwright_training.documents import (
    Class,
    ClassCounts,
    Data,
    Dataset,
    Feature,
    Rows,
    RunDocument,
    SourceFacts,
    Task,
)
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.reading import rules, sources, targets
from modelwright_training.reading.columns import Column, asked_type, read_column
from modelwright_training.reading.sources import Source
from modelwright_training.reading.split import Split, split

MAX_CATEGORIES = 1000


def prepare(
    document: RunDocument, by_estimator: Task | None, source: Source
) -> tuple[pd.DataFrame, Dataset, SourceFacts, Split]:
    """Check the data and choose the hold-out: the whole table, what is in it, its origin, and the rows of each side."""
    data = document.data
    features = _features(data, source.table.column_names)
    wanted = dict.fromkeys([*features, data.target, *data.rules])
    untyped = source.format == "csv"
    columns = {
        name: read_column(name, source.table[name], asked_type(data.rules.get(name)), untyped)
        for name in wanted
    }
    rules.check(columns, data.rules)
    for name in features:
        _check_feature(columns[name])
    target = columns[data.target]
    targets.check_complete(target)
    rules.check_range(target)
    task, task_from = targets.decide(document.task, by_estimator, target)
    values, described, classes = targets.labels(target, task)
    chosen = split(len(values), data.holdout, values.to_numpy() if classes else None)
    dataset = Dataset(
        features=[Feature(name=name, kind=columns[name].kind) for name in features],
        target=described,
        task=task,
        task_from=task_from,
        classes=classes,
        rows=len(chosen.train),
    )
    facts = SourceFacts(
        source=sources.public(data.uri),
        digest=source.digest,
        format=source.format,
        rows=Rows(train=len(chosen.train), holdout=len(chosen.holdout)),
        class_counts=_class_counts(values, classes, chosen) if classes else None,
        stratified=chosen.stratified,
        notes=[*source.notes, *([chosen.note] if chosen.note else [])],
    )
    frame = pd.DataFrame({**{name: columns[name].values for name in features}, data.target: values})
    return frame, dataset, facts, chosen


def _class_counts(values: "pd.Series[Any]", classes: list[Class], chosen: Split) -> ClassCounts:
    train, holdout = (
        [int(count) for count in values.iloc[rows].value_counts().reindex(classes, fill_value=0)]
        for rows in (chosen.train, chosen.holdout)
    )
    return ClassCounts(train=train, holdout=holdout)


def _features(data: Data, present: list[str]) -> list[str]:
    """The names of the features; refuses names that the data does not have."""
    if data.target not in present:
        raise InputError(
            "TargetMissing",
            f"The data has no column {data.target!r} (data.target).{suggestion(data.target, present)} "
            f"Its columns are {listing(present)}.",
        )
    for where, names in (("data.features", data.features or []), ("data.schema", list(data.rules))):
        absent = [name for name in names if name not in present]
        if absent:
            hint = suggestion(absent[0], present)
            message = f"{where} names columns that the data does not have: {listing(absent)}.{hint} "
            raise InputError("FeatureMissing", f"{message}Its columns are {listing(present)}.")
    features = data.features or [name for name in present if name != data.target]
    if not features:
        raise InputError(
            "FeatureMissing",
            f"The data has only the target {data.target!r}; there is nothing to predict from.",
        )
    return features


def _check_feature(column: Column) -> None:
    rules.check_range(column)
    count = column.values.nunique() if column.kind == "categorical" else 0
    if count > MAX_CATEGORIES:
        raise InputError(
            "TooManyCategories",
            f"Column {column.name!r} holds {count} different texts such as {column.values.iloc[0]!r:.60}; "
            f"at most {MAX_CATEGORIES} make a category. Is it an identifier? Leave it out with data.features.",
        )
