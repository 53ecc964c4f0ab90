"""What one check of a canary says. Which checks there are is left to `analysis` and `queries`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Result = Literal["Pass", "Fail", "Inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """What one check says, with the numbers that it says so by; values of `metric` in its own unit.

    `look`: tells two answers of one query apart; None where the numbers are those that the pods count.
    """

    result: Result
    metric: str
    reason: str
    samples: int
    value: float | None = None
    threshold: float | None = None
    look: int | None = None
