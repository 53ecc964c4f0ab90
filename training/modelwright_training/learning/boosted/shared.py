"""What LightGBM's and XGBoost's estimators have in common: which parameters they take, and when they end early."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from modelwright_training.errors import InputError, listing, suggestion
from modelwright_training.learning.stopping import Stopping

Array = npt.NDArray[Any]

LOST = 0.05
"""How much of a target's standard deviation float32, in which both libraries learn, may round off."""


class Boosted:
    """A mixin of the estimators: the parameters that a spec may set, and those that are refused."""

    PATH: ClassVar[str]
    """How a spec names it."""
    PARAMETERS: ClassVar[frozenset[str]]
    """Names that a spec may use."""
    REFUSED: ClassVar[Mapping[str, str]]
    """What to do instead of using some other names of the library."""
    OBJECTIVES: ClassVar[frozenset[str]]
    """Objectives whose predictions ONNX computes exactly."""
    DEFAULTS: ClassVar[Mapping[str, Any]]
    """What differs from the library's defaults: one thread, because the order of sums depends on their number."""
    ENDLESS: ClassVar[Mapping[str, Any]]
    """Parameters with which no round is the best one: later rounds change earlier ones, or there is one only."""

    stopping: Stopping | None = None
    rounds: int | None = None
    """How many rounds of boosting the fitted model predicts with."""

    @classmethod
    def settled(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters to build the estimator with, or BadParameters."""
        refused = [f"{name!r} ({why})" for name, why in cls.REFUSED.items() if name in given]
        if refused:
            raise cls.refusal(", ".join(refused))
        objective = given.get("objective")
        if objective is not None and str(objective) not in cls.OBJECTIVES:
            near = suggestion(str(objective), sorted(cls.OBJECTIVES))
            raise cls.refusal(f"objective {objective!r}", f"Use {listing(sorted(cls.OBJECTIVES), 30)}.{near}")
        return {**cls.DEFAULTS, **given}

    @classmethod
    def refusal(cls, what: str, instead: str = "") -> InputError:
        """The error for something that the library can do and a served model cannot."""
        return InputError("BadParameters", f"{cls.__name__} cannot be used with {what}. {instead}".rstrip())


def check_target(target: Array) -> None:
    """Refuse numbers whose differences vanish in float32, such as times in seconds: no error would tell."""
    exact = target.astype(np.float64)
    lost = np.abs(exact - exact.astype(np.float32)).max(initial=0)
    spread = np.std(exact)
    if spread > 0 and lost > LOST * spread:
        raise ValueError(
            f"its numbers are rounded to float32, by up to {lost:.3g}, while the target's standard deviation is "
            f"{spread:.3g}. Subtract a constant from the target, or use HistGradientBoostingRegressor"
        )
