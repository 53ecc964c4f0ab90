"""How a look at an object ended, as data. The reconciler turns it into what happens to the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True)
class Again:
    """Something was written: the next step may follow at once."""


@dataclass(frozen=True)
class At:
    """Nothing to do until that time, or until something changes."""

    time: datetime


@dataclass(frozen=True)
class Failed:
    """It did not work out; later it may.

    Not before so many seconds, and later with each failure in a row; but once at the time that the plan asked for.
    """

    error: Exception
    at_least: float = 0.0
    requeue_at: datetime | None = None


@dataclass(frozen=True)
class Standby:
    """Another process may be in charge. The key waits until this one is again."""


Outcome = Done | Again | At | Failed | Standby
