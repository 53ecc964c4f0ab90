"""A repository of a registry: what is pulled from it, and what is pushed to it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.registry import archives, manifests, pushing
from modelwright_stores.registry.blobs import Blob
from modelwright_stores.registry.manifests import Image, Layer, NotAsSpecifiedError
from modelwright_stores.registry.packed import Packed, opened
from modelwright_stores.registry.reference import DIGEST, TAG, parsed
from modelwright_stores.registry.session import Session
from modelwright_stores.resuming import File, Patience, patiently

MODEL = "model.onnx"
BRIEFLY = Patience(silent=3)
_PLAIN = re.compile(r"[A-Za-z0-9._/-]{1,200}")


@dataclass(frozen=True)
class Manifest:
    """A manifest: its digest, and the files that its layers name, with the digest of each where it is a layer alone."""

    digest: str
    files: Mapping[str, str | None]


@dataclass(frozen=True)
class Found:
    """A file of an image: a layer alone, or a member of one that is an archive."""

    path: str
    layer: Layer
    member: archives.Member | None = None


class Repository:
    """One repository. Each method raises StoreError; `shown` is its uri without tag and digest."""

    def __init__(self, uri: str, access: Access) -> None:
        """Of `oci://HOST/REPOSITORY[:TAG][@DIGEST]`; connects to nothing yet. UriUnsupported."""
        self._reference = parsed(uri)
        self.shown = self._reference.shown
        self._session = Session(self._reference, access)
        self._images: dict[str, Image] = {}
        self._members: dict[str, dict[str, archives.Member]] = {}
        self._budget = archives.Budget()

    @property
    def reference(self) -> str:
        """What the uri asks for: its digest, else its tag, else `latest`."""
        return self._reference.manifest

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag or a digest stands for; None if there is none. A digest is checked. DigestMismatch."""
        try:
            image = self._image(reference)
        except StoreError as error:
            if error.reason == "BucketNotFound":
                return None  # a repository begins with the first push
            raise
        if image is None:
            return None
        files = {
            found.path: None if found.member else found.layer.digest for found in self._all(image, reference)
        }
        return Manifest(image.digest, files)

    def digest(self, reference: str) -> str:
        """The digest of the manifest that a tag or a digest stands for; its layers are not read. DataNotFound,
        BucketNotFound."""
        return self._there(reference).digest

    def files(self, reference: str) -> list[File]:
        """All files of a manifest, by name. DataNotFound, BucketNotFound."""
        return [self._file(found, reference) for found in self._all(self._there(reference), reference)]

    def model(self, reference: str) -> File:
        """The model of a manifest: `model.onnx`, or else the only file that is called `*.onnx`. DataNotFound,
        BucketNotFound, UriUnsupported."""
        image = self._there(reference)
        found = self._named(image, MODEL, reference)
        if found is None:
            models = [each for each in self._all(image, reference) if each.path.endswith(".onnx")]
            if len(models) != 1:
                number = (
                    f"{len(models)} files that end with .onnx" if models else "no file that ends with .onnx"
                )
                raise StoreError(
                    "UriUnsupported" if models else "DataNotFound",
                    f"{self._shown(reference)} has no {MODEL}, and {number}. Push the model as {MODEL}.",
                )
            found = models[0]
        return self._file(found, reference)

    def file(self, reference: str, name: str) -> File | None:
        """A file of a manifest: a layer with this title, or a file of a layer that is an archive; None if there is
        none. A name without a folder stands for the file of that name in any folder. BucketNotFound, UriUnsupported."""
        image = self._image(reference)
        found = self._named(image, name, reference) if image else None
        return self._file(found, reference) if found else None

    def push(self, tag: str, files: Mapping[str, bytes | Path], config: Mapping[str, object]) -> str:
        """Push files as a ModelPack artifact, the manifest last, and return the digest of the manifest.

        `config`: `descriptor` and `config` of its config, both optional. A Path is streamed. What is there already is
        not sent again. The same files and config give the same digest."""
        if not TAG.fullmatch(tag):
            raise StoreError(
                "UriUnsupported", f"A tag has at most 128 letters, digits and ._-, so not {tag!r}."
            )
        artifact = pushing.artifact(files, config)
        there = self._raw(tag)
        if there is None or manifests.digest_of(there) != artifact.digest:
            for blob in artifact.blobs:
                pushing.push_blob(self._session, blob)
            pushing.push_manifest(self._session, tag, artifact.manifest)
        return artifact.digest

    def check_push(self) -> None:
        """Begin an upload and cancel it: AccessDenied and others, if nothing may be pushed."""
        pushing.check(self._session)

    def _there(self, reference: str) -> Image:
        image = self._image(reference)
        if image is None:
            raise StoreError(
                "DataNotFound", f"There is no {self._shown(reference)}. Push it, or correct the uri."
            )
        return image

    def _image(self, reference: str) -> Image | None:
        """The image of a tag or a digest, or the one of an index that is meant. BucketNotFound."""
        if reference in self._images:
            return self._images[reference]
        shown = self._shown(reference)
        content = self._raw(reference, missing_repository=True)
        if content is None:
            return None
        try:
            document = manifests.document(content)
            if manifests.is_index(document):
                content = self._raw(manifests.chosen(document, shown)) or b""
                document = manifests.document(content)
            image = manifests.image(document, manifests.digest_of(content), shown)
        except NotAsSpecifiedError as error:
            raise self._session.invalid(str(error)) from None
        if DIGEST.fullmatch(reference):
            self._images[reference] = image
        return image

    def _raw(self, reference: str, missing_repository: bool = False) -> bytes | None:
        """The bytes of a manifest or an index; None if there is none. DigestMismatch."""
        content = patiently(lambda: self._read(reference, missing_repository), self._session.called, BRIEFLY)
        if content is not None and DIGEST.fullmatch(reference) and manifests.digest_of(content) != reference:
            raise StoreError(
                "DigestMismatch",
                f"The registry answers {self._shown(reference)} with other bytes than this digest is of.",
            )
        return content

    def _read(self, reference: str, missing_repository: bool) -> bytes | None:
        url = self._session.url(f"manifests/{reference}")
        with self._session.asked("GET", url, headers={"Accept": manifests.ACCEPT}) as answer:
            if answer.status == 200:
                return answer.body(manifests.MAX_MANIFEST_BYTES)
            error = self._session.refused(answer)
        if error.reason == "DataNotFound" or (error.reason == "BucketNotFound" and not missing_repository):
            return None
        raise error

    def _named(self, image: Image, name: str, reference: str) -> Found | None:
        """The file of that name in the topmost layer that has one; the layers below that are not read."""
        covers = archives.Covers()
        for layer in reversed(image.layers):
            found = [
                each
                for each in self._of_layer(layer, covers, reference)
                if each.path == name or ("/" not in name and each.path.endswith(f"/{name}"))
            ]
            if len(found) > 1:
                raise StoreError(
                    "UriUnsupported",
                    f"{self._shown(reference)} has {len(found)} files {name} in one layer. Push an image with one.",
                )
            if found:
                return self._regular(found[0], name, reference)
        return None

    def _all(self, image: Image, reference: str) -> list[Found]:
        """The files of all layers, by path, without those that a layer above replaces or deletes."""
        covers, files = archives.Covers(), dict[str, Found]()
        for layer in reversed(image.layers):
            for found in self._of_layer(layer, covers, reference):
                if found.member is None or found.member.is_file:
                    files.setdefault(found.path, found)
        return [files[path] for path in sorted(files)]

    def _of_layer(self, layer: Layer, covers: archives.Covers, reference: str) -> Iterator[Found]:
        """What a layer has that the layers above do not hide; then it hides for those below. Walk from the top down."""
        if layer.packing is None:
            if layer.title is not None:
                yield Found(layer.title, layer)
            return
        members = self._members_of(layer, reference)
        for path, member in members.items():
            if not member.is_folder and not archives.is_mark(path) and not covers.hides(path):
                yield Found(path, layer, member)
        covers.add(members)

    def _members_of(self, layer: Layer, reference: str) -> dict[str, archives.Member]:
        if layer.digest not in self._members:
            shown = self._shown(reference)
            with opened(self._session, layer, shown, self._budget) as archive:
                self._members[layer.digest] = archives.found(archive)
        return self._members[layer.digest]

    def _regular(self, found: Found, name: str, reference: str) -> Found:
        if found.member is not None and not found.member.is_file:
            raise StoreError(
                "UriUnsupported",
                f"{name} of {self._shown(reference)} is a link or no plain file. Push the file itself.",
            )
        return found

    def _file(self, found: Found, reference: str) -> File:
        name = found.path.rpartition("/")[2]
        # A name that is chosen by who pushed the image is shown only where it can do no harm.
        shown = f"{self._shown(reference)} ({found.path if _PLAIN.fullmatch(found.path) else 'a file'})"
        if found.member is None:
            return Blob(self._session, found.layer, name, shown)
        return Packed(self._session, found.layer, found.member, name, shown)

    def _shown(self, reference: str) -> str:
        return f"{self.shown}{'@' if DIGEST.fullmatch(reference) else ':'}{reference}"
