"""What a card is made of: sections of sentences, lists, tables and figures. Their texts are not escaped yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list, one line each."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table. Every row has as many cells as the head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Line:
    """Points of a figure that a line connects, left to right. `name`: for the legend."""

    points: Sequence[tuple[float, float]]
    name: str = ""


@dataclass(frozen=True)
class Curves:
    """A figure of lines over 0 to 1 on both axes. `diagonal`: with the line of equal values."""

    caption: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    diagonal: bool = False


@dataclass(frozen=True)
class Bar:
    """A value with the ends of its interval, if it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bars:
    """A figure of horizontal bars with error bars."""

    caption: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Matrix:
    """A figure of a confusion matrix: a row per true class, a column per answered class."""

    caption: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


Figure: TypeAlias = Curves | Bars | Matrix
Block: TypeAlias = Text | Items | Table | Figure


@dataclass(frozen=True)
class Section:
    """A part of a card. Without blocks it is left out."""

    title: str
    blocks: Sequence[Block] = field(default=())
