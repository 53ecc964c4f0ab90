"""Puts what the API server, a quota or a policy refuses into words: the refuser's own sentence, and what to do. Pure.

The sentence comes from a write of ours that was refused, or from the controller whose pods were.
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
    """A kind of refusal: how its sentence is recognised, and what to do about it."""

    reason: str
    pattern: re.Pattern[str]
    remedy: str


# The first that fits. Policies come first: their own words may hold anything.
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


def explained(sentence: str, kind: RefusalKind = "Forbidden") -> Problem:
    """A refusal as a problem. It is permanent where only a change of the spec helps."""
    cause = next((cause for cause in _CAUSES if cause.pattern.search(sentence)), None)
    reason, remedy = _BY_KIND[kind] if cause is None else (cause.reason, cause.remedy)
    permanent = cause is None and kind == "Invalid"
    return Problem(reason, f"{_cut(sentence)}; {remedy}", permanent)


def problem(refusals: Iterable[Refusal]) -> Problem | None:
    """The first refusal as a problem that names its object; None without any."""
    refusal = next(iter(refusals), None)
    if refusal is None:
        return None
    found = explained(refusal.message, refusal.kind)
    if refusal.kind == "AnotherOperator":
        return found
    what = f"{refusal.object.resource.kind} {refusal.object.name}"
    verb = "cannot be deleted" if refusal.action == "delete" else "is refused"
    return Problem(found.reason, f"{what} {verb}: {found.message}", found.permanent)


def overruled(summary: Summary, refusals: Iterable[Refusal]) -> Summary:
    """The summary, unless what it says cannot come true because something is refused."""
    found = problem(refusals)
    if found is None or summary.progress is Progress.STALLED:
        return summary
    return stalled(found.reason, found.message) if found.permanent else waiting(found.reason, found.message)


def _cut(sentence: str) -> str:
    """The sentence on one line, without what differs from try to try: names of pods, and what a quota has used."""
    text = " ".join(sentence.split()).rstrip(".;").removeprefix("Error creating: ")
    text = _USED.sub(", limited: ", _POD.sub("pods are forbidden", text))
    return text if len(text) <= SENTENCE_LENGTH else f"{text[: SENTENCE_LENGTH - 1]}…"
