"""Drives a real cluster as a user does, in one namespace: kubectl writes, and the same API server is read directly."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.apiserver import connected

ROOT = Path(__file__).parents[2]
KUBECONFIG = ROOT / ".cluster/kubeconfig"
Object = dict[str, Any]


def program(name: str) -> str:
    """The path of kubectl or helm: the cluster's own, else the one on PATH."""
    own = ROOT / ".cluster/bin" / name
    return str(own) if own.exists() else (shutil.which(name) or name)


class KubectlError(AssertionError):
    """kubectl said no."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl, bound to a namespace."""

    namespace: str

    def command(self, *words: str) -> list[str]:
        return [program("kubectl"), f"--kubeconfig={KUBECONFIG}", f"--namespace={self.namespace}", *words]

    def run(self, *words: str, given: str | None = None, timeout: float = 120) -> str:
        """Runs a command; KubectlError with what it said when it fails."""
        done = subprocess.run(
            self.command(*words), input=given, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: Object, dry_run: bool = False, validate: bool = True) -> None:
        """Applies manifests; `validate=False` leaves it to the API server to find mistakes."""
        flags = (*(("--dry-run=server",) if dry_run else ()), *(() if validate else ("--validate=false",)))
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.run("apply", "--server-side", "--force-conflicts", *flags, "-f", "-", given=text)

    def refuses(self, manifest: Object) -> str:
        """Applies a manifest that must be refused; gives what the API server said."""
        try:
            self.apply(manifest, validate=False)
        except KubectlError as error:
            return str(error)
        raise AssertionError(f"the API server took it: {json.dumps(manifest)}")

    def get(self, kind: str, name: str) -> Object:
        """An object."""
        found = self.find(kind, name)
        if found is None:
            raise KubectlError(f"{kind} {name} is not there")
        return found

    def find(self, kind: str, name: str) -> Object | None:
        """An object, or None when it is not there."""
        return connected(KUBECONFIG).find(kind, self.namespace, name)

    def all(self, kinds: str, selector: str = "") -> list[Object]:
        """All objects of these kinds (`pod,service`) that have these labels."""
        return connected(KUBECONFIG).all(kinds, self.namespace, selector)

    def patch(self, kind: str, name: str, patch: Object) -> None:
        """Merges a patch into an object."""
        self.run("patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    def delete(self, kind: str, name: str, *flags: str) -> None:
        """Deletes an object."""
        self.run("delete", kind, name, "--ignore-not-found", *flags)

    def events(self, kind: str, name: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of the events of an object."""
        return [
            (event["type"], event["reason"], event["message"])
            for event in self.all("events")
            if event["involvedObject"]["kind"] == kind and event["involvedObject"]["name"] == name
        ]

    def wait(
        self, kind: str, name: str, until: Callable[[Object], object], *, within: float = 120, what: str = ""
    ) -> Object:
        """Waits until an object satisfies a condition; gives it. Fails with the object's story."""
        deadline = time.monotonic() + within
        seen: Object | None = None
        while time.monotonic() < deadline:
            seen = self.find(kind, name)
            if seen is not None and until(seen):
                return seen
            time.sleep(0.2)
        raise AssertionError(
            f"{kind} {name} did not become {what or 'so'} within {within} s: {self.story(seen)}"
        )

    def condition(
        self,
        kind: str,
        name: str,
        aspect: str,
        status: str,
        reason: str | None = None,
        *,
        within: float = 120,
    ) -> Object:
        """Waits for a condition of an object's newest generation."""

        def holds(found: Object) -> bool:
            known = condition(found, aspect)
            return (
                known is not None
                and known["status"] == status
                and (reason is None or known["reason"] == reason)
                and known["observedGeneration"] == found["metadata"]["generation"]
            )

        return self.wait(kind, name, holds, within=within, what=f"{aspect}={status} {reason or ''}")

    def story(self, found: Object | None) -> str:
        """What a person would look at."""
        if found is None:
            return "it is not there"
        name, kind = found["metadata"]["name"], found["kind"]
        status = json.dumps(found.get("status"), indent=1)
        pods = self.run("get", "pods", "-o", "wide")
        return f"\nstatus: {status}\nevents: {self.events(kind, name)}\npods:\n{pods}"


def condition(found: Object, aspect: str) -> Object | None:
    """A condition of an object."""
    known: Iterable[Object] = found.get("status", {}).get("conditions") or ()
    return next((each for each in known if each["type"] == aspect), None)


def is_ready(pod: Object) -> bool:
    """True if the condition Ready of a pod is True."""
    return (condition(pod, "Ready") or {}).get("status") == "True"


def message(found: Object, aspect: str = "Ready") -> str:
    """The message of a condition."""
    known = condition(found, aspect)
    assert known is not None, f"no condition {aspect}"
    return str(known["message"])
