"""What was measured for a gate, or why nothing was."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.tables import rounded
from modelwright_training.message import Json

MESSAGE = 1024


class Unmeasurable(Exception):  # noqa: N818 (no fault: a gate without a value)
    """Why a gate has no value: a word in CamelCase, and a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Evidence:
    """The numbers of a gate.

    `value`: what is judged: the metric, or with `reference` a difference, a ratio or a gap; then `measured` is the
    candidate's own value, and `against` names what it is compared with. `low`, `high`: the 95 % interval of `value`.
    `samples`: rows it was measured on; `smallest`: those of the smallest group. `reason`, `message`: why there is no
    value, or beside a value what a reader should know."""

    name: str
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    measured: float | None = None
    reference: float | None = None
    against: str | None = None
    samples: int | None = None
    smallest: int | None = None
    source: Literal["Measured", "Reported"] = "Measured"
    reason: str | None = None
    message: str | None = None

    def within(self, interval: Interval | None) -> "Evidence":
        """The same with the interval of its value."""
        return self if interval is None else replace(self, low=interval[0], high=interval[1])

    def document(self) -> Json:
        """As it stands in documents."""
        found = {own.name: getattr(self, own.name) for own in fields(self)}
        kept = {name: _bounded(value) for name, value in found.items() if value is not None}
        return kept if self.source == "Reported" else {key: kept[key] for key in kept if key != "source"}


def _bounded(value: object) -> object:
    if isinstance(value, float):
        return rounded(value)
    return f"{value[: MESSAGE - 3]}..." if isinstance(value, str) and len(value) > MESSAGE else value
