"""One-shot requests about a rollout: annotations that every user who may edit the object can write. Pure.

`modelwright.dev/rollout: ACTION@REVISION#TOKEN` is carried out once, and for that revision only. The status keeps the
tokens of the last requests, so it does not matter how long the annotation stays, or whether Git removes it or restores
an older one.

The name of the requester is not authenticated. It comes from `modelwright.dev/rollout-requested-by` and from the field
manager of the annotation, which every client chooses itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

ANNOTATION = "modelwright.dev/rollout"
REQUESTED_BY = "modelwright.dev/rollout-requested-by"
Action = Literal["promote", "promote-full", "abort", "pause", "resume", "retry", "undo"]

# Characters that names of users and field managers do not have. They could be taken for a part of a message.
_UNUSUAL = re.compile(r"[^A-Za-z0-9@._:/+=,~ -]")
_LONGEST_NAME, _LONGEST_MANAGER = 128, 64
_REQUEST = re.compile(r"([a-z-]{1,20})@([a-z0-9]{1,63})#([A-Za-z0-9._:-]{1,64})")


@dataclass(frozen=True)
class Request:
    """A request to do something with a revision."""

    action: Action
    revision: str
    token: str
    requested_by: str | None = None


@dataclass(frozen=True)
class Refused:
    """A malformed request. `token` is kept in the status, so that it is reported once."""

    token: str
    message: str


def pending(body: Mapping[str, Any], handled: Collection[str]) -> Request | Refused | None:
    """Returns the request if it is new, else None. `handled`: the tokens of requests that have been handled."""
    text = _annotations(body).get(ANNOTATION)
    if text is None:
        return None
    match = _REQUEST.fullmatch(text)
    if match is None or match[1] not in get_args(Action):
        token = text[:64]
        actions = ", ".join(get_args(Action))
        message = f"the annotation {ANNOTATION} has to be ACTION@REVISION#TOKEN, with one of {actions}"
        return None if token in handled else Refused(token, message)
    if match[3] in handled:
        return None
    by = requester(body, ANNOTATION, REQUESTED_BY)
    return Request(match[1], match[2], match[3], by)  # type: ignore[arg-type]


def requester_phrase(requested_by: str | None) -> str:
    """Returns the phrase of a message that names the requester."""
    return f"asked for by {requested_by or 'an unknown requester'}"


def requester(body: Mapping[str, Any], annotation: str, requested_by: str) -> str | None:
    """Returns who wrote an annotation: the name in the annotation `requested_by`, and the field manager in brackets."""
    managers = (body.get("metadata") or {}).get("annotationManagers") or {}
    # A name that another client wrote belongs to an earlier request.
    same_client = managers.get(annotation) == managers.get(requested_by)
    name = _plain(_annotations(body).get(requested_by, "") if same_client else "", _LONGEST_NAME)
    manager = _plain(managers.get(annotation, ""), _LONGEST_MANAGER)
    if name and manager:
        return f"{name} ({manager})"
    return name or manager or None


def _annotations(body: Mapping[str, Any]) -> Mapping[str, str]:
    return (body.get("metadata") or {}).get("annotations") or {}


def _plain(text: str, longest: int) -> str:
    return _UNUSUAL.sub("?", text[:longest]).strip()
