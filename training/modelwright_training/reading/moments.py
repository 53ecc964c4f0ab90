"""Tells which rows are at or after a point of time, in a column of dates or of numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelwright_training.errors import InputError, row_listing
from modelwright_training.reading import dates
from modelwright_training.reading.column import Column

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]

WHERE = "data.holdout.after"
# A point may be written as the column writes its dates, or as ISO 8601 does.
ISO = ("YYYY-MM-DD", "YYYY-MM-DDThh:mm:ss", "YYYY-MM-DDThh:mm:ssZ")


def not_before(column: Column, point: str) -> Mask:
    """Which rows hold `point` or what is later. Refuses missing values, and a point that is not like the values."""
    if column.kind not in ("date", "numeric"):
        example = next((text for text in column.written().to_pylist() if text), "")
        raise _unsuitable(
            f"Column {column.name!r} has to hold dates or numbers, but it holds text such as {example!r:.60}."
        )
    absent = column.missing | column.unfit
    if absent.any():
        raise _unsuitable(
            f"Column {column.name!r} holds no {'date' if column.kind == 'date' else 'number'} in "
            f"{int(absent.sum())} rows: {row_listing(absent)}. Fill them or remove these rows."
        )
    if column.kind == "numeric":
        values, start = np.asarray(column.values), _number(point)
        example = str(values[0])
    else:
        texts, known = column.stored(), str(column.format)
        values, start = dates.instants(texts, known), _instant(point, known)
        example = texts[0].as_py()
    if start is None:
        raise _unsuitable(
            f"value {point!r} is not like the values of column {column.name!r}, such as {example!r}."
        )
    held: Mask = values >= start
    if not held.any():
        raise _unsuitable(
            f"Column {column.name!r} has no row at or after {point!r}; the last is {_written(column, values.argmax())}."
        )
    if held.all():
        raise _unsuitable(
            f"Column {column.name!r} has no row before {point!r}; the first is {_written(column, values.argmin())}."
        )
    return held


def _number(text: str) -> float | int | None:
    for kind in (int, float):
        try:
            number: float | int = kind(text)
        except ValueError:
            continue
        return number if np.isfinite(number) else None
    return None


def _instant(text: str, known: str) -> float | None:
    """Seconds since 1970 of a point in the column's format or an ISO one."""
    found = (dates.instants(pa.array([text.strip()]), name)[0] for name in (known, *ISO))
    return next((float(second) for second in found if not np.isnan(second)), None)


def _written(column: Column, row: np.intp) -> str:
    return repr(column.written()[int(row)].as_py())


def _unsuitable(message: str) -> InputError:
    return InputError("HoldoutUnsuitable", f"{WHERE}: {message}")
