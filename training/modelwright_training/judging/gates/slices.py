"""Finds the rows of a slice: those with some values in some columns, features or others that the hold-out has."""

from typing import Any

import numpy as np
import pandas as pd

from modelwright_training.documents import Gate
from modelwright_training.errors import listing, suggestion
from modelwright_training.judging.gates.evidence import Unmeasurable
from modelwright_training.judging.gates.world import World
from modelwright_training.judging.scored import Mask

FLAGS = {"true": 1.0, "false": 0.0}


def rows_of(gate: Gate, world: World) -> Mask | None:
    """The rows of the hold-out that are in a gate's slice; None if it has none.

    Raises: Unmeasurable for a column that is not there, and for values that no row has."""
    return rows_in(gate, world.frame, "the hold-out")


def rows_in(gate: Gate, frame: pd.DataFrame, where: str) -> Mask | None:
    """The same for other rows. `where`: what they are.

    Raises: Unmeasurable for a column that is not there, and for values that no row has."""
    if gate.slice is None:
        return None
    masks = [_equal(column(frame, name, where), value, where) for name, value in gate.slice.items()]
    mask: Mask = np.logical_and.reduce(masks)
    if not mask.any():
        raise Unmeasurable("SliceEmpty", f"no row of {where} has {_words(gate.slice)} at once")
    return mask


def column(frame: pd.DataFrame, name: str, where: str = "the hold-out") -> "pd.Series[Any]":
    """A column of the hold-out, by its name.

    Raises: Unmeasurable if it is not there."""
    if name in frame.columns:
        return frame[name]
    names = [str(column) for column in frame.columns]
    raise Unmeasurable(
        "ColumnNotFound",
        f"{where} has no column {name!r}.{suggestion(name, names)} It has the features, and the columns of "
        "data.holdout.extraColumns."
        if where == "the hold-out"
        else f"{where} have no column {name!r}: they have the features only.",
    )


def count(mask: Mask | None, frame: pd.DataFrame) -> int:
    """How many rows there are in a slice, or in all."""
    return len(frame) if mask is None else int(mask.sum())


def _equal(values: "pd.Series[Any]", value: int | str, where: str) -> Mask:
    """The rows with a value: numbers are compared as numbers, texts as texts. No text is a missing one."""
    name = values.name
    if pd.api.types.is_numeric_dtype(values.dtype):
        number = _number(value)
        if number is None:
            raise Unmeasurable("ValueNotFound", f"column {name!r} holds numbers, and {value!r} is none")
        mask = (values == number).to_numpy(dtype=bool)
    else:
        texts = values.fillna("")
        mask = (texts == str(value)).to_numpy(dtype=bool)
    if mask.any():
        return mask
    raise Unmeasurable(
        "ValueNotFound", f"no row of {where} has {value!r} in column {name!r}{_known(values, value)}"
    )


def _number(value: int | str) -> int | float | None:
    """A whole number stays exact: beyond 2^53 a float would be another one."""
    if isinstance(value, int):
        return value
    try:
        return FLAGS[value.lower()] if value.lower() in FLAGS else float(value)
    except ValueError:
        return None


def _known(values: "pd.Series[Any]", value: int | str) -> str:
    """What else the column holds, as the end of a sentence."""
    most = [str(found) for found in values.value_counts().index[:200]]
    close = suggestion(str(value), most)
    return f".{close}" if close else f"; it has {listing(most, 5)}"


def _words(chosen: dict[str, int | str]) -> str:
    return " and ".join(f"{name}={value!r}" for name, value in chosen.items())
