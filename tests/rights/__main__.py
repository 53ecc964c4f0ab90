"""`make rights`: the operator's rights beside what it did, from the audit log of the cluster on this host."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from cluster.paths import AUDIT_LOG
from support.kubectl import Kubectl
from support.operator import NAMESPACE

from rights.comparing import Comparison, Object, compare, granted, requests, why

ACCOUNT_NAME = "modelwright-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT_NAME}"
# Fewer requests are no run of the tests.
FEWEST = 1000


def main() -> int:
    """Prints the comparison; 1 if a right is neither used nor argued for, or one was missing."""
    if not AUDIT_LOG.exists():
        print("no audit log: `make test` on a cluster of this host writes one")
        return 1
    found = compare(granted(roles()), requests(lines(), ACCOUNT))
    if found.used.total() < FEWEST:
        print(f"the audit log holds {found.used.total()} requests of {ACCOUNT}: run `make test` first")
        return 1
    show(found)
    return 1 if found.unexplained or found.refused else 0


def lines() -> Iterator[str]:
    """The lines of the log and of its earlier parts."""
    for path in sorted(AUDIT_LOG.parent.glob(f"{AUDIT_LOG.stem}*{AUDIT_LOG.suffix}")):
        with path.open() as log:
            yield from log


def roles() -> list[Object]:
    """The roles that are bound to the account."""
    kubectl = Kubectl(NAMESPACE)
    found: list[Object] = []
    for kind in ("role", "clusterrole"):
        for binding in kubectl.all(f"{kind}binding"):
            subjects = [(each.get("namespace"), each["name"]) for each in binding.get("subjects") or ()]
            if (NAMESPACE, ACCOUNT_NAME) in subjects:
                found.append(kubectl.get(binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"]))
    return found


def show(found: Comparison) -> None:
    """Prints what was used, what was not, and what was refused."""
    for right, times in sorted(found.used.items()):
        print(f"{times:8} {right}")
    for right in sorted(found.unused):
        print(
            f"  unused {right}: {why(right) or 'NOTHING ARGUES FOR IT: remove it from templates/rbac/_rules.tpl'}"
        )
    for right, times in sorted(found.refused.items()):
        print(f" refused {right} ({times} times): a right is MISSING")


if __name__ == "__main__":
    sys.exit(main())
