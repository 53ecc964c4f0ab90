"""Installs the operator with Helm and waits for it; the same command again changes nothing."""

from __future__ import annotations

import fcntl
from pathlib import Path

from cluster.paths import LOCAL, REPOSITORY
from cluster.quickstart.target import Object, Target
from cluster.shell import StepError
from cluster.steps import say, step

RELEASE = "modelwright"
NAMESPACE = "modelwright-system"
DEPLOYMENT = "deployment/modelwright-operator"
DEFINITION = "trainingjobs.modelwright.dev"
READY_SECONDS = 180
# Helm refuses one of two that work on a release at the same time; the tests of this checkout install too.
LOCK = LOCAL / "install.lock"


def install(target: Target, values: Path) -> None:
    """Install or upgrade the release, then wait until its pods are ready.

    Helm does not wait itself: interrupted while it waits, it leaves the release locked for every later run.
    """
    LOCAL.mkdir(exist_ok=True)
    flags = ownership(target.find("crd", DEFINITION))
    with step("install the operator with Helm"), LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        target.helm(
            *("upgrade", "--install", RELEASE, str(REPOSITORY / "charts" / "modelwright")),
            *("--namespace", NAMESPACE, "--create-namespace", "--values", str(values), *flags),
        )
    with step("wait for the operator"):
        _wait(target)


def ownership(definition: Object | None) -> list[str]:
    """What Helm has to be told of definitions that are there already, so that it does not refuse them."""
    if definition is None:
        return []
    annotations = definition["metadata"].get("annotations") or {}
    owner = (annotations.get("meta.helm.sh/release-namespace"), annotations.get("meta.helm.sh/release-name"))
    if owner == (NAMESPACE, RELEASE):
        return []
    if owner == (None, None):
        return ["--take-ownership"]
    say(
        f"  the resource definitions are those of Helm release {owner[1]} in namespace {owner[0]}: left as they are"
    )
    return ["--set", "crds.enabled=false"]


def _wait(target: Target) -> None:
    try:
        target.kubectl(
            *("-n", NAMESPACE, "rollout", "status", DEPLOYMENT, f"--timeout={READY_SECONDS}s"),
            timeout=READY_SECONDS + 30,
        )
    except StepError as late:
        raise StepError(f"the operator does not become ready: {late}\n{_story(target)}") from late


def _story(target: Target) -> str:
    """What a person would look at first."""
    questions = (
        ("get", "pods", "-o", "wide"),
        ("get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp"),
        ("logs", DEPLOYMENT, "--tail=20"),
    )
    answers = []
    for words in questions:
        try:
            answers.append(
                f"$ kubectl -n {NAMESPACE} {' '.join(words)}\n{target.kubectl('-n', NAMESPACE, *words)}"
            )
        except StepError as unanswered:
            answers.append(str(unanswered))
    return "\n".join(answers)
