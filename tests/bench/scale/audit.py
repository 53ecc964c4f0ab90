"""Counts the operator's requests in the API server's audit log. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))
READS = frozenset(("get", "list"))
LEASES = "leases"


@dataclass(frozen=True)
class Request:
    """One request: its verb, its resource (`services`, `modelversions/status`), and the object's name."""

    verb: str
    resource: str
    name: str
    code: int
    at: datetime

    @property
    def what(self) -> str:
        """What the requests are counted by."""
        return f"{self.verb} {self.resource}"

    @property
    def writes(self) -> bool:
        return self.verb in WRITES


def requests(lines: Iterable[str]) -> Iterator[Request]:
    """The requests of an audit log, without watches, which last, and without those for no resource."""
    for line in lines:
        entry = json.loads(line)
        reference = entry.get("objectRef")
        if reference is None or entry["verb"] not in WRITES | READS or not reference.get("resource"):
            continue
        yield Request(
            entry["verb"],
            _resource(reference),
            str(reference.get("name", "")),
            int(entry.get("responseStatus", {}).get("code", 0)),
            datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        )


def _resource(reference: dict[str, Any]) -> str:
    part = reference.get("subresource")
    return f"{reference['resource']}/{part}" if part else str(reference["resource"])


def work(found: Iterable[Request]) -> list[Request]:
    """The requests without those about the Lease, which go on whatever happens."""
    return [request for request in found if request.resource != LEASES]


def counted(found: Iterable[Request], prefix: str = "") -> dict[str, int]:
    """How many requests of each kind there were about objects whose name begins so, the most frequent first."""
    chosen = Counter(request.what for request in work(found) if request.name.startswith(prefix))
    return dict(sorted(chosen.items(), key=lambda each: (-each[1], each[0])))


def refused(found: Iterable[Request]) -> dict[str, int]:
    """How many requests of each kind were refused, by code."""
    return dict(Counter(f"{each.what} {each.code}" for each in found if each.code >= 400).most_common())


def longest_lease_gap(found: Iterable[Request]) -> float:
    """Seconds of the longest time between two renewals of the Lease; 0 if there were not two."""
    times = sorted(each.at for each in found if each.resource == LEASES and each.writes and each.code < 400)
    return max(((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=0.0)
