"""The groups of rules of one objective: what is recorded, and the two alerts. Pure.

The names of recorded series, and the labels sloth_*, are those of Sloth (https://sloth.dev), so dashboards made for it
work. Long windows are sums over the recorded rates of 5 minutes, which costs two series per objective however many pods
and codes there are, and goes on over changes of pods and revisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelwright.inferenceservice.objectives.burning import LEAST_FAILURES, PAGES, TICKETS, Alarm
from modelwright.inferenceservice.objectives.indicators import Indicator, percent

INTERVAL_SECONDS = 30
SLOW_INTERVAL = "5m"
REQUESTS, FAILURES = "modelwright:slo_requests:rate5m", "modelwright:slo_failures:rate5m"
# The same every 5 minutes, for sums over days: a tenth of the samples, which lie side by side.
SAMPLED_REQUESTS, SAMPLED_FAILURES = "modelwright:slo_requests:every5m", "modelwright:slo_failures:every5m"
RATIO = "slo:sli_error:ratio_rate"
QUICK_WINDOWS = ("30m", "1h", "2h", "6h")

Rule = dict[str, Any]


def groups(indicator: Indicator, namespace: str, service: str, window_days: int) -> list[dict[str, Any]]:
    """The groups. The slow one holds what is summed up over a day and more."""
    sheet = _Sheet(indicator, namespace, service, window_days)
    name = f"modelwright-{namespace}-{service}-{indicator.name}"
    return [
        {"name": name, "interval": f"{INTERVAL_SECONDS}s", "rules": list(sheet.quick())},
        {"name": f"{name}-slow", "interval": SLOW_INTERVAL, "rules": list(sheet.slow())},
    ]


class _Sheet:
    """Writes the rules of one objective."""

    def __init__(self, indicator: Indicator, namespace: str, service: str, window_days: int) -> None:
        self._indicator = indicator
        self._service = f"{namespace}/{service}"
        self._days = window_days
        self._labels = {
            "namespace": namespace,
            "inferenceservice": service,
            "slo": indicator.name,
            "sloth_id": f"{namespace}-{service}-{indicator.name}",
            "sloth_service": service,
            "sloth_slo": indicator.name,
        }
        # A pair that no other objective has.
        self._own = f'namespace="{namespace}",sloth_id="{self._labels["sloth_id"]}"'

    def quick(self) -> Iterator[Rule]:
        """What is counted, the windows of hours, and the alert that calls a person."""
        yield self._record(REQUESTS, self._indicator.requests)
        yield self._record(FAILURES, self._indicator.failures)
        yield self._ratio("5m", self._of(FAILURES), self._of(REQUESTS))
        yield from (self._over(window) for window in QUICK_WINDOWS)
        yield from self._facts()
        yield self._alert(PAGES, "critical", "page", "within hours")

    def slow(self) -> Iterator[Rule]:
        """The windows of days, the rest of the budget, and the alert for the next working day."""
        window = f"{self._days}d"
        yield self._record(SAMPLED_REQUESTS, self._of(REQUESTS))
        yield self._record(SAMPLED_FAILURES, self._of(FAILURES))
        for each in dict.fromkeys(("1d", "3d", window)):
            yield self._over(each, SAMPLED_FAILURES, SAMPLED_REQUESTS)
        burnt = f"{self._of(RATIO + window)} / {_number(self._indicator.budget)}"
        yield self._record("slo:period_burn_rate:ratio", burnt)
        yield self._record("slo:period_error_budget_remaining:ratio", f"1 - {burnt}")
        yield self._alert(TICKETS, "warning", "ticket", "within days")

    def _facts(self) -> Iterator[Rule]:
        """Numbers of the objective itself, for dashboards."""
        budget = _number(self._indicator.budget)
        yield self._record("slo:objective:ratio", f"vector({_number(self._indicator.objective)})")
        yield self._record("slo:error_budget:ratio", f"vector({budget})")
        yield self._record("slo:time_period:days", f"vector({self._days})")
        yield self._record("slo:current_burn_rate:ratio", f"{self._of(RATIO + '5m')} / {budget}")
        info = {
            "sloth_mode": "modelwright",
            "sloth_spec": "modelwright.dev/v1alpha1",
            "sloth_objective": f"{self._indicator.objective * 100:.10g}",
        }
        yield self._record("sloth_slo_info", "vector(1)", **info)

    def _over(self, window: str, failures: str = FAILURES, requests: str = REQUESTS) -> Rule:
        """The share of failures over a window, each request with the same weight."""
        sums = (f"sum_over_time({self._of(each)}[{window}])" for each in (failures, requests))
        return self._ratio(window, *sums)

    def _ratio(self, window: str, failures: str, requests: str) -> Rule:
        """Without requests there is no share."""
        return self._record(f"{RATIO}{window}", f"{failures} / ({requests} > 0)", sloth_window=window)

    def _alert(self, alarms: Iterable[Alarm], severity: str, sloth_severity: str, soon: str) -> Rule:
        name = self._indicator.name
        either = " or ".join(f"({self._goes_off(alarm)})" for alarm in alarms)
        says = f"{self._service} burns its error budget ({name}): it will be spent {soon}."
        return {
            "alert": f"Modelwright{name.capitalize()}Burns",
            "expr": f"max without (sloth_window) ({either})",
            "labels": {**self._labels, "severity": severity, "sloth_severity": sloth_severity},
            "annotations": {
                "summary": says,
                "description": f"Promised: {self._indicator.promise}, over {self._days} days. "
                f"{{{{ $value | humanizePercentage }}}} of the requests fail this; "
                f"{percent(self._indicator.budget)} may.",
            },
        }

    def _goes_off(self, alarm: Alarm) -> str:
        least = _number(alarm.threshold(self._indicator.budget, self._days))
        long, short = (f"{self._of(RATIO + window)} > {least}" for window in (alarm.long, alarm.short))
        failures = f"sum_over_time({self._of(FAILURES)}[{alarm.long}]) * {INTERVAL_SECONDS}"
        enough = f"{failures} >= {LEAST_FAILURES}"
        return f"{long} and ignoring (sloth_window) {short} and ignoring (sloth_window) {enough}"

    def _of(self, series: str) -> str:
        return f"{series}{{{self._own}}}"

    def _record(self, name: str, query: str, **labels: str) -> Rule:
        return {"record": name, "expr": query, "labels": {**self._labels, **labels}}


def _number(value: float) -> str:
    """Without the noise of binary fractions: 0.001, not 0.0010000000000000009."""
    return f"{value:.10g}"
