"""Manifests: their layers and what those hold; and indexes, of which one manifest is chosen."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright_stores.failures import StoreError
from modelwright_stores.registry.reference import DIGEST

MAX_MANIFEST_BYTES = 4 << 20
MAX_LAYERS = 1000
MAX_PATH, MAX_DEPTH = 4096, 100
_CONTROL = re.compile(r"[\x00-\x1f]")

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = ", ".join((IMAGE, INDEX, DOCKER_IMAGE, DOCKER_INDEX))
MODEL = "application/vnd.cncf.model.manifest.v1+json"

TITLE = "org.opencontainers.image.title"
# What ModelPack calls it.
FILE_PATHS = ("org.cncf.model.filepath", "org.cnai.model.filepath")
# ORAS: the layer with this title is a folder, packed.
UNPACK = "io.deis.oras.content.unpack"
# A model does not depend on the machine. The order is fixed, so that every node reads the same bytes.
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True)
class Layer:
    """A layer: a file with a name (`title`), or an archive (`packing`: tar, gzip or zstd) of files."""

    digest: str
    size: int
    title: str | None
    packing: str | None


@dataclass(frozen=True)
class Image:
    """A manifest that was read, with its layers from the lowest to the topmost."""

    digest: str
    layers: tuple[Layer, ...]


class NotAsSpecifiedError(Exception):
    """A manifest that is not what the specification says; the message completes `The registry ...`."""


def digest_of(content: bytes) -> str:
    """`sha256:HEX` of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def document(content: bytes) -> dict[str, Any]:
    """The JSON object that a manifest or an index is. NotAsSpecifiedError."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or len(content) > MAX_MANIFEST_BYTES:
        raise NotAsSpecifiedError("answers with a manifest that is no JSON object of at most 4 MiB")
    return found


def is_index(manifest: Mapping[str, Any]) -> bool:
    """Whether it names manifests instead of layers."""
    return "manifests" in manifest and "layers" not in manifest


def chosen(index: Mapping[str, Any], shown: str) -> str:
    """The digest of the one manifest of an index that is meant: the only one, or the model, or that for Linux on amd64,
    else arm64. UriUnsupported, NotAsSpecifiedError."""
    entries = [entry for entry in _objects(index.get("manifests")) if not _is_attestation(entry)]
    models = [entry for entry in entries if entry.get("artifactType") == MODEL]
    groups = [entries, models, *([e for e in entries if _platform(e) == ("linux", a)] for a in ARCHITECTURES)]
    for group in groups:
        if len(group) == 1:
            return _digest(group[0])
    raise StoreError(
        "UriUnsupported",
        f"{shown} is an index of {len(entries)} manifests, and none of them is the only one, the only model, or the "
        "only one for linux/amd64 or linux/arm64. Name one by its digest: oci://HOST/REPOSITORY@sha256:...",
    )


def image(manifest: Mapping[str, Any], digest: str, shown: str) -> Image:
    """The layers of a manifest. UriUnsupported for one of another kind, NotAsSpecifiedError."""
    if "layers" not in manifest:
        raise StoreError(
            "UriUnsupported",
            f"{shown} is no image or artifact of the OCI or of Docker's schema 2: it has no layers.",
        )
    return Image(digest, tuple(_layer(layer) for layer in _objects(manifest["layers"])))


def clean(path: str) -> str | None:
    """A path in an image without `./`; None for one that leads out of it, is too long or cannot be named."""
    if len(path) > MAX_PATH or _CONTROL.search(path):
        return None
    parts = [part for part in path.split("/") if part not in ("", ".")]
    odd = not parts or ".." in parts or len(parts) > MAX_DEPTH
    return None if odd else "/".join(parts)


def _layer(layer: Mapping[str, Any]) -> Layer:
    size, media = layer.get("size"), layer.get("mediaType")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(media, str):
        raise NotAsSpecifiedError("answers with a manifest whose layers have no size or no media type")
    given = layer.get("annotations")
    annotations = given if isinstance(given, dict) else {}
    packing = _packing(media, annotations)
    title = None
    if packing is None:
        names = (annotations.get(key) for key in (TITLE, *FILE_PATHS))
        title = next((path for name in names if isinstance(name, str) and (path := clean(name))), None)
    return Layer(_digest(layer), size, title, packing)


def _packing(media: str, annotations: Mapping[str, Any]) -> str | None:
    """How files are packed in a layer; None if it is one file."""
    kind = media.partition(";")[0].strip().lower()
    if kind.endswith(("+zstd", ".zstd")):
        packing = "zstd"
    elif kind.endswith(("tar+gzip", "tar.gzip")):
        packing = "gzip"
    elif kind.endswith((".tar", "+tar")):
        packing = "tar"
    else:
        return None
    # `oras push` calls every file a layer of tar; that it is one file shows in its title, unless that is a folder's.
    is_file = TITLE in annotations and annotations.get(UNPACK) != "true" and ".image.layer." in kind
    return None if is_file else packing


def _objects(value: object) -> Sequence[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MAX_LAYERS or not all(isinstance(v, dict) for v in value):
        raise NotAsSpecifiedError(
            f"answers with a manifest whose parts are no list of at most {MAX_LAYERS} objects"
        )
    return value


def _digest(descriptor: Mapping[str, Any]) -> str:
    digest = descriptor.get("digest")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise NotAsSpecifiedError("answers with a manifest whose parts have no sha256 digest")
    return digest


def _platform(entry: Mapping[str, Any]) -> tuple[object, object]:
    platform = entry.get("platform")
    return (platform.get("os"), platform.get("architecture")) if isinstance(platform, dict) else (None, None)


def _is_attestation(entry: Mapping[str, Any]) -> bool:
    """What BuildKit puts beside an image: its provenance, for the platform unknown/unknown."""
    annotations = entry.get("annotations")
    marked = isinstance(annotations, dict) and "vnd.docker.reference.type" in annotations
    return marked or _platform(entry) == ("unknown", "unknown")
