"""What the API server would not do for an object, as a fact that its planner can put into words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from modelwright.engine.errors import Denied, Forbidden, Invalid, NamespaceTerminating, NameTaken, Rejected
from modelwright.engine.objects import Key

# The fact's source: a tuple of refusals under the key of the object that was planned for.
REFUSALS = "refusals"

Action = Literal["create", "apply", "delete", "annotate"]
RefusalKind = Literal[
    "Invalid", "Denied", "Forbidden", "NameTaken", "NamespaceTerminating", "AnotherOperator"
]

_KINDS: dict[type[Rejected], RefusalKind] = {
    Invalid: "Invalid",
    Denied: "Denied",
    Forbidden: "Forbidden",
    NameTaken: "NameTaken",
    NamespaceTerminating: "NamespaceTerminating",
}
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Refusal:
    """One write that was refused: of which object, and the refuser's own sentence."""

    object: Key
    action: Action
    kind: RefusalKind
    message: str


def refusal_of(key: Key, action: Action, error: Rejected) -> Refusal:
    """The refusal that an error stands for."""
    return Refusal(key, action, _KINDS.get(type(error), "Forbidden"), str(error))


def steady(before: Iterable[Refusal], now: Iterable[Refusal]) -> tuple[Refusal, ...]:
    """The refusals as they are now, in their first words where nothing but numbers has changed since.

    A quota's sentence holds what is used at the moment: without this each try would change the status.
    """
    known = {_without_numbers(refusal): refusal for refusal in before}
    return tuple(known.get(_without_numbers(refusal), refusal) for refusal in now)


def _without_numbers(refusal: Refusal) -> Refusal:
    return replace(refusal, message=_NUMBER.sub("#", refusal.message))
