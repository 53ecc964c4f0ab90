"""What a dashboard is: rows of panels, each with its queries, and the variables that they are filtered by."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table"]


@dataclass(frozen=True)
class Query:
    """A question to Prometheus. `legend`: the name of each series; {{label}} stands for the value of a label."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A picture of some queries. `unit`: as Grafana calls it. `most`: the upper end of the axis, None for any.

    `hidden`: labels that a table leaves out.
    """

    title: str
    queries: tuple[Query, ...]
    description: str
    unit: str = "short"
    kind: Kind = "timeseries"
    most: float | None = None
    stacked: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """Panels beside each other, under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the head of a dashboard, of the values of a label. `regex`: what of a value is taken."""

    name: str
    label: str
    query: str
    many: bool = False
    regex: str = ""


@dataclass(frozen=True)
class Dashboard:
    """A page. `name`: of its file, and the end of its address."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of its panels."""
        return tuple(panel for row in self.rows for panel in row.panels)


def graph(
    title: str, description: str, *queries: tuple[str, str], unit: str = "short", **more: object
) -> Panel:
    """A graph of expressions with their legends."""
    return Panel(title, tuple(Query(*query) for query in queries), description, unit, **more)  # type: ignore[arg-type]


def number(title: str, description: str, expression: str, legend: str = "", *, unit: str = "short") -> Panel:
    """The newest value, large."""
    return Panel(title, (Query(expression, legend),), description, unit, kind="stat")


def table(title: str, description: str, expression: str, *, unit: str = "") -> Panel:
    """The labels of the newest samples, and with a unit their values."""
    hidden = ("Time",) if unit else ("Time", "Value")
    return Panel(title, (Query(expression),), description, unit or "short", kind="table", hidden=hidden)
