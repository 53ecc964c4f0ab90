"""Runs `run`: asks for a run of a TrainingJob, and waits for the operator's decision or for the end of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from modelwright.api.runrequests import ANNOTATION
from modelwright.cli import runrequest, screen
from modelwright.cli.cluster import Cluster
from modelwright.cli.errors import Conflict, NoAnswer, Refused
from modelwright.cli.options import RunNow
from modelwright.cli.request import token
from modelwright.cli.viewing import now

# How many conflicts with other writers are retried before the command gives up: the operator writes the same object.
TRIES = 10
# Seconds between two looks at the status.
PAUSE = 0.5
Found = TypeVar("Found")


def run_now(cluster: Cluster, command: RunNow) -> None:
    """Runs the command; Refused if no run starts, or the run does not succeed; NoAnswer if that is not seen in time."""
    sent = _write(cluster, command)
    if command.until == "Written":
        screen.show([f"asked for: a run of {command.place.name}, {sent}"])
        return
    deadline = None if command.timeout is None else time.monotonic() + command.timeout
    decided = _wait(cluster, command, deadline, lambda job: runrequest.decision(job, sent))
    if decided.run is None:
        raise Refused(decided.message)
    screen.show([decided.message])
    if command.until == "Decided":
        return
    number = decided.run
    end = _wait(cluster, command, deadline, lambda job: runrequest.end(job, number))
    if not end.good:
        raise Refused(end.sentence)
    screen.show([end.sentence])


def _write(cluster: Cluster, command: RunNow) -> str:
    """Writes the request. Returns its token."""
    sent, user = token(now()), cluster.user()
    for _ in range(TRIES):
        job = cluster.training_job(command.place.name)
        try:
            cluster.patch_training_job(command.place.name, runrequest.patch(job, sent, user))
        except Conflict:
            continue
        return sent
    raise NoAnswer(f"nothing was asked for: {command.place.name} changes all the time. Try again")


def _wait(
    cluster: Cluster,
    command: RunNow,
    deadline: float | None,
    found: Callable[[Mapping[str, Any]], Found | None],
) -> Found:
    """Waits until something is found in the TrainingJob, and returns it."""
    while True:
        job: Mapping[str, Any] = cluster.training_job(command.place.name)
        seen = found(job)
        if seen is not None:
            return seen
        if deadline is not None and time.monotonic() >= deadline:
            raise NoAnswer(
                f"that is not known within {command.timeout:g} s: is the operator running? kubectl get pods -A -l "
                f"app.kubernetes.io/name=modelwright\nThe request stands. To take it away: kubectl annotate -n "
                f"{cluster.namespace} trainingjob {command.place.name} {ANNOTATION}-"
            )
        time.sleep(PAUSE)
