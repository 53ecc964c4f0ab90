"""The one-shot request to run a TrainingJob now: an annotation that every user who may edit the object can write. Pure.

`modelwright.dev/run: TOKEN` starts one run. The status keeps the tokens of the last requests, so it does not matter how
long the annotation stays. The name of the requester is not authenticated, as with requests about a rollout.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from modelwright.api.requests import requester

ANNOTATION = "modelwright.dev/run"
REQUESTED_BY = "modelwright.dev/run-requested-by"
_TOKEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True)
class RunRequest:
    """A request for a run. `malformed`: its token is none, and `token` only stands for it."""

    token: str
    requested_by: str | None = None
    malformed: bool = False


def pending(body: Mapping[str, Any], handled: Collection[str]) -> RunRequest | None:
    """Returns the request if it is new, else None. `handled`: the tokens of requests that have been handled."""
    text = ((body.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)
    if not text:
        return None
    is_token = _TOKEN.fullmatch(text) is not None
    token = text if is_token else f"malformed-{sha256(text.encode()).hexdigest()[:16]}"
    if token in handled:
        return None
    return RunRequest(token, requester(body, ANNOTATION, REQUESTED_BY), malformed=not is_token)
