"""The result of one reconcile, as data. The reconciler turns it into what happens to the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True)
class Again:
    """Something was written or found out: reconcile again at once."""


@dataclass(frozen=True)
class At:
    """Nothing to do until that time, or until something changes."""

    time: datetime


@dataclass(frozen=True)
class Failed:
    """An error that may pass.

    Reconcile again after at least so many seconds, later with each failure in a row, and at the time of the plan.
    """

    error: Exception
    at_least: float = 0.0
    requeue_at: datetime | None = None


@dataclass(frozen=True)
class Standby:
    """This process may not lead. The key waits until it does."""


Outcome = Done | Again | At | Failed | Standby
