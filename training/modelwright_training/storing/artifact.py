"""Reads the model file that an artifact names, and what lies beside it: on a mounted volume or outside the cluster.

What the files hold is left to others."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from modelwright_stores import opening
from modelwright_stores.access import Access, accesses
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import File, Patience, download, patiently, stream
from modelwright_training.documents import Artifact
from modelwright_training.errors import InputError, outside, storage
from modelwright_training.files import regular
from modelwright_training.onnxfile import modelfile
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.paths import Paths
from modelwright_training.storing.layout import folder_name
from modelwright_training.storing.stores import access_to
from modelwright_training.storing.volume import folder_of

REASONS = {"DataNotFound": "ArtifactNotFound", "FileTooLarge": "ModelTooLarge"}
PATIENCE = Patience(silent=120, total=1800)
# A gate is measured once, and the model that it is about was hours in the making.
CHAMPION_PATIENCE = Patience(silent=600, total=1800)


@dataclass(frozen=True)
class Reader:
    """Reads artifacts: those of claims on the volume `mounted`, others by `access` through the folder `scratch`."""

    mounted: Path
    access: Access
    scratch: Path
    patience: Patience = PATIENCE

    def read(self, artifact: Artifact) -> ModelFile:
        """The model file, once its digest is checked. UriUnsupported, ArtifactNotFound, DigestMismatch,
        NotARegularFile, ModelTooLarge, and the reasons of a store outside."""
        outside_ = opening.is_outside(artifact.uri)
        file = self._downloaded(artifact) if outside_ else self._mounted(artifact)
        if file.digest != artifact.digest:
            raise InputError(
                "DigestMismatch",
                f"{artifact.uri!r} has digest {file.digest}, but artifact.digest asks for {artifact.digest}. "
                "Either the file has changed or the digest is of another file.",
            )
        return file

    def name_of(self, artifact: Artifact) -> str:
        """The name of the model file."""
        if not opening.is_outside(artifact.uri):
            return self._path(artifact).name
        with outside(REASONS):
            return self._file(artifact).name

    def beside(self, artifact: Artifact, name: str, most: int) -> bytes | None:
        """The file of this name beside the model file, None if there is none; no more than `most` bytes and one.

        NotARegularFile, and the reasons of a store outside."""
        if not opening.is_outside(artifact.uri):
            with storage(f"Reading {name}"), regular(self._path(artifact).with_name(name)) as file:
                return None if file is None else file.read(most + 1)
        with outside():
            found = patiently(
                lambda: opening.sibling(artifact.uri, name, self.access), artifact.uri, self.patience
            )
            if found is None:
                return None
            try:
                with stream(found, most, self.patience) as content:
                    return content.read()
            except StoreError as failure:
                if failure.reason != "FileTooLarge":
                    raise
                return bytes(most + 1)

    def _file(self, artifact: Artifact) -> File:
        return patiently(lambda: opening.file(artifact.uri, self.access), artifact.uri, self.patience)

    def _path(self, artifact: Artifact) -> Path:
        return folder_of(artifact.uri, self.mounted, "artifact.uri")

    def _mounted(self, artifact: Artifact) -> ModelFile:
        path = self._path(artifact)
        with storage(f"Looking for {artifact.uri}"):
            found = path.is_file()
        if not found:
            raise InputError(
                "ArtifactNotFound", f"There is no file {artifact.uri!r}. Check artifact.uri and its claim."
            )
        return modelfile.read(path)

    def _downloaded(self, artifact: Artifact) -> ModelFile:
        target = self.scratch / f"{folder_name(artifact.digest)}.onnx"
        try:
            with outside(REASONS), storage(f"Downloading to {self.scratch}"):
                download(self._file(artifact), target, modelfile.MAX_BYTES, self.patience)
            return modelfile.read(target)
        finally:
            with suppress(OSError):
                target.unlink(missing_ok=True)


def reader(environ: Mapping[str, str], paths: Paths) -> Reader:
    """Reads the artifact of a ModelVersion. DocumentInvalid."""
    with outside():
        return Reader(
            paths.artifacts, access_to("artifacts", "artifact.store", environ, paths), paths.scratch
        )


def reader_of_champion(uri: str, own: str, environ: Mapping[str, str], paths: Paths) -> Reader:
    """Reads the artifact of a champion at `uri`, where the one of the candidate is kept at `own`. DocumentInvalid.

    Where the container's document does not name the champion's store, the candidate's counts for it if it is the same
    service: no server gets the credentials of another one."""
    with outside():
        named = "champion"
        if named not in accesses(environ, paths.root) and _service(uri) == _service(own):
            named = "artifacts"
        access = access_to(named, "champion.store", environ, paths)
        return Reader(paths.champion, access, paths.scratch, CHAMPION_PATIENCE)


def _service(uri: str) -> tuple[str, str]:
    """The scheme, and the host where the uri names one: a bucket's host is the endpoint of its store."""
    scheme = uri.partition("://")[0]
    return scheme, urlsplit(uri).netloc if scheme in ("https", "oci") else ""
