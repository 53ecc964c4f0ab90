"""Packs a folder that `buildah push dir:` made into an OCI archive, without what the node has already."""

import hashlib
import io
import json
import tarfile
from collections.abc import Collection
from pathlib import Path

MANIFEST = "manifest.json"


def size(folder: Path) -> int:
    """Return the bytes of all layers; they are not compressed."""
    manifest = json.loads((folder / MANIFEST).read_text())
    return sum(int(layer["size"]) for layer in manifest["layers"])


def pack(folder: Path, name: str, known: Collection[str], target: Path) -> None:
    """Write the archive; known are the digests to leave out."""
    content = (folder / MANIFEST).read_bytes()
    manifest = json.loads(content)
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(archive, "index.json", json.dumps(_index(content, name)).encode())
        _add(archive, f"blobs/sha256/{hashlib.sha256(content).hexdigest()}", content)
        for blob in [manifest["config"], *manifest["layers"]]:
            if blob["digest"] not in known:
                hexadecimal = blob["digest"].removeprefix("sha256:")
                archive.add(folder / hexadecimal, f"blobs/sha256/{hexadecimal}")


def _index(manifest: bytes, name: str) -> dict[str, object]:
    described = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": name},
    }
    return {"schemaVersion": 2, "manifests": [described]}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
