"""Compares what the API server's audit log shows of an account with what its roles give it. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = Mapping[str, Any]


class Right(NamedTuple):
    """One verb on one resource: `patch`, ``, `pods/status`."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"


@dataclass(frozen=True)
class Comparison:
    """What is granted and was not used, and what was refused for want of a right."""

    used: Counter[Right]
    unused: frozenset[Right]
    refused: Counter[Right]

    @property
    def unexplained(self) -> list[Right]:
        """The unused rights that nothing argues for."""
        return sorted(right for right in self.unused if why(right) is None)


# What the operator applies.
APPLIED = frozenset(
    (
        "configmaps", "services", "deployments", "horizontalpodautoscalers", "httproutes", "prometheusrules",
        "poddisruptionbudgets",
    )
)  # fmt: skip


def why(right: Right) -> str | None:
    """Why the operator has a right that no test need use; None if nothing is known."""
    if right.verb == "update" and right.resource.endswith("/finalizers"):
        return "lets it own children on clusters that check rights on owner references"
    if right.verb == "get" and "/" not in right.resource:
        return "reads an object again after a write that met a conflict"
    if right.verb == "create" and right.resource in APPLIED:
        return "is asked for by the API server where an apply makes an object; its log has it as a patch"
    return None


def requests(lines: Iterable[str], account: str) -> Iterator[tuple[Right, int]]:
    """The requests of an account in an audit log, each with the code of its answer."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the end of a file that is being written
            continue
        reference = entry.get("objectRef") or {}
        # Who impersonates the account is a test.
        if entry.get("user", {}).get("username") != account or not reference.get("resource"):
            continue
        part = reference.get("subresource")
        resource = f"{reference['resource']}/{part}" if part else reference["resource"]
        code = int((entry.get("responseStatus") or {}).get("code", 0))
        yield Right(reference.get("apiGroup", ""), resource, entry["verb"]), code


def granted(roles: Iterable[Object]) -> frozenset[Right]:
    """What roles allow."""
    return frozenset(
        Right(group, resource, verb)
        for role in roles
        for rule in role.get("rules") or ()
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
        for verb in rule["verbs"]
    )


def compare(given: frozenset[Right], seen: Iterable[tuple[Right, int]]) -> Comparison:
    """Compares; a request that was refused for want of a right used none."""
    used: Counter[Right] = Counter()
    refused: Counter[Right] = Counter()
    for right, code in seen:
        # An admission policy and a namespace that ends answer 403, too; the right was there.
        (refused if code == 403 and right not in given else used)[right] += 1
    return Comparison(used, frozenset(given - set(used)), refused)
