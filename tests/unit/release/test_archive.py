"""An image of a release is an OCI archive whose bytes follow from the image."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path

import pytest
from release.archive import pack

NAME = "registry.example/modelwright-operator:1.2.3"


def packed(image: Path, tmp_path: Path, name: str) -> tuple[str, Path]:
    """The digest and the archive."""
    scratch, target = tmp_path / f"{name}-layers", tmp_path / f"{name}.oci.tar"
    scratch.mkdir()
    return pack(image, NAME, {"b": "2", "a": "1"}, scratch, target), target


def test_the_same_image_gives_the_same_bytes(image: Path, tmp_path: Path) -> None:
    (first, one), (second, other) = packed(image, tmp_path, "one"), packed(image, tmp_path, "other")
    assert first == second
    assert one.read_bytes() == other.read_bytes()


def test_layers_are_compressed_and_hold_what_they_held(image: Path, tmp_path: Path) -> None:
    digest, target = packed(image, tmp_path, "image")
    given = json.loads((image / "manifest.json").read_text())
    with tarfile.open(target) as archive:
        blobs = {
            entry.name.removeprefix("blobs/"): archive.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in archive
        }
    manifest = json.loads(blobs[digest.replace(":", "/")])
    assert manifest["annotations"] == {"a": "1", "b": "2"}
    assert manifest["config"] == given["config"]
    for layer, plain in zip(manifest["layers"], given["layers"], strict=True):
        content = blobs[layer["digest"].replace(":", "/")]
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
        assert layer["size"] == len(content)
        assert gzip.decompress(content) == (image / plain["digest"].removeprefix("sha256:")).read_bytes()
    (described,) = json.loads(blobs["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == NAME
    assert described["annotations"]["org.opencontainers.image.ref.name"] == "1.2.3"


def test_a_layer_that_is_compressed_already_is_refused(image: Path, tmp_path: Path) -> None:
    path = image / "manifest.json"
    path.write_text(path.read_text().replace("layer.v1.tar", "layer.v1.tar+gzip"))
    with pytest.raises(ValueError, match="not a plain tar"):
        packed(image, tmp_path, "image")
