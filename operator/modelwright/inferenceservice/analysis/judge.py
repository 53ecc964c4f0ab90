"""Judges a canary by the counts since its step began. Pure; what follows from the verdicts is decided in `rollout`.

Each verdict may be looked at again and again: the checks are tests that hold at every look (`checks.evidence`), and all
of them together fail a good revision with a probability of at most `falseAlarmRate` per rollout (`checks.budget`).
Queries and restarts are no tests, and have no share of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from modelwright.api.checks import NOT_MEASURED
from modelwright.api.inferenceservice import Analysis, ScoreDrop
from modelwright.checks import against_stable, budget, latency, rates
from modelwright.checks.against_stable import MIN_LABELS
from modelwright.checks.evidence import rate_interval
from modelwright.checks.quantiles import Histogram
from modelwright.checks.verdict import Demands, Verdict
from modelwright.inferenceservice.analysis import queries
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.gateway_counts import OwnRates, by_own_answers, own_rates

RESTARTED = "Restarted"
_P99, _P50 = 0.99, 0.5
# Checks whose failure is evidence about the model. Of the error rate it depends on the faults. Durations also depend on
# the nodes and the number of pods; callers behind a Gateway may be others than the stable revision's; and what a query
# counts is not known.
_ABOUT_THE_MODEL = frozenset(words.metric for words in (rates.AGREEMENT, rates.DIFFERENCE, rates.NON_FINITE))


@dataclass(frozen=True)
class Measurement:
    """What is known of a measurement before it begins."""

    # Its number within the rollout, from 1.
    number: int = 1
    # The stable revision copies requests to the canary.
    mirrors: bool = False
    # Callers reach the canary through a Gateway, without the stable revision.
    gateway: bool = False
    # Callers get its answers: it has more than copies of requests.
    answers: bool = True


def checks(analysis: Analysis, measured: StepCounts | None, measurement: Measurement) -> list[Verdict]:
    """Returns the verdicts of all checks of a step, in the order of their importance."""
    return [_not_measured(analysis)] if measured is None else list(_Step(analysis, measured, measurement))


def baking(analysis: Analysis, measured: StepCounts | None, measurement: Measurement) -> Verdict:
    """The verdict on a revision that bakes. It has the whole traffic, so there is nothing to compare it with.

    What the revision before answers in its place is its fault, like its own failures.
    """
    if measured is None:
        return _not_measured(analysis)
    demands = _demands(analysis, measurement, tests=1)
    verdict = rates.rate_verdict(
        rates.ERROR_RATE, measured.faults, measured.requests, analysis.max_error_rate, demands
    )
    if verdict.result == "Fail" and measured.rescued > measured.faults - measured.rescued:
        return replace(verdict, reason=rates.REFUSAL_RATE.failed)
    return verdict


def pods(analysis: Analysis, restarts: int) -> Verdict | None:
    """A failed verdict if the containers of a pod ended more often by themselves than allowed; else None."""
    if restarts <= analysis.max_restarts:
        return None
    return Verdict("Fail", "restarts", RESTARTED, 1, float(restarts), float(analysis.max_restarts))


def unmet(analysis: Analysis, measured: StepCounts | None) -> list[Verdict]:
    """The verdicts on a revision that gets no requests: those of the queries alone."""
    if not analysis.queries:
        return [Verdict("Pass", "requests", "NothingToMeasure", 0)]
    return list(queries.verdicts(analysis.queries, {} if measured is None else measured.queries))


def blames_model(
    verdict: Verdict, analysis: Analysis, measured: StepCounts | None, measurement: Measurement
) -> bool:
    """True if a failed verdict is evidence about the model, not about the cluster or the pods.

    An error rate is that if it fails as well when faults that the cluster may have caused do not count.
    """
    if verdict.metric in _ABOUT_THE_MODEL:
        return True
    # Behind a Gateway its callers may be others.
    if verdict.metric == against_stable.SCORE:
        return not measurement.gateway
    if verdict.metric != rates.ERROR_RATE.metric or measured is None:
        return False
    if measured.direct:
        demands = _demands(analysis, measurement, tests=1)
        faults = measured.model_faults
        requests = measured.requests - measured.faults + faults
        found = rates.rate_verdict(rates.ERROR_RATE, faults, requests, analysis.max_error_rate, demands)
    else:
        found = _Step(analysis, measured, measurement).error_rate(models=True)
    return found.result == "Fail"


def _not_measured(analysis: Analysis) -> Verdict:
    return Verdict("Inconclusive", "requests", NOT_MEASURED, 0, 0.0, float(analysis.min_samples))


def _demands(analysis: Analysis, measurement: Measurement, tests: int) -> Demands:
    """What each of so many tests of a measurement asks for."""
    alpha = budget.check_alpha(analysis.false_alarm_rate, measurement.number, tests)
    return Demands(alpha, analysis.min_samples, analysis.min_failures)


class _Step:
    """The checks of a step of a canary."""

    def __init__(self, analysis: Analysis, measured: StepCounts, measurement: Measurement) -> None:
        self._analysis = analysis
        self._gateway = measurement.gateway
        self._mirrors = measurement.mirrors
        self._measured = by_own_answers(measured) if measurement.gateway else measured
        limits = (
            analysis.max_p99_increase, analysis.max_p50_increase, analysis.min_agreement, analysis.max_difference
        )  # fmt: skip
        # Without callers of its own there is no score of its answers. Nor is there one that differs if both revisions
        # have one model.
        own = measurement.answers
        self._drop = analysis.max_score_drop if own and measured.labels is not None else None
        self._shift = analysis.max_prediction_shift if own else None
        enabled = [*limits, self._drop, self._shift]
        tests = 1 + sum(limit is not None for limit in enabled) + self._gateway + self._mirrors
        self._demands = _demands(analysis, measurement, tests)

    def __iter__(self) -> Iterator[Verdict]:
        analysis, measured, demands = self._analysis, self._measured, self._demands
        yield self.error_rate()
        if self._gateway and self._usual.answers >= analysis.min_samples:
            yield self._refusals()
        if analysis.max_p99_increase is not None:
            yield latency.increase("p99Seconds", _P99, *self._durations, analysis.max_p99_increase, demands)
        if analysis.max_p50_increase is not None:
            yield latency.increase("p50Seconds", _P50, *self._durations, analysis.max_p50_increase, demands)
        if analysis.min_agreement is not None:
            yield rates.agreement(measured.agreement, measured.labelled, analysis.min_agreement, demands)
        if analysis.max_difference is not None:
            yield rates.difference(Histogram(measured.differences), analysis.max_difference, demands)
        if self._mirrors:
            yield rates.non_finite(measured.non_finite, measured.shadowed.get("Compared", 0), demands)
        if self._drop is not None:
            yield self._score_drop(self._drop)
        if self._shift is not None:
            yield against_stable.prediction_shift(
                measured.predicted, measured.stable_predicted, self._shift, demands
            )
        yield from queries.verdicts(analysis.queries or (), measured.queries)

    def error_rate(self, *, models: bool = False) -> Verdict:
        """The verdict on the failed requests. `models`: only those faults count that are evidence about the model.

        A request that the stable revision delegates is answered by both if the canary fails, so what both fail on does
        not count. Through a Gateway each is answered by one. So there the canary also has to be worse than the stable
        revision, whose callers may have the same bad hour. Both comparisons may err, so each has half of alpha.
        """
        measured, limit = self._measured, self._analysis.max_error_rate
        faults, requests = measured.faults, measured.requests
        if models:
            faults = measured.model_faults
            requests += faults - measured.faults
        if not self._gateway:
            return rates.rate_verdict(rates.ERROR_RATE, faults, requests, limit, self._demands)
        bar = limit
        if faults > limit * requests and self._usual.requests >= self._analysis.min_samples:
            bar = self._at_most(self._usual.faults, self._usual.requests)
        return rates.rate_verdict(rates.ERROR_RATE, faults, requests, limit, self._halved, fails_above=bar)

    def _score_drop(self, limit: ScoreDrop) -> Verdict:
        """The verdict on labels that came back."""
        labels, stable = self._measured.labels or {}, self._measured.stable_labels
        least = MIN_LABELS if limit.min_labels is None else limit.min_labels
        return against_stable.score_drop(limit.metric, labels, stable, limit.change, least, self._demands)

    def _refusals(self) -> Verdict:
        """The verdict on answers that blame the caller. They may be right, so only those beyond the stable revision's
        rate of such answers count, and of these as many are allowed as of failures."""
        own, usual, allowed = own_rates(self._measured.answered), self._usual, self._analysis.max_error_rate
        limit = usual.refused / usual.answers + allowed
        if own.refused > limit * own.answers:
            limit = self._at_most(usual.refused, usual.answers) + allowed
        demands = replace(self._halved, min_samples=0)
        return rates.rate_verdict(rates.REFUSAL_RATE, own.refused, own.answers, limit, demands)

    @cached_property
    def _usual(self) -> OwnRates:
        """The rates of the stable revision's own answers."""
        return own_rates(self._measured.stable_answered)

    @cached_property
    def _halved(self) -> Demands:
        return replace(self._demands, alpha=self._demands.alpha / 2)

    def _at_most(self, hits: int, samples: int) -> float:
        """The upper end of the interval of a rate of the stable revision."""
        return rate_interval(hits, samples, self._halved.alpha).high

    @cached_property
    def _durations(self) -> tuple[Histogram, Histogram]:
        return Histogram(self._measured.canary_durations), Histogram(self._measured.stable_durations)
