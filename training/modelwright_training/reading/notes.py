"""What a reader should know of how columns were read: short sentences with the columns' names, most important first."""

from collections.abc import Iterable, Mapping

import pyarrow.compute as pc

from modelwright_training.documents import Task
from modelwright_training.reading import precision
from modelwright_training.reading.column import LEADING_ZERO, Column, is_text
from modelwright_training.reading.featuring import Featured
from modelwright_training.reading.names import shown

# Columns that are named in a note; the others are counted.
NAMED = 5
# From this share of numbers on, a column of text is worth a note.
MOSTLY = 0.5


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
    return found


def of_target(target: Column, task: Task) -> list[str]:
    """What was decided about the target."""
    if task == "Classification":
        return []
    notes = _conventions([target], "the model answers")
    if lost := precision.measure(target.present()):
        constant = "a constant" if lost.offset is None else lost.offset
        notes.append(
            f"the target {shown(target.name)} has {lost.different} different values, of which answers in float32 tell "
            f"{lost.kept} apart: subtract {constant} from it"
        )
    return notes


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
    place = next((place for place, gone in enumerate(column.missing.tolist()) if not gone), 0)
    value, written = column.values[place].as_py(), column.written()[place].as_py()
    return f"{value:.15g} for {written!r}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
