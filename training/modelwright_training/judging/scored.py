"""What a model answered for some rows, as metrics that are functions of the rows' weights.

A slice is a weight of zero for all other rows; the same weights for two models make a paired comparison."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from modelwright_training.judging import intervals
from modelwright_training.judging.intervals import Interval
from modelwright_training.judging.scorers import NAN, Codes, Floats, Scorer
from modelwright_training.onnxfile.predictions import Predictions

Mask = npt.NDArray[np.bool_]
# Which rows are scored.
Some = Mask | slice


@dataclass(frozen=True)
class Part:
    """Metrics that are computed together.

    `among`: makes the scorer of some of the rows, which takes their weights alone: of a small slice it is faster than
    weights of zero. `passes`: how many classes are gone through row by row."""

    names: tuple[str, ...]
    among: Callable[[Some], Scorer]
    passes: int = 1

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer of all rows."""
        return self.among(slice(None))


@dataclass(frozen=True, eq=False)
class Scored:
    """The metrics of a model on some rows.

    `groups`: the number of each row's group, if rows belong together. `why`: why a metric of the task is left out.
    `predictions`: what was answered; None of a baseline. `table`: the probabilities of a classifier, a column for each
    of its classes. `exact`: the interval of a metric that is 0 or 1 on some rows; None if it has none."""

    rows: int
    parts: tuple[Part, ...]
    groups: Codes | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    predictions: Predictions | None = None
    table: Floats | None = None
    exact: Callable[[str, float, Mask], Interval | None] = lambda _name, _value, _rows: None

    @property
    def names(self) -> list[str]:
        """The metrics that can have a value."""
        return [name for part in self.parts for name in part.names]

    def values(self, weights: Floats | None = None) -> dict[str, float]:
        """All metrics; NaN where one has no value for these weights. Default: each row counts once."""
        return self.scorer(self.names)(np.ones(self.rows) if weights is None else weights)

    def scorer(self, names: Sequence[str]) -> Scorer:
        """Some of the metrics, computed without the others as far as possible; NaN for one that the model has not."""
        chosen = [part for part in self.parts if set(names) & set(part.names)]

        def some(weights: Floats) -> dict[str, float]:
            found = dict.fromkeys(names, NAN)
            for part in chosen:
                values = part.scorer(weights)
                found |= {name: values[name] for name in names if name in part.names}
            return found

        return some

    def passes(self, names: Sequence[str]) -> int:
        """How many times computing some of the metrics goes over the rows because there are so many classes."""
        return sum(part.passes for part in self.parts if set(names) & set(part.names))

    def costly(self, names: Sequence[str]) -> bool:
        """Whether passes over the rows for many classes and each resample would take too long."""
        passes = max((part.passes for part in self.parts if set(names) & set(part.names)), default=0)
        return passes > 1 and self.rows * passes * intervals.LEAST > 4 * intervals.WORK
