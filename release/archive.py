"""Packs a built image as an OCI archive with compressed layers; the same image gives the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_COMPRESSED = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_HELD = "application/vnd.oci.image.layer.v1.tar"


def pack(folder: Path, name: str, annotations: Mapping[str, str], scratch: Path, target: Path) -> str:
    """Write the archive; return the digest of its manifest, by which a registry knows it.

    `folder` is an image as `images.buildah` keeps it. Compressed layers stay in `scratch`: images share them.
    """
    given = json.loads((folder / "manifest.json").read_text())
    layers = [_compressed(folder, layer, scratch) for layer in given["layers"]]
    config = given["config"]
    content = _text(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": dict(sorted(annotations.items())),
        }
    )
    blobs = {config["digest"]: folder / config["digest"].removeprefix("sha256:")}
    blobs |= {layer["digest"]: scratch / layer["digest"].removeprefix("sha256:") for layer in layers}
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "oci-layout", _text({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", _text(_index(name, digest, len(content))))
        _add(archive, f"blobs/sha256/{digest.removeprefix('sha256:')}", content)
        for named, path in sorted(blobs.items()):
            with path.open("rb") as blob:
                entry = _entry(f"blobs/sha256/{named.removeprefix('sha256:')}", path.stat().st_size)
                archive.addfile(entry, blob)
    return digest


def _index(name: str, digest: str, size: int) -> dict[str, Any]:
    """The index of a layout with one image; tools find its name in different annotations."""
    annotations = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    described = {"mediaType": _MANIFEST, "digest": digest, "size": size, "annotations": annotations}
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]}


def _compressed(folder: Path, layer: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """The descriptor of a layer, compressed once for all images."""
    if layer["mediaType"] != _HELD:
        raise ValueError(f"a layer of {folder.name} is not a plain tar: {layer['mediaType']}")
    plain = layer["digest"].removeprefix("sha256:")
    known = scratch / f"{plain}.json"
    if not known.exists():
        partial = scratch / f"{plain}.partial"
        with (
            (folder / plain).open("rb") as source,
            partial.open("wb") as sink,
            # Neither a name nor a time, so that the bytes follow from the layer.
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=sink, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 1 << 20)
        with partial.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size = partial.stat().st_size
        partial.rename(scratch / digest)
        known.write_bytes(_text({"mediaType": _COMPRESSED, "digest": f"sha256:{digest}", "size": size}))
    descriptor: dict[str, Any] = json.loads(known.read_text())
    return descriptor


def _text(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_entry(name, len(content)), io.BytesIO(content))


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry
