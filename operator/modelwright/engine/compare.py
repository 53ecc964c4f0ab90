"""Compares what the API server holds with what we want: plain JSON, and hashes of it. Pure.

The API server fills in defaults, drops empty fields and writes amounts in its own way; none of that is a
difference.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity

from modelwright.engine.objects import Body

AMOUNTS = frozenset({"limits", "requests", "capacity", "hard"})
REMEMBERED = 10_000
_ABSENT = object()


def digest(value: object) -> str:
    """A hash of a JSON value that does not depend on the order of fields."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_nulls(value: object) -> object:
    """The value without the fields that are null: to set null and to leave out is the same to the API server."""
    if isinstance(value, Mapping):
        return {name: without_nulls(sub) for name, sub in value.items() if sub is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(sub) for sub in value]
    return value


def differs_at(wanted: object, live: object, path: str = "", *, amounts: bool = False) -> str | None:
    """Where the live value first falls short of the wanted one, as a path; None when it covers all of it.

    A map covers another when it covers each of its fields; lists have to be of one length.
    """
    if isinstance(wanted, Mapping) and (isinstance(live, Mapping) or (live is _ABSENT and wanted)):
        held = live if isinstance(live, Mapping) else {}
        for name, value in wanted.items():
            inside = path.rpartition(".")[2] in AMOUNTS
            found = differs_at(value, held.get(name, _ABSENT), f"{path}.{name}".lstrip("."), amounts=inside)
            if found is not None:
                return found
        return None
    if isinstance(wanted, list) and isinstance(live, list):
        if len(wanted) != len(live):
            return path
        found_in = (
            differs_at(w, h, f"{path}[{i}]") for i, (w, h) in enumerate(zip(wanted, live, strict=True))
        )
        return next((found for found in found_in if found is not None), None)
    return None if _same(wanted, live, amounts=amounts) else path


def extract(wanted: object, live: object) -> object:
    """The parts of the live value that the wanted one has."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return {name: extract(value, live.get(name)) for name, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [extract(w, h) for w, h in zip(wanted, live, strict=True)]
    return live


def _same(wanted: object, live: object, *, amounts: bool) -> bool:
    if live is _ABSENT:
        # The API server drops these when they are empty. It keeps an empty map: emptyDir: {} means something.
        return wanted is None or wanted in (False, 0, "", [])
    if amounts and _is_amount(wanted) and _is_amount(live):
        return _amount(wanted) == _amount(live)
    return bool(wanted == live)


def _is_amount(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _amount(value: object) -> Decimal | str:
    try:
        amount: Decimal = parse_quantity(str(value))  # type: ignore[no-untyped-call]
    except ValueError:
        return str(value)  # the API server reports what is wrong with it
    return amount


class Settled:
    """What the API server made of our writes where that is not quite what we wrote.

    A webhook or the API server itself may keep a field in another form. To write again would change nothing, for
    ever; so the write counts as done until what we want, or what is there in its place, changes.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def remember(self, name: str, wanted: object, live: object) -> None:
        """The API server answered our write of `wanted` with `live`."""
        self._seen.pop(name, None)
        self._seen[name] = digest(wanted), digest(extract(wanted, live))
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def holds(self, name: str, wanted: object, live: object) -> bool:
        """Whether nothing has changed since."""
        seen = self._seen.get(name)
        return seen is not None and seen == (digest(wanted), digest(extract(wanted, live)))


class Unchanged:
    """What was found to be written already, of the objects that were planned last.

    Plans of one object are mostly alike. To compare two plans costs a twentieth of comparing one with the live object.
    """

    def __init__(self, remembered: int = 1000) -> None:
        self._remembered = remembered
        self._seen: OrderedDict[Hashable, tuple[object, object]] = OrderedDict()

    def remember(self, name: Hashable, wanted: object, live: object) -> None:
        """To write `wanted` would change nothing at this live object."""
        self._seen[name] = wanted, live
        self._seen.move_to_end(name)
        while len(self._seen) > self._remembered:
            self._seen.popitem(last=False)

    def holds(self, name: Hashable, wanted: object, live: object) -> bool:
        """Whether the same is wanted as then, and the live object is the very same one."""
        seen = self._seen.get(name)
        return seen is not None and seen[1] is live and seen[0] == wanted


def covers(wanted: Body, live: Body) -> bool:
    """Whether the live object holds every field of the wanted one with the same value."""
    return differs_at(wanted, live) is None
