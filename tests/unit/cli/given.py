"""InferenceServices as the command line meets them: the operator's own status, read back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from unit.given.resources import InferenceService as Planned
from unit.given.resources import a_served_version
from unit.inferenceservice.rollout.test_canary import BAD, a_canary, after, measures

from modelwright.view.drawing import picture
from modelwright.view.model import InferenceService, read

__all__ = ["a_canary", "a_rolled_back_canary", "a_served_version", "drawn", "edited", "measures", "seen"]


def seen(service: Planned, **parts: Mapping[str, Any]) -> InferenceService:
    """The object as it is now; `parts` change its metadata, spec or status as an operator or a user might."""
    return read(edited(service, **parts))


def edited(service: Planned, **parts: Mapping[str, Any]) -> dict[str, Any]:
    """The same, as the API server gives it."""
    return merged(copy.deepcopy(dict(service.body)), parts)


def merged(body: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """The body after a JSON merge patch."""
    for name, value in change.items():
        if isinstance(value, Mapping):
            body[name] = merged(dict(body.get(name) or {}), value)
        elif value is None:
            body.pop(name, None)
        else:
            body[name] = value
    return body


def drawn(service: Planned, **parts: Mapping[str, Any]) -> str:
    """Its picture at the world's time."""
    return "\n".join(picture(seen(service, **parts), service.world.now))


def a_rolled_back_canary(**more: Any) -> Planned:
    """Half of its requests failed."""
    return after(measures(a_canary(**more), BAD), 5)
