"""Turns refusals of the API server, a quota or a policy into problems with a reason and a remedy. Pure.

A message holds the original sentence and what to do. The sentence comes from a refused write of the operator, or from a
controller whose pods were refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from modelwright.common.conditions import Progress, Summary, stalled, waiting
from modelwright.engine.refusal import Refusal, RefusalKind
from modelwright.workload.podstatus import Problem

SENTENCE_LENGTH = 1024
_POD = re.compile(r'pods "[^"]*" is forbidden')
_USED = re.compile(r", used: .*?, limited: ")


@dataclass(frozen=True)
class _Cause:
    """A cause of refusals: the pattern of its sentences, and the remedy."""

    reason: str
    pattern: re.Pattern[str]
    remedy: str


# The first match counts. Policies come first, because their messages are free text that may match any pattern.
_CAUSES = (
    _Cause(
        "PolicyDenied",
        re.compile(
            r"ValidatingAdmissionPolicy '.*' denied request|admission webhook \".*\" denied the request"
        ),
        "change what the policy asks for, or have the policy changed",
    ),
    _Cause(
        "QuotaExceeded",
        re.compile(r"exceeded quota|failed quota|insufficient quota"),
        "free some of the quota, raise it, or change spec.resources",
    ),
    _Cause(
        "LimitRangeViolated",
        re.compile(r"(maximum|minimum) \S+ usage per (Container|Pod)|max limit to request ratio per"),
        "change spec.resources, or the LimitRange",
    ),
    _Cause(
        "PodSecurityViolation",
        re.compile(r"violates PodSecurity"),
        "change the Pod Security level of the namespace",
    ),
    _Cause(
        "NamespaceTerminating",
        re.compile(r"because it is being terminated"),
        "the namespace is being deleted",
    ),
    _Cause(
        "RightMissing",
        re.compile(r"User \".*\" cannot \w+ resource"),
        "grant the operator what its chart does",
    ),
)
_BY_KIND: dict[RefusalKind, tuple[str, str]] = {
    "Invalid": ("Refused", "change the spec"),
    "Denied": ("PolicyDenied", "change what the policy asks for, or have the policy changed"),
    "Forbidden": ("Forbidden", "have the API server allow it"),
    "NameTaken": ("NameTaken", "delete or rename that object, or choose another name"),
    "NamespaceTerminating": ("NamespaceTerminating", "the namespace is being deleted"),
    "AnotherOperator": (
        "AnotherOperator",
        "scope one of the operators to other namespaces, or uninstall it",
    ),
}


def refusal_problem(sentence: str, kind: RefusalKind = "Forbidden") -> Problem:
    """Returns a refusal as a problem. It is permanent if only a change of the spec helps."""
    cause = next((cause for cause in _CAUSES if cause.pattern.search(sentence)), None)
    reason, remedy = _BY_KIND[kind] if cause is None else (cause.reason, cause.remedy)
    permanent = cause is None and kind == "Invalid"
    return Problem(reason, f"{_shortened(sentence)}; {remedy}", permanent)


def first_problem(refusals: Iterable[Refusal]) -> Problem | None:
    """Returns the first refusal as a problem whose message names the object; None if there are no refusals."""
    refusal = next(iter(refusals), None)
    if refusal is None:
        return None
    cause = refusal_problem(refusal.message, refusal.kind)
    if refusal.kind == "AnotherOperator":
        return cause
    target = f"{refusal.object.resource.kind} {refusal.object.name}"
    verb = "cannot be deleted" if refusal.action == "delete" else "is refused"
    return Problem(cause.reason, f"{target} {verb}: {cause.message}", cause.permanent)


def with_refusals(summary: Summary, refusals: Iterable[Refusal]) -> Summary:
    """Returns a summary of the first refusal; the given summary if there is none, or if that is stalled."""
    cause = first_problem(refusals)
    if cause is None or summary.progress is Progress.STALLED:
        return summary
    return stalled(cause.reason, cause.message) if cause.permanent else waiting(cause.reason, cause.message)


def _shortened(sentence: str) -> str:
    """The sentence on one line, without what differs between tries: names of pods, and the used part of a quota."""
    text = " ".join(sentence.split()).rstrip(".;").removeprefix("Error creating: ")
    text = _USED.sub(", limited: ", _POD.sub("pods are forbidden", text))
    return text if len(text) <= SENTENCE_LENGTH else f"{text[: SENTENCE_LENGTH - 1]}…"
