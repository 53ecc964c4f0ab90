"""Counts what the model has predicted for callers while a rollout is analysed, to compare two revisions.

It needs no profile, so it is coarser than the windows. Counting begins when the view of the rollout is first asked for,
ends when it has not been for a while, and goes on where it was when it is asked for again: counts only grow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
import numpy.typing as npt

from modelwright_serving import logs
from modelwright_serving.oip.errors import OipError
from modelwright_serving.predictions import Predictions
from modelwright_serving.runs import Outcome
from modelwright_serving.watching.budget import Budget

CELLS = 20
# Of the time: runs beyond it are left out.
SHARE = 0.01
# Without being asked for so long, counting ends. Seconds.
PATIENCE = 60.0
MAX_CLASSES = 32
# Of one run: rows are spread over it.
MAX_ROWS = 1024

Sizes = npt.NDArray[np.int64]


class Predicted:
    """The predictions of one model, by label and by cells of the probability. Belongs to the event loop."""

    def __init__(self) -> None:
        self._predictions: Predictions | None = None
        self._budget = Budget(perf_counter(), SHARE)
        self._until = 0.0
        self._labels = np.zeros(0, np.int64)
        self._cells = np.zeros(CELLS, np.int64)
        self.requests = 0
        self.rows = 0
        self.squares = 0

    def follow(self, predictions: Predictions | None) -> None:
        """The model is there; nothing is counted of a regression, and of many classes."""
        known = predictions is not None and 0 < len(predictions.classes) <= MAX_CLASSES
        self._predictions = predictions if known else None
        self._labels = np.zeros(MAX_CLASSES, np.int64)

    def asked(self) -> None:
        """Count from now on."""
        self._until = perf_counter() + PATIENCE

    @property
    def active(self) -> bool:
        """Whether anyone wants these counts."""
        return self._until > 0.0

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Count these runs, as far as there is time."""
        started = perf_counter()
        if started > self._until:
            self._until = 0.0
            return
        predictions = self._predictions
        if predictions is None or not self._budget.allows(started):
            return
        try:
            for outcome in outcomes:
                if not isinstance(outcome.result, OipError):
                    self._take(outcome, predictions)
        except Exception as error:  # noqa: BLE001 - callers get their answers, whatever is wrong with counting
            self._predictions = None
            logs.event("predictions are counted no more", problem=f"{type(error).__name__}: {error}"[:300])
        self._budget.spend(perf_counter() - started)

    def _take(self, outcome: Outcome, predictions: Predictions) -> None:
        arrays = outcome.result
        if isinstance(arrays, OipError) or any(array.shape[:1] != (outcome.rows,) for array in arrays):
            return
        sizes = np.array([job.rows or outcome.rows for job in outcome.group], np.int64)
        chosen = np.arange(0, outcome.rows, -(-outcome.rows // MAX_ROWS) or 1)
        if any(job.ticket.is_copy for job in outcome.group):
            seen = np.repeat([not job.ticket.is_copy for job in outcome.group], sizes)
            chosen = chosen[seen[chosen]]
        if not len(chosen):
            return
        read = predictions.read(
            arrays if len(chosen) == outcome.rows else [array[chosen] for array in arrays]
        )
        of_request = np.bincount(np.searchsorted(np.cumsum(sizes), chosen, side="right"))
        self.requests += int((of_request > 0).sum())
        self.rows += len(chosen)
        self.squares += int((of_request**2).sum())
        labels = read.labels[read.labels >= 0]
        self._labels += np.bincount(labels, minlength=MAX_CLASSES)
        values = read.values[~np.isnan(read.values)]
        cells = np.minimum((values * CELLS).astype(np.int64), CELLS - 1)
        self._cells += np.bincount(cells, minlength=CELLS)

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """For the view of a rollout: name, labels and value. `classes` is equal for models with equal classes."""
        if self._predictions is None or not self.rows:
            return
        classes = self._predictions.meaning.hex()
        for name, label, counts in (
            ("predictions_total", "label", self._labels),
            ("prediction_cell", "cell", self._cells),
        ):
            for place, count in enumerate(counts.tolist()):
                if count:
                    yield name, {"classes": classes, label: str(place)}, count
        for kind in ("requests", "rows", "squares"):
            yield "predicted_total", {"kind": kind}, getattr(self, kind)
