"""The bill of materials of an image, as CycloneDX 1.6: its Debian and Python packages, read from its layers."""

from __future__ import annotations

import json
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

_STATUS = "var/lib/dpkg/status"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "modelwright.dev")


@dataclass(frozen=True, order=True)
class Package:
    """One installed package."""

    purl: str
    name: str
    version: str
    license: str | None = None


def packages(folder: Path) -> list[Package]:
    """All packages of an image as `images.buildah` keeps it; of a file in two layers the upper one counts."""
    files: dict[str, str] = {}
    for layer in json.loads((folder / "manifest.json").read_text())["layers"]:
        with tarfile.open(folder / layer["digest"].removeprefix("sha256:"), "r:") as archive:
            files |= dict(_records(archive))
    found: set[Package] = set()
    for name, text in files.items():
        found |= set(debian(text)) if name == _STATUS else {python(text)}
    return sorted(found)


def _records(archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    for entry in archive:
        path = PurePosixPath(entry.name)
        if str(path) == _STATUS or (path.name == "METADATA" and path.parent.suffix == ".dist-info"):
            content = archive.extractfile(entry)
            if content is not None:
                yield str(path), content.read().decode(errors="replace")


def debian(status: str) -> Iterator[Package]:
    """The packages of dpkg's status file that are installed."""
    for paragraph in status.split("\n\n"):
        fields = Parser().parsestr(paragraph)
        if fields["Status"] == "install ok installed":
            name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
            yield Package(f"pkg:deb/debian/{name}@{quote(version)}?arch={machine}", name, version)


def python(metadata: str) -> Package:
    """The package that a METADATA file of Python describes."""
    fields = Parser().parsestr(metadata, headersonly=True)
    name, version = fields["Name"], fields["Version"]
    normal = name.lower().replace("_", "-").replace(".", "-")
    return Package(f"pkg:pypi/{normal}@{quote(version)}", name, version, fields["License-Expression"])


def document(image: str, digest: str, found: list[Package], moment: str) -> dict[str, Any]:
    """The bill. Its serial number follows from its content, and its time is that of the commit."""
    name, _, version = image.rpartition(":")
    plain = name.rpartition("/")[2]
    content = {
        "metadata": {
            "timestamp": moment,
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": name,
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
                "purl": f"pkg:oci/{plain}@{quote(digest, safe='')}?tag={quote(version)}",
            },
        },
        "components": [_component(package) for package in found],
        "dependencies": [
            {"ref": "image", "dependsOn": [package.purl for package in found]},
            *({"ref": package.purl} for package in found),
        ],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        **content,
    }


def _component(package: Package) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        **({"licenses": [{"expression": package.license}]} if package.license else {}),
    }
