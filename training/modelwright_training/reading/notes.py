"""What a reader should know of how columns were read: short sentences with the columns' names, most important first."""

from collections.abc import Iterable, Mapping

import pyarrow.compute as pc

from modelwright_training.documents import Task
from modelwright_training.reading import precision
from modelwright_training.reading.column import LEADING_ZERO, MISSING, MOSTLY, Column, is_text
from modelwright_training.reading.featuring import Featured
from modelwright_training.reading.names import shown

# Columns that are named in a note; the others are counted.
NAMED = 5


def of_identifiers(found: Mapping[str, str]) -> list[str]:
    """Which columns were left out, and why."""
    why = [f"{shown(name)} ({reason})" for name, reason in found.items()]
    return [f"left out as identifiers: {_some(why)}"] if found else []


def of_features(features: Iterable[Featured]) -> list[str]:
    """What was decided about features that a reader may not expect."""
    features = list(features)
    found = [_precision(each) for each in features if each.precision]
    found += _conventions([each.column for each in features])
    for each in features:
        if each.feature.categories is not None:
            texts = len(each.column.texts[0])
            kept = len(each.feature.categories)
            found.append(
                f"{shown(each.feature.name)}: {kept} of {texts} texts are told apart, the rare ones are alike"
            )
    found += [
        f"Column {shown(each.feature.name)} is text: the model counts its words."
        for each in features
        if each.feature.kind == "text" and not each.column.asked
    ]
    zeros = [each.column.name for each in features if _has_leading_zeros(each.column)]
    if zeros:
        found.append(
            f"numbers, though cells begin with 0, which type: string keeps: {_some(map(shown, zeros))}"
        )
    blanks = [each.column.name for each in features if _differs_in_blanks(each.column)]
    if blanks:
        found.append(f"categories that differ only in blanks are different: {_some(map(shown, blanks))}")
    mostly = [each.column.name for each in features if each.column.numeric >= MOSTLY]
    if mostly:
        found.append(
            f"learnt as categories, though their cells look like numbers: {_some(map(shown, mostly))}"
        )
    single = [each.column.name for each in features if _has_one_value(each.column)]
    if single:
        found.append(
            f"one value, or none, in all rows, so nothing is learnt from: {_some(map(shown, single))}"
        )
    return found


def of_target(target: Column, task: Task) -> list[str]:
    """What was decided about the target."""
    if task == "Classification":
        return _classes(target) if target.kind == "categorical" else []
    notes = _conventions([target], "the model answers")
    if lost := precision.measure(target.present()):
        constant = "a constant" if lost.offset is None else lost.offset
        notes.append(
            f"the target {shown(target.name)} has {lost.different} different values, of which answers in float32 tell "
            f"{lost.kept} apart: subtract {constant} from it"
        )
    return notes


def _classes(target: Column) -> list[str]:
    """Classes that may be mistakes: words for a missing value, and labels that differ only in letter case."""
    labels = target.texts[0].to_pylist()
    words = [
        f"{label!r} is a class of {shown(target.name)}"
        for label in labels
        if label.strip().lower() in MISSING
    ]
    notes = [f"{_some(words)}: if it stands for a missing target, leave these rows out"] if words else []
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(label.casefold(), []).append(repr(label))
    alike = [" and ".join(each) for each in spellings.values() if len(each) > 1]
    return [
        *notes,
        *([f"classes that differ only in letter case are different: {_some(alike)}"] if alike else []),
    ]


def _has_one_value(column: Column) -> bool:
    """Whether the cells that are not missing are all alike."""
    if column.kind != "numeric":
        return len(column.texts[0]) < 2
    bounds = pc.min_max(column.values)
    return bool(bounds["min"].as_py() == bounds["max"].as_py())


def _precision(each: Featured) -> str:
    lost, name = each.precision, shown(each.feature.name)
    assert lost is not None  # noqa: S101 (chosen by the caller)
    if each.feature.datatype is None:
        return f"{name}: float32 tells {lost.kept} of its {lost.different} values apart"
    return (
        f"{name}: float32 tells {lost.kept} of its {lost.different} values apart; with {lost.offset} subtracted "
        f"{lost.kept_with_offset}. Callers send {each.feature.datatype}"
    )


def _has_leading_zeros(column: Column) -> bool:
    """Whether digits of a code, such as a zip code, are lost where it becomes a number."""
    if column.asked or column.type != "integer" or not is_text(column.raw.type):
        return False
    return bool(pc.any(pc.match_substring_regex(column.raw, LEADING_ZERO)).as_py())


def _differs_in_blanks(column: Column) -> bool:
    if column.kind != "categorical":
        return False
    texts = column.texts[0]
    return len(pc.unique(pc.utf8_trim_whitespace(texts))) < len(texts)


def _conventions(columns: Iterable[Column], who: str = "callers send") -> list[str]:
    """Columns whose numbers are not written as JSON writes them, together where they are alike."""
    alike: dict[tuple[str, str], list[Column]] = {}
    for column in columns:
        if column.decided or not column.convention.plain:
            words = column.convention.words() or "decimal points"
            alike.setdefault((words, column.decided), []).append(column)
    return [
        f"{_some(shown(column.name) for column in group)} read with {words}{f', {why}' if why else ''}: "
        f"{who} {_example(group[0])}"
        for (words, why), group in alike.items()
    ]


def _example(column: Column) -> str:
    there = [place for place, gone in enumerate(column.missing.tolist()) if not gone]
    marked = pc.match_substring_regex(column.written(), r"[0-9][^0-9 ][0-9]").to_pylist()
    place = next((place for place in there if marked[place]), there[0] if there else 0)
    value, written = column.values[place].as_py(), column.written()[place].as_py()
    return f"{value:.15g} for {written!r}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
