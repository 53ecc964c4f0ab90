"""A small image as buildah leaves it, and Helm."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13
Description: C library

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
METADATA = (
    "Metadata-Version: 2.4\nName: Some_Package\nVersion: 1.2.3\nLicense-Expression: MIT\n\nName: body\n"
)


def layer(folder: Path, files: dict[str, str]) -> dict[str, object]:
    """Write a layer with these files; return its descriptor."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return blob(folder, plain.getvalue(), "application/vnd.oci.image.layer.v1.tar")


def blob(folder: Path, content: bytes, kind: str) -> dict[str, object]:
    """Write a blob; return its descriptor."""
    name = hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{name}", "size": len(content)}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of a base and a layer with a Python package."""
    folder = tmp_path / "image"
    folder.mkdir()
    layers = [
        layer(folder, {"var/lib/dpkg/status": STATUS, "etc/os-release": "ID=debian\n"}),
        layer(folder, {"opt/modelwright/some_package-1.2.3.dist-info/METADATA": METADATA}),
    ]
    diffs = [str(each["digest"]) for each in layers]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
    described = blob(folder, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": layers}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def helm() -> Path:
    """The Helm of the cluster."""
    program = ROOT / ".cluster" / "bin" / "helm"
    if not program.exists():
        pytest.skip("Helm is not in .cluster/bin: `make cluster` builds it")
    return program
