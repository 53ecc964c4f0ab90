"""Which cluster is talked to, and with which programs; knows nothing of what is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.paths import KUBECONFIG, LINKS
from cluster.shell import StepError, run

Object = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """kubectl and helm, bound to one cluster."""

    kubectl_command: tuple[str, ...]
    helm_command: tuple[str, ...]

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 60) -> str:
        """What kubectl printed."""
        return run([*self.kubectl_command, *words], stdin=stdin, timeout=timeout)

    def helm(self, *words: str, timeout: float = 120) -> str:
        """What helm printed."""
        return run([*self.helm_command, *words], timeout=timeout)

    def find(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """An object, if it is there."""
        text = self.kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        found: Object | None = json.loads(text) if text.strip() else None
        return found


def own() -> Target:
    """The cluster that `make cluster` starts."""
    return Target(
        (str(LINKS / "kubectl"), f"--kubeconfig={KUBECONFIG}"),
        (str(LINKS / "helm"), f"--kubeconfig={KUBECONFIG}"),
    )


def existing(context: str | None) -> Target:
    """The cluster that the user's kubeconfig names."""
    target = Target(
        (_program("kubectl"), *_flag("--context", context)),
        (_program("helm"), *_flag("--kube-context", context)),
    )
    target.kubectl("version", timeout=30)
    return target


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(LINKS))
    if found is None:
        raise StepError(f"{name} is not installed: install it, or run `make cluster`, which builds one")
    return found


def _flag(name: str, value: str | None) -> Sequence[str]:
    return [f"{name}={value}"] if value else []


def values_file(chosen: Path | None, default: Path) -> Path:
    """The Helm values that name the images; StepError where nobody said where they are."""
    if chosen is not None:
        if not chosen.is_file():
            raise StepError(f"{chosen} is not there: VALUES names a Helm values file with the images")
        return chosen
    if not default.is_file():
        raise StepError(
            "no images: push the three that `make images` builds to a registry that the cluster pulls from, "
            "and name them in a values file (charts/modelwright/README.md): make quickstart EXISTING=1 VALUES=FILE"
        )
    return default
