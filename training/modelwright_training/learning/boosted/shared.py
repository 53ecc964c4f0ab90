"""What LightGBM's and XGBoost's estimators have in common: which parameters they take, and when they stop early."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from modelwright_training.errors import InputError, listing, suggestion

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Stopping:
    """Boosting ends once `rounds` rounds have not bettered the score of a `fraction` of the rows."""

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


class Boosted:
    """A mixin of the estimators: the parameters that a spec may set, and those that are refused."""

    PARAMETERS: ClassVar[frozenset[str]]
    """Names that a spec may use."""
    REFUSED: ClassVar[Mapping[str, str]]
    """What to do instead of using some other names of the library."""
    OBJECTIVES: ClassVar[frozenset[str]]
    """Objectives whose predictions ONNX computes exactly."""
    DEFAULTS: ClassVar[Mapping[str, Any]]
    """What differs from the library's defaults: one thread, because the order of sums depends on their number."""

    stopping: Stopping | None = None
    rounds: int | None = None
    """How many rounds of boosting the fitted model has."""

    @classmethod
    def settled(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters to build the estimator with, or BadParameters."""
        refused = [f"{name!r} ({why})" for name, why in cls.REFUSED.items() if name in given]
        if refused:
            raise cls.refusal(", ".join(refused))
        objective = given.get("objective")
        if objective is not None and objective not in cls.OBJECTIVES:
            near = suggestion(str(objective), sorted(cls.OBJECTIVES))
            raise cls.refusal(f"objective {objective!r}", f"Use {listing(sorted(cls.OBJECTIVES), 30)}.{near}")
        return {**cls.DEFAULTS, **given}

    @classmethod
    def refusal(cls, what: str, instead: str = "") -> InputError:
        """The error for something that the library can do and a served model cannot."""
        return InputError("BadParameters", f"{cls.__name__} cannot be used with {what}. {instead}".rstrip())
