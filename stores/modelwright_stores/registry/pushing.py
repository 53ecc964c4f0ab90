"""Pushes files as a ModelPack artifact (https://github.com/modelpack/model-spec): each file is a layer of its own, not
packed; the config says what they are; the manifest comes last and makes it visible."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright_stores.failures import StoreError
from modelwright_stores.registry import answers
from modelwright_stores.registry.manifests import FILE_PATHS, IMAGE, MODEL, TITLE, digest_of
from modelwright_stores.registry.session import PUSH, REDIRECTS, Answer, Session
from modelwright_stores.resuming import Patience, patiently

PIECE = 1 << 20
CONFIG = "application/vnd.cncf.model.config.v1+json"
WEIGHTS = "application/vnd.cncf.model.weight.v1.raw"
DOCUMENT = "application/vnd.cncf.model.doc.v1.raw"
# What goes wrong may pass within this time; a check gives up sooner.
PATIENCE, BRIEFLY = Patience(silent=120, total=math.inf, sends=True), Patience(silent=3)
BYTES = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Content:
    """Bytes to push, in memory or in a file."""

    source: bytes | Path
    digest: str
    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes, never all of a file at once."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        with self.source.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True)
class Artifact:
    """What is pushed: the blobs, and the manifest that names them."""

    blobs: tuple[Content, ...]
    manifest: bytes

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)


def content(source: bytes | Path) -> Content:
    """Some bytes with their digest."""
    if isinstance(source, bytes):
        return Content(source, digest_of(source), len(source))
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Content(source, f"sha256:{digest}", file.tell())


def artifact(files: Mapping[str, bytes | Path], config: Mapping[str, object]) -> Artifact:
    """The ModelPack artifact of some files. The same files and config give the same bytes."""
    names = sorted(files, key=lambda name: (not _is_model(name), name))
    layers = [content(files[name]) for name in names]
    technical = config.get("config")
    document = {
        "descriptor": config.get("descriptor") or {},
        "config": {"format": "onnx", **(technical if isinstance(technical, Mapping) else {})},
        "modelfs": {"type": "layers", "diffIds": [layer.digest for layer in layers]},
    }
    about = content(_json(document))
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": MODEL,
        "config": _descriptor(CONFIG, about),
        "layers": [
            _descriptor(WEIGHTS if _is_model(name) else DOCUMENT, layer)
            | {"annotations": {TITLE: name, FILE_PATHS[0]: name}}
            for name, layer in zip(names, layers, strict=True)
        ],
    }
    return Artifact((*layers, about), _json(manifest))


def push_blob(session: Session, blob: Content) -> None:
    """Upload a blob, unless it is there."""
    patiently(lambda: _push_blob(session, blob), session.called, PATIENCE)


def push_manifest(session: Session, reference: str, manifest: bytes) -> None:
    """Make a manifest what a tag stands for."""

    def put() -> None:
        url, headers = (
            session.url(f"manifests/{reference}"),
            {"Content-Type": IMAGE, **_length(len(manifest))},
        )
        with session.asked("PUT", url, PUSH, headers, lambda: [manifest]) as answer:
            if answer.status not in (200, 201, 202):
                raise session.refused(answer)

    patiently(put, session.called, PATIENCE)


def check(session: Session) -> None:
    """Begin an upload and cancel it."""

    def begin_and_cancel() -> None:
        with session.asked("DELETE", _begun(session), PUSH):
            pass  # one that cannot be cancelled is forgotten by the registry after a while

    patiently(begin_and_cancel, session.called, BRIEFLY)


def _push_blob(session: Session, blob: Content) -> None:
    with session.asked("HEAD", session.url(f"blobs/{blob.digest}"), PUSH) as answer:
        if answer.status == 200 or answer.status in REDIRECTS:
            return  # a registry only points to what it has
        if answer.status != 404:
            raise session.refused(answer)
    place = _begun(session)
    url = f"{place}{'&' if '?' in place else '?'}digest={blob.digest}"
    with session.asked("PUT", url, PUSH, {**BYTES, **_length(blob.size)}, blob.pieces) as answer:
        if answer.status not in (200, 201, 204):
            raise session.refused(answer)


def _begun(session: Session) -> str:
    """The url of a new upload."""
    with session.asked("POST", session.url("blobs/uploads/"), PUSH, _length(0)) as answer:
        if answer.status == 202:
            return session.location(answer)
        raise _no_upload(session, answer)


def _no_upload(session: Session, answer: Answer) -> StoreError:
    if answer.status == 404:
        return answers.no_repository(session.reference.shown)
    if answer.status == 405:
        return StoreError(
            "AccessDenied",
            f"The registry of {session.reference.shown} answers 405: it takes nothing that is pushed. Use another one.",
        )
    return session.refused(answer)


def _descriptor(media: str, blob: Content) -> dict[str, Any]:
    return {"mediaType": media, "digest": blob.digest, "size": blob.size}


def _is_model(name: str) -> bool:
    return name.endswith(".onnx")


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _length(size: int) -> dict[str, str]:
    return {"Content-Length": str(size)}
