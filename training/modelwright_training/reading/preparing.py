"""Checks the columns of the data against the run document and decides what each of them is to a model.

Where the data comes from and where the rows are written is left to the step."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelwright_training.documents import (
    Class,
    ClassCounts,
    Data,
    Dataset,
    Origin,
    Rows,
    RunDocument,
    SourceFacts,
    Task,
)
from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.reading import extras, leaks, names, notes, own_holdout, places, rules, targets
from modelwright_training.reading.column import Column
from modelwright_training.reading.columns import read_columns
from modelwright_training.reading.faults import ColumnError, raise_all
from modelwright_training.reading.featuring import featured
from modelwright_training.reading.holdout import Split, Table, split
from modelwright_training.reading.identifiers import why_identifier
from modelwright_training.reading.sources import Source
from modelwright_training.untyped import ArrowArray, ArrowTable


def prepare(
    document: RunDocument, by_estimator: Task | None, source: Source, own: Source | None = None
) -> tuple[ArrowTable, Dataset, SourceFacts, Split]:
    """Check the data and choose the hold-out: the whole table, what is in it, its origin, and the rows of each side.

    own: a hold-out of the user's own. Its rows come after those of the data in the table."""
    data, after, extra = document.data, document.data.holdout.after, document.data.holdout.extra_columns
    wanted = _features(data, source.table.column_names, own is not None)
    others = [data.weight, after.column if after else None]
    used = list(dict.fromkeys([*wanted, data.target, *(name for name in others if name)]))
    raise_all(names.check(dict.fromkeys([*used, *extra])))
    ruled = {name: rule for name, rule in data.rules.items() if name in used or name not in extra}
    columns = read_columns(
        source.table,
        dict.fromkeys([*used, *ruled]),
        ruled,
        untyped=source.format == "csv",
        delimiter=source.delimiter,
        labels={data.target, data.weight or data.target},
    )
    rules.check(columns, ruled)
    identifiers = _identifiers(data, [columns[name] for name in wanted])
    own_rows = own.table.num_rows if own else 0
    if own and own.digest == source.digest:
        message = "data.holdout.uri holds the same bytes as data.uri, so no row is held out. Name other rows."
        raise InputError("HoldoutUnsuitable", message)
    if own:
        columns, kept = own_holdout.joined(columns, wanted, data.target, own, data.rules, extra)
    else:
        kept = extras.read(source, extra, data.rules)
    target = columns[data.target]
    targets.check_complete(target)
    raise_all(error for name in [*wanted, target.name] if (error := rules.out_of_range(columns[name])))
    features = featured([columns[name] for name in wanted if name not in identifiers])
    task, task_from = targets.decide(document.task, by_estimator, target)
    values, described, classes = targets.labels(target, task)
    weights = {data.weight: _weights(columns[data.weight], own_rows)} if data.weight else {}
    labels = values.to_numpy(zero_copy_only=False)
    sides = Table(
        features={each.feature.name: each.column.values for each in features},
        target=values,
        classification=classes is not None,
        group=_texts(source.table, data.holdout.group),
        key=_texts(source.table, data.holdout.key),
        after=columns[after.column] if after else None,
        own=own_rows,
    )
    chosen = split(data.holdout, sides)
    suspected = leaks.find(
        [each.column for each in features], values, bool(classes), chosen, data.leak_check.threshold
    )
    counts = Counter(labels.tolist()) if classes else Counter()
    dataset = Dataset(
        features=[each.feature for each in features],
        target=described,
        task=task,
        task_from=task_from,
        classes=classes,
        positive_class=targets.positive_class(data.positive_class, classes, counts),
        weight=data.weight,
        rows=len(chosen.train),
    )
    facts = SourceFacts(
        source=places.public(data.uri),
        digest=source.digest,
        format=source.format,
        rows=Rows(train=len(chosen.train), holdout=len(chosen.holdout)),
        class_counts=_class_counts(labels, classes, chosen) if classes else None,
        stratified=chosen.stratified,
        notes=[
            *leaks.tell(suspected, data.leak_check),
            *chosen.notes,
            *notes.of_identifiers(identifiers),
            *notes.of_features(features),
            *notes.of_target(target, task),
            *source.notes,
            *(own_holdout.unused(own, source, extra) if own else []),
        ],
        duplicates=chosen.duplicates,
        leaks=suspected,
        group=data.holdout.group,
        holdout=Origin(source=places.public(data.holdout.uri or ""), digest=own.digest, format=own.format)
        if own
        else None,
        dvc=source.dvc,
    )
    table = pa.table(
        {**{each.feature.name: each.values for each in features}, target.name: values, **weights}
    )
    if sides.group is not None and data.holdout.group not in [*table.column_names, *kept]:
        table = table.append_column(data.holdout.group, sides.group)
    for name, of_gates in kept.items():
        table = table.append_column(name, of_gates)
    return table, dataset, facts, chosen


def _class_counts(labels: "np.ndarray[Any, Any]", classes: list[Class], chosen: Split) -> ClassCounts:
    train, holdout = (Counter(labels[rows].tolist()) for rows in (chosen.train, chosen.holdout))
    return ClassCounts(train=[train[each] for each in classes], holdout=[holdout[each] for each in classes])


def _features(data: Data, present: list[str], own: bool) -> list[str]:
    """The names of the features; refuses names that the data does not have.

    own: there is a hold-out of the user's own, so what gates need has to be there, not in the data."""
    if data.target not in present:
        raise InputError(
            "TargetMissing",
            f"The data has no column {data.target!r} (data.target).{suggestion(data.target, present)} "
            f"Its columns are {listing(present)}.",
        )
    extra = data.holdout.extra_columns
    asked: dict[str, list[str]] = {
        "data.features": data.features or [],
        "data.exclude": data.exclude,
        "data.weight": [data.weight] if data.weight else [],
        "data.schema": [name for name in data.rules if name not in extra],
        "data.holdout.after": [data.holdout.after.column] if data.holdout.after else [],
        "data.holdout.group": [data.holdout.group] if data.holdout.group else [],
        "data.holdout.key": [data.holdout.key] if data.holdout.key else [],
        extras.WHERE: [] if own else extra,
    }
    absent = {where: [name for name in listed if name not in present] for where, listed in asked.items()}
    if any(absent.values()):
        what = "; ".join(f"{where} names {listing(listed)}" for where, listed in absent.items() if listed)
        hints = "".join(suggestion(name, present) for listed in absent.values() for name in listed[:3])
        raise InputError(
            "FeatureMissing",
            f"Columns are named that the data does not have: {what}.{hints} Its columns are {listing(present)}.",
        )
    out = {data.target, data.weight, data.holdout.group, data.holdout.key, *data.exclude, *extra}
    features = data.features or [name for name in present if name not in out]
    if not features:
        raise InputError(
            "FeatureMissing",
            f"The data has only the target {data.target!r} and what is left out; there is nothing to predict from.",
        )
    if len(features) > names.MAX_FEATURES:
        raise InputError(
            "TooManyFeatures",
            f"The data has {len(features)} features; a model takes at most {names.MAX_FEATURES}. "
            "Name those that matter in data.features.",
        )
    return features


def _identifiers(data: Data, features: list[Column]) -> Mapping[str, str]:
    """Which features are left out because they only name rows, and why; refuses those that are asked for."""
    found = {
        column.name: why
        for column in features
        if not (column.asked and column.kind == "numeric") and (why := why_identifier(column))
    }
    if found and data.features:
        raise_all(
            ColumnError(
                "IdentifierColumn",
                f"Column {name!r} is an identifier ({why})",
                "Nothing is learnt from it that holds for other rows: take it out of data.features. Whole numbers that "
                "are quantities are learnt from with data.schema {NAME: {type: integer}}, language with {type: text}.",
            )
            for name, why in found.items()
        )
    if len(found) == len(features):
        listed = "; ".join(f"{name!r}: {why}" for name, why in list(found.items())[:20])
        raise InputError(
            "FeatureMissing",
            f"All columns but the target are identifiers, so nothing is left to learn from ({listed}).",
        )
    return found


def _weights(column: Column, own_rows: int) -> ArrowArray:
    """The weights of the rows: float64, finite, not negative, not all 0; 1 for rows of a hold-out of the user's own."""
    fault = None
    if column.kind != "numeric":
        fault = f"it holds text such as {column.written()[0].as_py()!r:.60}"
    else:
        numbers = column.numbers()
        bad = ~(np.isfinite(numbers) & (numbers >= 0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            shown = "a missing value" if column.missing[row] else f"{numbers[row]:g}"
            count = int(bad.sum())
            fault = (
                f"{count} rows have no number of at least 0 there, the first is row {row + 1} with {shown}"
            )
        elif not numbers.any():
            fault = "all are 0"
    if fault:
        raise InputError(
            "WeightUnsuitable", f"Column {column.name!r} cannot weigh rows (data.weight): {fault}."
        )
    weights = pc.cast(column.values, pa.float64(), safe=False)
    return pa.concat_arrays([weights, pa.array(np.ones(own_rows))])


def _texts(table: ArrowTable, name: str | None) -> ArrowArray | None:
    """A column as text, without blanks around it, empty where missing."""
    if name is None:
        return None
    values = table[name]
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    try:
        return pc.fill_null(pc.utf8_trim_whitespace(values.cast(pa.string())), "")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InputError(
            "HoldoutUnsuitable",
            f"Column {name!r} (data.holdout) is of type {values.type}, which cannot be compared.",
        ) from error
