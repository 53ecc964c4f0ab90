"""One-shot requests about a rollout, as annotations that anybody who may edit the object can write. Pure.

`modelwright.dev/rollout: ACTION@REVISION#TOKEN` is carried out once, for that revision only: the tokens of the last
ones are kept in the status. So it does not matter how long the annotation stays, or whether Git takes it away or brings
an older one back.

Who asked is what the writer claims: `modelwright.dev/rollout-requested-by`, and the field manager that the API server
recorded for the annotation, which every client chooses freely.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

ANNOTATION = "modelwright.dev/rollout"
REQUESTED_BY = "modelwright.dev/rollout-requested-by"
Action = Literal["promote", "promote-full", "abort", "pause", "resume", "retry", "undo"]

# What names of users and field managers are made of; anything else could be taken for a part of a message.
_UNUSUAL = re.compile(r"[^A-Za-z0-9@._:/+=,~ -]")
_LONGEST_NAME, _LONGEST_MANAGER = 128, 64
_REQUEST = re.compile(r"([a-z-]{1,20})@([a-z0-9]{1,63})#([A-Za-z0-9._:-]{1,64})")


@dataclass(frozen=True)
class Request:
    """What somebody wants to be done with a revision."""

    action: Action
    revision: str
    token: str
    requested_by: str | None = None


@dataclass(frozen=True)
class Refused:
    """A request that means nothing; `token` is what is kept of it, so that it is told once."""

    token: str
    message: str


def pending(body: Mapping[str, Any], handled: Collection[str]) -> Request | Refused | None:
    """The request that has not been dealt with yet; `handled`: the tokens of those that have."""
    text = _annotations(body).get(ANNOTATION)
    if text is None:
        return None
    found = _REQUEST.fullmatch(text)
    if found is None or found[1] not in get_args(Action):
        token = text[:64]
        actions = ", ".join(get_args(Action))
        message = f"the annotation {ANNOTATION} has to be ACTION@REVISION#TOKEN, with one of {actions}"
        return None if token in handled else Refused(token, message)
    if found[3] in handled:
        return None
    return Request(found[1], found[2], found[3], _requested_by(body))  # type: ignore[arg-type]


def asked_for(requested_by: str | None) -> str:
    """Who asked, in words."""
    return f"asked for by {requested_by or 'somebody unknown'}"


def _requested_by(body: Mapping[str, Any]) -> str | None:
    """Who claims to have asked: a name, and the field manager in brackets."""
    managers = (body.get("metadata") or {}).get("annotationManagers") or {}
    # A name that another client has left behind is not the name of the one who asked now.
    is_its_own = managers.get(ANNOTATION) == managers.get(REQUESTED_BY)
    name = _plain(_annotations(body).get(REQUESTED_BY, "") if is_its_own else "", _LONGEST_NAME)
    manager = _plain(managers.get(ANNOTATION, ""), _LONGEST_MANAGER)
    if name and manager:
        return f"{name} ({manager})"
    return name or manager or None


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    return (body.get("metadata") or {}).get("annotations") or {}


def _plain(text: str, longest: int) -> str:
    return _UNUSUAL.sub("?", text[:longest]).strip()
