"""Renders the chart with Helm itself; what the chart should say is in the tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
KUBERNETES = "1.35.0"
Manifest = dict[str, Any]


def loaded(text: str) -> list[Manifest]:
    """The documents of a text, by the parser in C: the resource definitions are long."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


@dataclass(frozen=True)
class Rendered:
    """What a release would install."""

    manifests: tuple[Manifest, ...]

    def of(self, *kinds: str) -> list[Manifest]:
        """Those of some kinds."""
        return [manifest for manifest in self.manifests if manifest["kind"] in kinds]

    def one(self, kind: str) -> Manifest:
        """The only one of a kind."""
        (found,) = self.of(kind)
        return found

    def named(self, kind: str, name: str) -> Manifest:
        """The one with this name."""
        (found,) = [manifest for manifest in self.of(kind) if manifest["metadata"]["name"] == name]
        return found

    def kinds(self) -> set[str]:
        """All kinds."""
        return {str(manifest["kind"]) for manifest in self.manifests}

    def pod(self) -> Manifest:
        """The pod template of the operator."""
        template: Manifest = self.one("Deployment")["spec"]["template"]
        return template

    def container(self) -> Manifest:
        """The operator's only container."""
        (container,) = self.pod()["spec"]["containers"]
        return dict(container)


@dataclass(frozen=True)
class Chart:
    """The chart, as Helm reads it."""

    helm: str
    folder: Path
    source: Path

    def render(self, values: Mapping[str, Any] | None = None) -> Rendered:
        """What a release named modelwright in namespace modelwright-system would install."""
        done = self._template(values)
        assert done.returncode == 0, done.stderr
        return Rendered(tuple(loaded(done.stdout)))

    def refusal(self, values: Mapping[str, Any], kubernetes: str = KUBERNETES) -> str:
        """What Helm says about values, or a Kubernetes, that it refuses."""
        done = self._template(values, kubernetes)
        assert done.returncode != 0, f"accepted: {values}"
        return done.stderr

    def lint(self) -> str:
        """What `helm lint` says; the strict one, where a warning is an error."""
        done = self._run("lint", "--strict", "--kube-version", KUBERNETES, str(self.folder))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def values(self) -> dict[str, Any]:
        """The default values."""
        loaded: dict[str, Any] = yaml.safe_load((self.folder / "values.yaml").read_text())
        return loaded

    def _template(
        self, values: Mapping[str, Any] | None, kubernetes: str = KUBERNETES
    ) -> subprocess.CompletedProcess[str]:
        arguments = ("--namespace", "modelwright-system", "--kube-version", kubernetes, "--values", "-")
        return self._run(
            "template", "modelwright", str(self.folder), *arguments, given=json.dumps(values or {})
        )

    def _run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.helm, *arguments], input=given, capture_output=True, text=True, timeout=60, check=False
        )
