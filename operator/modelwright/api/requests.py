"""One-shot requests about a rollout, as annotations that anybody who may edit the object can write. Pure.

`modelwright.dev/rollout: ACTION@REVISION#TOKEN` is carried out once, for that revision only: the token of the last one
is kept in the status. So it does not matter how long the annotation stays, or whether Git takes it away again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

ANNOTATION = "modelwright.dev/rollout"
Action = Literal["promote", "promote-full", "abort", "pause", "resume", "retry", "undo"]

_REQUEST = re.compile(r"([a-z-]{1,20})@([a-z0-9]{1,63})#([A-Za-z0-9._:-]{1,64})")


@dataclass(frozen=True)
class Request:
    """What somebody wants to be done with a revision."""

    action: Action
    revision: str
    token: str


@dataclass(frozen=True)
class Refused:
    """A request that means nothing; `token` is what is kept of it, so that it is told once."""

    token: str
    message: str


def pending(body: Mapping[str, Any], handled: str | None) -> Request | Refused | None:
    """The request that has not been carried out yet."""
    text = ((body.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return None
    found = _REQUEST.fullmatch(text)
    if found is None or found[1] not in get_args(Action):
        token = text[:64]
        actions = ", ".join(get_args(Action))
        message = f"the annotation {ANNOTATION} has to be ACTION@REVISION#TOKEN, with one of {actions}"
        return None if token == handled else Refused(token, message)
    return None if found[3] == handled else Request(found[1], found[2], found[3])  # type: ignore[arg-type]
