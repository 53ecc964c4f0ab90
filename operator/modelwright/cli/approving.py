"""Runs `approve` and `reject`: finds out who asks, writes that entry, and waits for what the operator makes of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from modelwright.cli import approval, screen
from modelwright.cli.cluster import Cluster
from modelwright.cli.errors import Conflict, NoAccess, NoAnswer, Refused
from modelwright.cli.options import Decide
from modelwright.view.version import Unreadable, Version, read_version

# How many conflicts with other writers are retried before the command gives up: the operator writes the same object.
TRIES = 10
# Seconds between two looks at the status.
PAUSE = 0.5


def decide(cluster: Cluster, command: Decide) -> None:
    """Runs the command; Refused or NoAccess if it cannot be said, NoAnswer if the operator does not take it in."""
    name, user = command.place.name, cluster.reviewed_user()
    if not cluster.may_approve(name):
        raise NoAccess(_may_not(cluster.namespace, user, command))
    said = _write(cluster, command, user)
    word = approval.DONE[command.decision]
    if not command.wait:
        screen.show([f"{name}: {word} by {user}"])
        return
    version = _recorded(cluster, command, said)
    screen.show([f"{name}: {word} by {user}", *(f"  {line}" for line in approval.follows(version, said))])


def _may_not(namespace: str, user: str, command: Decide) -> str:
    # Its name follows the release, which this command does not know.
    return (
        f"{user} may not {command.decision.lower()} ModelVersions in namespace {namespace}: the verb approve is "
        "missing. An administrator can allow it with the role RELEASE-approver of the chart, such as "
        "modelwright-approver (with scope.namespace it is a Role: --role):\n"
        f"  kubectl create rolebinding approvers -n {namespace} --clusterrole=RELEASE-approver --user={user}"
    )


def _write(cluster: Cluster, command: Decide, user: str) -> Mapping[str, Any]:
    """Writes the entry unless it stands there. Returns it."""
    shown = False
    for _ in range(TRIES):
        body = cluster.version(command.place.name)
        version = _read(body)
        said = approval.entry(command, user, version)
        change = approval.patch(body, said)
        if change is None:
            return said
        if not shown:
            screen.report("\n".join(approval.remarks(command, version)))
            shown = True
        try:
            cluster.patch_version(command.place.name, change)
        except Conflict:
            continue
        return said
    raise NoAnswer(f"nothing was written: {command.place.name} changes all the time. Try again")


def _recorded(cluster: Cluster, command: Decide, said: Mapping[str, Any]) -> Version:
    """Waits until the operator has taken it in, and returns the version as it is then."""
    deadline = time.monotonic() + command.timeout
    while True:
        version = _read(cluster.version(command.place.name))
        if approval.is_recorded(version, said):
            return version
        if time.monotonic() >= deadline:
            raise NoAnswer(
                f"it is written, and the operator has not taken it in within {command.timeout:g} s: is it running? "
                "kubectl get pods -A -l app.kubernetes.io/name=modelwright"
            )
        time.sleep(PAUSE)


def _read(body: object) -> Version:
    try:
        return read_version(body)
    except Unreadable as error:
        raise Refused(str(error)) from error
