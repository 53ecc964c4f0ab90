"""When an error budget burns too fast: windows, burn rates, and what is demanded besides. Pure.

Multiple windows and burn rates: B. Beyer et al., The Site Reliability Workbook (O'Reilly 2018), chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass

# So many failures in the long window make an alarm, at least: one failed request of a quiet service is none.
LEAST_FAILURES = 5
# A threshold that nothing can exceed would hide that all requests fail.
HIGHEST_THRESHOLD = 0.9


@dataclass(frozen=True)
class Alarm:
    """A pair of windows. It goes off when this share of the budget is spent within the long one, and the short one says
    that it goes on."""

    long: str
    short: str
    hours: int
    share: float

    def burn_rate(self, window_days: int) -> float:
        """How many times as fast as it may the budget burns; at least 1, or it would last.

        Over 30 days these are 14.4, 6, 3 and 1.
        """
        return max(1.0, self.share * window_days * 24 / self.hours)

    def threshold(self, budget: float, window_days: int) -> float:
        """The share of failures above which it goes off."""
        return min(self.burn_rate(window_days) * budget, HIGHEST_THRESHOLD)


# Worth a call at night.
PAGES = (Alarm("1h", "5m", 1, 0.02), Alarm("6h", "30m", 6, 0.05))
# Worth to look at on the next working day.
TICKETS = (Alarm("1d", "2h", 24, 0.1), Alarm("3d", "6h", 72, 0.1))
