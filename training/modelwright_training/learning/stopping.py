"""Ends boosting before its last round: which estimators can, on which rows the rounds are scored."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modelwright_training.documents import EarlyStopping
from modelwright_training.errors import InputError, listing
from modelwright_training.message import Json
from modelwright_training.untyped import Estimator

Array = npt.NDArray[Any]

# scikit-learn's estimators that score their rounds on rows of their own, and what else switches that on.
OWN: dict[str, Json] = {
    "HistGradientBoostingClassifier": {"early_stopping": True},
    "HistGradientBoostingRegressor": {"early_stopping": True},
    "GradientBoostingClassifier": {},
    "GradientBoostingRegressor": {},
}


@dataclass(frozen=True)
class Stopping:
    """Boosting ends once `rounds` rounds have not bettered the score of a `fraction` of the rows to learn from."""

    rounds: int
    fraction: float
    seed: int

    def split(self, target: Array, classes: bool) -> tuple[Array, Array]:
        """Row numbers to learn from and to score: of each class the same share, and at least one to learn from."""
        random = np.random.default_rng(self.seed)
        every = np.arange(len(target))
        parts = [np.flatnonzero(target == value) for value in np.unique(target)] if classes else [every]
        chosen = [
            random.permutation(part)[: min(round(self.fraction * len(part)), len(part) - 1)] for part in parts
        ]
        scored = np.sort(np.concatenate(chosen))
        if not len(scored):
            raise InputError(
                "BadParameters",
                f"earlyStopping.fraction {self.fraction:g} of {len(target)} rows leaves no row to score. "
                "Give more rows or a larger fraction, or remove earlyStopping.",
            )
        return np.setdiff1d(every, scored), scored


def set_up(estimator: Estimator, asked: EarlyStopping | None, seed: int) -> None:
    """Let an estimator that is not fitted yet end early, or BadParameters where it has no rounds."""
    if asked is None:
        return
    kind = type(estimator).__name__
    if hasattr(estimator, "stopping"):
        _check(estimator)
        estimator.stopping = Stopping(asked.rounds, asked.fraction, seed)
    elif kind in OWN:
        estimator.set_params(**OWN[kind], n_iter_no_change=asked.rounds, validation_fraction=asked.fraction)
    else:
        raise InputError(
            "BadParameters",
            f"trainer.sklearn.earlyStopping is for boosting, which {kind} is not. Remove it, or use one of LightGBM's "
            f"and XGBoost's estimators or {listing(sorted(OWN))}.",
        )


def _check(estimator: Estimator) -> None:
    given = estimator.get_params(deep=False)
    for name, values in estimator.ENDLESS.items():
        if given.get(name) in values:
            raise estimator.refusal(f"earlyStopping and {name} {given[name]!r}", "Remove one of them.")


def rounds_of(fitted: Estimator) -> int | None:
    """How many rounds of boosting a model predicts with; None if it knows none."""
    found = (getattr(fitted, name, None) for name in ("rounds", "n_iter_", "n_estimators_"))
    return next((int(number) for number in found if number is not None), None)
