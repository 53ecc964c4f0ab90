"""Applies the example and follows it to its end, saying each change; says why where it does not get there."""

from __future__ import annotations

import json
import time

from cluster.paths import REPOSITORY
from cluster.quickstart.progress import (
    Line,
    Object,
    Seen,
    Served,
    condition,
    finished,
    holds,
    lines,
    newest_version,
    stuck,
)
from cluster.quickstart.target import Target
from cluster.shell import StepError
from cluster.steps import say, step

NAMESPACE = "modelwright-quickstart"
NAME = "breast-cancer"
EXAMPLE = REPOSITORY / "examples" / "quickstart"
SECONDS = 900
PAUSE = 0.5


def apply(target: Target) -> None:
    """Apply the example in a namespace that lets only restricted pods run."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    with step(f"apply {EXAMPLE.relative_to(REPOSITORY)}"):
        target.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
        _remove_failed(target)
        target.kubectl("-n", NAMESPACE, "apply", "-f", str(EXAMPLE))


def _remove_failed(target: Target) -> None:
    """What an earlier attempt left in a state that only a change ends: applying the same again is none."""
    seen = look(target)
    for found in (seen.job, seen.service):
        if found is not None and holds(found, "Stalled"):
            target.kubectl("-n", NAMESPACE, "delete", found["kind"], found["metadata"]["name"])


def follow(target: Target) -> Served:
    """Say each change until the service serves what was trained; StepError if that will not happen."""
    started = time.monotonic()
    said: dict[str, Line] = {}
    while (waited := time.monotonic() - started) < SECONDS:
        seen = look(target)
        for line in lines(seen):
            if said.get(line.kind) != line:
                said[line.kind] = line
                say(line.text(waited))
        if (served := finished(seen)) is not None:
            return served
        if (found := stuck(seen)) is not None:
            raise StepError(_failure(target, found))
        time.sleep(PAUSE)
    raise StepError(f"not served within {SECONDS} s\n{_pods(target)}")


def look(target: Target) -> Seen:
    """The three objects as they are now."""
    job = target.find("trainingjob", NAME, NAMESPACE)
    newest = newest_version(job)
    version = target.find("modelversion", newest, NAMESPACE) if newest else None
    return Seen(job, version, target.find("inferenceservice", NAME, NAMESPACE))


def _failure(target: Target, found: Object) -> str:
    """What went wrong, what was seen of it, and where to look."""
    kind, name = found["kind"].lower(), found["metadata"]["name"]
    said = condition(found, "Ready") or {}
    events = target.kubectl("-n", NAMESPACE, "events", "--for", f"{kind}/{name}")
    return "\n".join(
        (
            f"{found['kind']} {name} cannot go on: {said.get('reason')}: {said.get('message')}",
            f"\nIts events:\n{events.rstrip()}",
            f"\n{_pods(target)}",
            "Look closer:",
            f"  kubectl -n {NAMESPACE} describe {kind}/{name}",
            f"  kubectl -n {NAMESPACE} logs -l modelwright.dev/training-job={NAME} --all-containers --prefix",
        )
    )


def _pods(target: Target) -> str:
    return f"The pods of namespace {NAMESPACE}:\n{target.kubectl('-n', NAMESPACE, 'get', 'pods')}"
