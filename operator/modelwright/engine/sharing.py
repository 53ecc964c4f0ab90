"""Holds equal texts of bodies once: names of fields, labels, images and options are the same in thousands of objects.

It halves what a body takes: the JSON parser makes new texts for each body.
"""

from __future__ import annotations

import sys
from typing import Any

# Longer texts are rarely equal.
LONGEST = 64
# So many texts are remembered; then it starts again, and texts of before are held by their bodies alone.
REMEMBERED = 10_000


class Texts:
    """The texts that bodies share."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def share(self, body: dict[str, Any]) -> dict[str, Any]:
        """A copy of a body whose texts are those of earlier bodies, where they are equal."""
        if len(self._known) > REMEMBERED:
            self._known.clear()
        shared: dict[str, Any] = self._shared(body)
        return shared

    def _shared(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        kind = type(value)
        if kind is str:
            return self._known.setdefault(value, value) if len(value) <= LONGEST else value
        if kind is dict:
            return {sys.intern(name): self._shared(part) for name, part in value.items()}
        if kind is list:
            return [self._shared(part) for part in value]
        return value
