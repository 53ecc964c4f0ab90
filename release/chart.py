"""Packages the chart of a release: Helm checks and packs it, and then the same commit gives the same bytes."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from cluster.shell import StepError, run

NAMESPACE = "modelwright-system"
_REGISTRY = '  imageRegistry: ""\n'


@dataclass(frozen=True)
class Origin:
    """Where a release comes from and where it goes to."""

    version: str
    moment: int
    registry: str
    source: str
    notes: tuple[str, ...]


def prepare(chart: Path, origin: Origin, target: Path) -> None:
    """Copy the chart and write into it where its images and its source are."""
    shutil.copytree(chart, target)
    values = target / "values.yaml"
    text = values.read_text()
    if text.count(_REGISTRY) != 1:
        raise StepError('values.yaml has no line `imageRegistry: ""` to fill in')
    if origin.registry:
        values.write_text(text.replace(_REGISTRY, f"  imageRegistry: {origin.registry}\n"))
    described = target / "Chart.yaml"
    described.write_text(chart_yaml(described.read_text(), origin))


def chart_yaml(text: str, origin: Origin) -> str:
    """Chart.yaml with the images as they are pulled, the repository, and what has changed."""
    chart = yaml.safe_load(text)
    if chart["version"] != origin.version or chart["appVersion"] != origin.version:
        raise StepError(f"Chart.yaml has version {chart['version']}, and the release is {origin.version}")
    annotations = chart["annotations"]
    images = yaml.safe_load(annotations["artifacthub.io/images"])
    for image in images:
        image["image"] = f"{origin.registry}/{image['image']}" if origin.registry else image["image"]
    annotations["artifacthub.io/images"] = yaml.safe_dump(images, sort_keys=False)
    annotations["artifacthub.io/prerelease"] = str("-" in origin.version).lower()
    changes = [{"kind": "changed", "description": note} for note in origin.notes]
    if changes:
        annotations["artifacthub.io/changes"] = yaml.safe_dump(changes, sort_keys=False, width=1000)
    if origin.source:
        chart["sources"] = [origin.source]
        links = [{"name": "source", "url": origin.source}]
        annotations["artifacthub.io/links"] = yaml.safe_dump(links, sort_keys=False)
    return yaml.safe_dump(chart, sort_keys=False, width=1000, allow_unicode=True)


def package(helm: Path, chart: Path, moment: int, scratch: Path, target: Path) -> None:
    """Pack it. Helm stamps each file with the time of packing; the time of the commit takes its place."""
    run([helm, "lint", "--strict", chart])
    run([helm, "package", chart, "--destination", scratch])
    (packed,) = scratch.glob("*.tgz")
    with tarfile.open(packed) as archive:
        entries = [(entry.name, _content(archive, entry)) for entry in archive if entry.isfile()]
    target.write_bytes(_packed(entries, moment))


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    return file.read() if file is not None else b""


def _packed(entries: Iterable[tuple[str, bytes]], moment: int) -> bytes:
    """The archive, with Chart.yaml first, as Helm wants it."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(entries, key=lambda each: (not each[0].endswith("/Chart.yaml"), each[0])):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, moment
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=9, mtime=0)


def manifest(helm: Path, chart: Path, values: Path) -> str:
    """What `helm install` would make of the packaged chart, with its namespace, for `kubectl apply`."""
    rendered = run([helm, "template", "modelwright", chart, "--namespace", NAMESPACE, "--values", values])
    labels = "{pod-security.kubernetes.io/enforce: restricted}"
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels: {labels}\n"
    return f"---\n{namespace}{rendered}"
