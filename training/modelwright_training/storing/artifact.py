"""Reads a model file that an artifact names, from a mounted volume. What the file holds is left to the model file."""

from pathlib import Path

from modelwright_training.documents import Artifact
from modelwright_training.errors import InputError, storage
from modelwright_training.onnxfile import modelfile
from modelwright_training.onnxfile.modelfile import ModelFile
from modelwright_training.storing import store


def path_of(artifact: Artifact, mounted: Path) -> Path:
    """Where the file is. UriUnsupported."""
    return store.folder_of(artifact.uri, mounted, "artifact.uri")


def read(artifact: Artifact, mounted: Path) -> ModelFile:
    """Read the file and check its digest. UriUnsupported, ArtifactNotFound, DigestMismatch, NotARegularFile,
    ModelTooLarge."""
    path = path_of(artifact, mounted)
    with storage(f"Looking for {artifact.uri}"):
        found = path.is_file()
    if not found:
        raise InputError(
            "ArtifactNotFound", f"There is no file {artifact.uri!r}. Check artifact.uri and its claim."
        )
    file = modelfile.read(path)
    if file.digest != artifact.digest:
        raise InputError(
            "DigestMismatch",
            f"{artifact.uri!r} has digest {file.digest}, but artifact.digest asks for {artifact.digest}. "
            "Either the file has changed or the digest is of another file.",
        )
    return file
