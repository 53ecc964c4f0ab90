"""Checks of rates: of so many samples, how many may be bad. Pure.

A check fails when the evidence that the rate is above its limit reaches 1 / alpha. It passes at or below the limit once
there are enough samples. In between it is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import log

from modelwright.api.checks import TOO_FEW
from modelwright.checks import evidence
from modelwright.checks.evidence import Interval
from modelwright.checks.quantiles import Histogram, quantile, quantile_interval, share_above
from modelwright.checks.verdict import Demands, Details, Verdict

# `difference` asks for this share of the differences to be within its limit.
DIFFERENCE_RANK = 0.99
# `non_finite` allows this share of the compared requests.
NON_FINITE_LIMIT = 0.001


@dataclass(frozen=True)
class Words:
    """The name of a check of a rate, and the reasons of its verdicts."""

    metric: str
    failed: str
    unclear: str
    passed: str


ERROR_RATE = Words("errorRate", "ErrorRateTooHigh", "ErrorRateUnclear", "ErrorRateWithinLimit")
REFUSAL_RATE = Words("refusalRate", "RefusesCallers", "RefusalsUnclear", "RefusalsAsUsual")
AGREEMENT = Words("agreement", "AnswersDiffer", "AgreementUnclear", "AnswersAgree")
DIFFERENCE = Words("difference", "NumbersDiffer", "DifferenceUnclear", "NumbersAgree")
NON_FINITE = Words("nonFinite", "NonFiniteAnswers", "NonFiniteUnclear", "AnswersFinite")


def rate_verdict(
    words: Words,
    hits: float,
    samples: int,
    limit: float,
    demands: Demands,
    *,
    possible: float | None = None,
    fails_above: float | None = None,
) -> Verdict:
    """Returns the verdict on a rate.

    `hits`: the sum of the samples, each from 0 to 1, that are certainly bad. `possible`: the sum of those that may be.
    `fails_above`: the rate that has to be exceeded for a failure, if it is another one than the limit.
    """
    bar = limit if fails_above is None else max(limit, fails_above)
    verdict = partial(
        Verdict,
        metric=words.metric,
        samples=samples,
        value=hits / samples if samples else 0.0,
        details=partial(_details, hits, samples, demands),
    )
    if hits >= demands.min_failures and evidence.rate_above(hits, samples, bar) >= log(1 / demands.alpha):
        return verdict(result="Fail", reason=words.failed, threshold=bar)
    if samples < demands.min_samples:
        needed = demands.min_samples
        return verdict(result="Inconclusive", reason=TOO_FEW, threshold=limit, samples_needed=needed)
    if samples and (hits if possible is None else possible) / samples > limit:
        unclear = partial(_details, hits, samples, demands, undecided=bar)
        return verdict(
            result="Inconclusive", reason=words.unclear, threshold=bar, beyond=True, details=unclear
        )
    return verdict(result="Pass", reason=words.passed, threshold=limit)


def agreement(agreeing: float, requests: int, least: float, demands: Demands) -> Verdict:
    """Returns the verdict on the labels of both revisions' answers.

    `agreeing`: the sum over the requests of the share of their labels that are equal. `least`: the mean of that share
    that is asked for.
    """
    differing = max(0.0, requests - agreeing)
    found = rate_verdict(AGREEMENT, differing, requests, 1 - least, demands)

    def details() -> Details:
        numbers = found.detailed()
        around = numbers.interval
        flipped = None if around is None else Interval(1 - around.high, 1 - around.low)
        return Details(flipped, numbers.samples_needed)

    value = agreeing / requests if requests else 1.0
    return replace(found, value=value, threshold=least, details=details)


def difference(differences: Histogram, limit: float, demands: Demands) -> Verdict:
    """Returns the verdict on the differences between numbers of both revisions' answers.

    99 % of them have to be within the limit. A difference in a cell that contains the limit counts for neither side.
    """
    samples, rate = round(differences.samples), 1 - DIFFERENCE_RANK
    certain, possible = share_above(differences, limit)
    found = rate_verdict(DIFFERENCE, certain, samples, rate, demands, possible=possible)

    def details() -> Details:
        around = quantile_interval(differences, DIFFERENCE_RANK, demands.alpha)
        return Details(around, found.detailed().samples_needed)

    return replace(found, value=quantile(differences, DIFFERENCE_RANK), threshold=limit, details=details)


def non_finite(requests: int, compared: int, demands: Demands) -> Verdict:
    """Returns the verdict on NaN and infinity in answers of the judged revision to which the stable one gave none.

    `requests`: those with such an answer, of all that were `compared`.
    """
    return rate_verdict(NON_FINITE, requests, compared, NON_FINITE_LIMIT, replace(demands, min_samples=0))


def _details(hits: float, samples: int, demands: Demands, undecided: float | None = None) -> Details:
    """The interval of a rate. `undecided`: the limit that the rate cannot be told apart from."""
    needed = None if undecided is None else evidence.samples_needed(hits, samples, undecided, demands.alpha)
    return Details(evidence.rate_interval(hits, samples, demands.alpha), needed)
