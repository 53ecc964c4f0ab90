"""Weights of rows in training (data.weight): which estimators take them."""

import inspect

from modelwright_training.errors import InputError
from modelwright_training.untyped import Estimator

# They hand what fit is given to the estimators within.
HANDING_ON = frozenset({"StackingClassifier", "StackingRegressor", "VotingClassifier", "VotingRegressor"})


def check(estimator: Estimator, column: str) -> None:
    """Refuse an estimator that cannot weigh rows: leaving the weights out would train another model in silence."""
    if not takes_weights(estimator):
        raise InputError(
            "BadParameters",
            f"{type(estimator).__name__} cannot weigh rows. Remove data.weight ({column!r}) or use another estimator.",
        )


def takes_weights(estimator: Estimator) -> bool:
    """Whether `fit` has weights for rows; of a stack or a vote, whether every part has."""
    if type(estimator).__name__ in HANDING_ON:
        return all(takes_weights(part) for _, part in estimator.estimators if part != "drop")
    return "sample_weight" in inspect.signature(estimator.fit).parameters
