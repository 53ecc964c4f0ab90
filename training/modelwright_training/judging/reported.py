"""Reads the numbers that an own trainer reports itself (metrics.json): bounded, and left out where they are not as they
should be. Nothing here is measured, and it is marked so wherever it is shown."""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelwright_training.errors import listing, storage
from modelwright_training.files import regular, size_of

MAX_BYTES = 64 << 10
MAX_METRICS = 30
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reported:
    """Numbers by name. `why`: why there are none, or not all."""

    values: Mapping[str, float] = field(default_factory=dict)
    why: str | None = None


NOTHING = Reported(why="it left no metrics.json")


def load_reported(path: Path) -> Reported:
    """The numbers that the trainer has left: a model is not refused for what is said about it."""
    with storage(f"Reading {path}"), regular(path) as file:
        if file is None:
            return NOTHING
        size = size_of(file)
        text = file.read() if size <= MAX_BYTES else None
    found = (
        Reported(why=f"metrics.json has {size} bytes, more than {MAX_BYTES}") if text is None else _read(text)
    )
    if found.why:
        log.info("%s", found.why)
    return found


def _read(text: bytes) -> Reported:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return Reported(why="metrics.json is no JSON")
    if not isinstance(document, dict):
        return Reported(why="metrics.json is no object of names and numbers")
    numbers = {
        name: float(value) for name, value in document.items() if is_number(value) and NAME.fullmatch(name)
    }
    kept = dict(list(numbers.items())[:MAX_METRICS])
    left = [name[:63] for name in document if name not in kept]
    may = f"it may have {MAX_METRICS} finite numbers, with names of a-z, 0-9 and _"
    why = f"of metrics.json {listing(left, 5)} is left out: {may}"
    return Reported(kept, why if left else None)


def is_number(value: object) -> bool:
    """Whether a value of a JSON document is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        return False
