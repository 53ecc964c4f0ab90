"""Files in images: layers that are archives, one above another, as other clients push them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.stores.registries import Fault, Front, Registry
from unit.stores.registry.conftest import Given

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.registry import archives
from modelwright_stores.registry.archives import Archive, ArchiveError, Covers, Member, found
from modelwright_stores.registry.manifests import Layer, clean, image
from modelwright_stores.registry.packed import Packed, check_cost
from modelwright_stores.registry.reference import parsed
from modelwright_stores.registry.repository import Repository
from modelwright_stores.registry.session import Session
from modelwright_stores.resuming import Patience, stream

MODEL = hashlib.sha256(b"model").digest() * 100_000
LONG = "a-folder/" * 30 + "model.onnx"


def tar(folder: Path, name: str, files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    """An archive of files; the name of a folder ends with a slash."""
    path = folder / name
    with tarfile.open(path, "w", format=form) as archive:
        for file, content in files.items():
            info = tarfile.TarInfo(file.rstrip("/"))
            info.size = len(content)
            info.type = tarfile.DIRTYPE if file.endswith("/") else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def images(real: Registry, access: Given, name: str) -> Repository:
    return Repository(f"oci://{real.host}/{name}", access(endpoint=real.endpoint))


def content(repository: Repository, tag: str, name: str) -> bytes | None:
    file = repository.file(tag, name)
    return None if file is None else stream(file, 1 << 30).readall()


@pytest.mark.parametrize(("kind", "form"), [("oci", tarfile.PAX_FORMAT), ("docker", tarfile.GNU_FORMAT)])
def test_a_file_of_an_image_is_read(
    images: Repository, real: Registry, name: str, tmp_path: Path, kind: str, form: int
) -> None:
    layer = tar(tmp_path, "a.tar", {"models/": b"", "./models/model.onnx": MODEL}, form)
    real.append(f"{name}:v1", layer, docker=kind == "docker")
    assert kind in str(real.manifest(f"{name}:v1")["mediaType"])
    assert content(images, "v1", "model.onnx") == MODEL
    assert content(images, "v1", "models/model.onnx") == MODEL
    assert content(images, "v1", "golden.json") is None
    assert stream(images.model("v1"), 1 << 30).readall() == MODEL
    found = images.manifest("v1")
    assert found is not None
    assert dict(found.files) == {"models/model.onnx": None}
    real.append(f"{name}:long", tar(tmp_path, "b.tar", {LONG: b"deep"}, form))
    assert content(images, "long", LONG) == b"deep"


def test_what_crane_exports_is_what_is_read(
    images: Repository, real: Registry, name: str, tmp_path: Path
) -> None:
    base = tar(
        tmp_path, "a.tar", {"a/x": b"1", "a/y": b"2", "b/x": b"3", "c/x": b"4", "d": b"5", "e/x/y": b"6"}
    )
    above = tar(
        tmp_path, "b.tar", {"a/.wh.x": b"", "b/.wh..wh..opq": b"", "b/z": b"7", ".wh.c": b"", "d": b"8"}
    )
    top = tar(tmp_path, "c.tar", {"e/x": b"9", "f/g": b"10"})
    real.append(f"{name}:base", base)
    real.append(f"{name}:v1", above, top, base=f"{name}:base")
    real.crane("export", f"{real.host}/{name}:v1", tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as archive:
        expected = {
            info.name: archive.extractfile(info).read()  # type: ignore[union-attr]
            for info in archive
            if info.isfile()
        }
    manifest = images.manifest("v1")
    assert manifest is not None
    assert {path: content(images, "v1", path) for path in manifest.files} == expected
    assert len(expected) == 5


def test_a_file_of_an_image_is_whole_though_the_connection_breaks(
    before: Front, access: Given, real: Registry, name: str, tmp_path: Path
) -> None:
    real.append(f"{name}:v1", tar(tmp_path, "a.tar", {"model.onnx": MODEL}))
    file = Repository(f"oci://{before.host}/{name}", access()).model("v1")
    before.inject(Fault("/blobs/", after=1000), Fault("/blobs/", after=0))
    assert stream(file, 1 << 30, Patience(silent=30)).readall() == MODEL
    assert b"".join(file.read(1000, file.head())) == MODEL[1000:]


def test_a_wrong_byte_behind_the_file_in_its_layer_is_refused(
    before: Front, access: Given, real: Registry, name: str, tmp_path: Path
) -> None:
    layer = tar(tmp_path, "a.tar", {"model.onnx": MODEL, "z": b"another file"})
    real.append(f"{name}:v1", layer)
    file = Repository(f"oci://{before.host}/{name}", access()).model("v1")
    blob = next(asked for asked in before.asked if "/blobs/" in asked.path).path
    size = len(real.crane("blob", f"{real.host}/{name}@{blob.rpartition('/')[2]}"))
    before.inject(Fault("/blobs/", then="flip", after=size - 1))
    pieces = file.read(0, file.head())
    with pytest.raises(StoreError) as failure:
        list(pieces)
    assert failure.value.reason == "DigestMismatch"


def test_the_layers_below_the_file_are_not_read(
    before: Front, access: Given, real: Registry, name: str, tmp_path: Path
) -> None:
    real.append(f"{name}:base", tar(tmp_path, "a.tar", {"usr/lib/large": MODEL, "old/model.onnx": b"old"}))
    real.append(f"{name}:v1", tar(tmp_path, "b.tar", {"model.onnx": b"new"}), base=f"{name}:base")
    assert stream(Repository(f"oci://{before.host}/{name}", access()).model("v1"), 100).readall() == b"new"
    blobs = {asked.path for asked in before.asked if "/blobs/" in asked.path}
    assert len(blobs) == 1


def test_a_link_and_two_files_of_one_name_are_refused(
    images: Repository, real: Registry, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "link.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("model.onnx")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    real.append(f"{name}:link", path)
    real.append(f"{name}:two", tar(tmp_path, "two.tar", {"a/model.onnx": b"1", "b/model.onnx": b"2"}))
    for tag, said in (("link", "is a link"), ("two", "2 files")):
        with pytest.raises(StoreError, match=said) as failure:
            images.model(tag)
        assert failure.value.reason == "UriUnsupported"
    assert content(images, "two", "b/model.onnx") == b"2"


def test_a_layer_packed_with_zstd_is_refused_with_a_remedy(
    images: Repository, real: Registry, name: str, tmp_path: Path
) -> None:
    real.append(f"{name}:v1", tar(tmp_path, "a.tar", {"model.onnx": b"x"}))
    manifest: dict[str, Any] = real.manifest(f"{name}:v1")
    manifest["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
    raw = json.dumps(manifest).encode()
    images.push("other", {"card.md": b""}, {})
    from modelwright_stores.registry.pushing import push_manifest  # noqa: PLC0415

    push_manifest(images._session, "zstd", raw)
    with pytest.raises(StoreError, match="gzip") as failure:
        images.model("zstd")
    assert failure.value.reason == "UriUnsupported"


def layers(*media: str, **annotations: str) -> list[tuple[str | None, str | None]]:
    """Title and packing of layers of some media types, each with these annotations."""
    made = [
        {"mediaType": each, "digest": f"sha256:{'1' * 64}", "size": 1, "annotations": annotations}
        for each in media
    ]
    return [(layer.title, layer.packing) for layer in image({"layers": made}, "sha256:1", "it").layers]


TITLED = {"org.opencontainers.image.title": "./data/model.onnx"}


def test_what_other_clients_push_is_recognised() -> None:
    oci = "application/vnd.oci.image.layer.v1.tar"
    pack = "application/vnd.cncf.model.weight.v1"
    assert layers(oci, f"{oci}+gzip", f"{oci}+zstd") == [(None, "tar"), (None, "gzip"), (None, "zstd")]
    assert layers("application/vnd.docker.image.rootfs.diff.tar.gzip") == [(None, "gzip")]
    # oras push host/repository model.onnx
    assert layers(oci, "text/plain", **TITLED) == [("data/model.onnx", None)] * 2
    # oras push host/repository data/
    assert layers(f"{oci}+gzip", **TITLED, **{"io.deis.oras.content.unpack": "true"}) == [(None, "gzip")]
    # modctl and kit
    assert layers(f"{pack}.raw", **{"org.cncf.model.filepath": "m.onnx"}) == [("m.onnx", None)]
    assert layers(f"{pack}.tar", **{"org.cncf.model.filepath": "m.onnx"}) == [(None, "tar")]
    assert layers("application/vnd.kitops.modelkit.model.v1.tar+gzip") == [(None, "gzip")]
    assert layers("text/plain") == [(None, None)]


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("./a//b", "a/b"),
        ("/a", "a"),
        ("a/../b", None),
        ("..", None),
        ("", None),
        ("a\nb", None),
        ("a/./b/", "a/b"),
    ],
)
def test_a_path_that_leads_out_of_the_image_is_no_path(path: str, cleaned: str | None) -> None:
    assert clean(path) == cleaned


def test_a_later_layer_hides_what_it_replaces() -> None:
    covers = Covers()
    paths = ("a/.wh.b", "c/.wh..wh..opq", ".wh.d", "e", "f")
    covers.add({path: Member(path, 0, 0, True, is_folder=path == "f") for path in paths})
    assert [
        path
        for path in ("a/b", "a/b/c", "a/c", "c/x", "cc", "d/y/z", "e", "e/x", "f/x")
        if covers.hides(path)
    ] == [
        "a/b",
        "a/b/c",
        "c/x",
        "d/y/z",
        "e",
        "e/x",
    ]


def packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file, data in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_archives_are_read_in_pieces_of_any_size() -> None:
    raw = packed({"a": b"1" * 1000, "b": b"", "c": b"2" * 513})
    for whole, packing in ((raw, "tar"), (gzip.compress(raw), "gzip"), (gzip.compress(raw) * 2, "gzip")):
        for size in (1, 7, 512, 100_000):
            archive = Archive((whole[start : start + size] for start in range(0, len(whole), size)), packing)
            assert [(m.path, b"".join(archive.data())) for m in archive.members()] == [
                ("a", b"1" * 1000),
                ("b", b""),
                ("c", b"2" * 513),
            ]


def damaged() -> list[bytes]:
    raw = packed({"a": b"x" * 1000})
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    sparse = tarfile.TarInfo("x")
    sparse.type = tarfile.GNUTYPE_SPARSE
    return [raw[:700], raw[:100], b"x" * 512, long.tobuf(tarfile.GNU_FORMAT), sparse.tobuf()]


@pytest.mark.parametrize("raw", damaged(), ids=["cut", "short", "no-tar", "long-name", "sparse"])
def test_a_damaged_archive_is_refused(raw: bytes) -> None:
    with pytest.raises(ArchiveError):
        found(Archive(iter([raw]), "tar"))


@pytest.mark.parametrize("raw", [b"no gzip", gzip.compress(b"x" * 5000)[:-9]], ids=["none", "cut"])
def test_a_damaged_packing_is_refused(raw: bytes) -> None:
    with pytest.raises(ArchiveError):
        found(Archive(iter([raw]), "gzip"))


def test_what_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 10 << 20)
    bomb = gzip.compress(packed({"a": b"\0" * (20 << 20)}))
    assert len(bomb) < 100_000
    with pytest.raises(ArchiveError, match="to more than"):
        found(Archive(iter([bomb]), "gzip"))


def test_an_image_of_too_many_names_is_refused() -> None:
    budget = archives.Budget(names=1000)
    found(Archive(iter([packed({"a": b"", "b": b""})]), "tar", budget))
    with pytest.raises(ArchiveError, match="more names"):
        found(Archive(iter([packed({"c": b"", "d": b"", "e": b""})]), "tar", budget))


@pytest.mark.parametrize("path", ["x" * 5000, "x/" * 200])
def test_a_path_that_no_system_takes_is_passed_over(path: str) -> None:
    assert list(found(Archive(iter([packed({path: b"1", "a": b"2"})]), "tar"))) == ["a"]


def test_gnu_tar_and_gzip_agree(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ä.csv").write_bytes(b"a,b\n" * 1000)
    (tmp_path / "data" / "large").write_bytes(MODEL)
    for form in ("gnu", "pax", "ustar", "v7"):
        command = [
            "tar",
            f"--format={form}",
            "-czf",
            str(tmp_path / f"{form}.tgz"),
            "-C",
            str(tmp_path),
            "data",
        ]
        subprocess.run(command, check=True)
        members = found(Archive(iter([(tmp_path / f"{form}.tgz").read_bytes()]), "gzip"))
        assert {path: member.size for path, member in members.items() if member.is_file} == {
            "data/ä.csv": 4000,
            "data/large": len(MODEL),
        }


@pytest.mark.parametrize(
    ("numbers", "size", "refused"),
    [((20,), 8 << 30, False), ((21,), 8 << 30, True), ((20, 20), 8 << 30, False), ((5000,), 1 << 20, False)],
)
def test_files_of_a_layer_may_read_it_as_often_as_it_is_small(
    tmp_path: Path, numbers: tuple[int, ...], size: int, refused: bool
) -> None:
    session = Session(parsed("oci://registry.corp/rows"), Access(tmp_path))
    files = [
        Packed(session, Layer(f"sha256:{layer}", size, None, "tar"), Member("a", 1, place, True), "a", "a")
        for layer, number in enumerate(numbers)
        for place in range(number)
    ]
    if not refused:
        check_cost(files)
        return
    with pytest.raises(StoreError, match="21 files are packed in one layer") as failure:
        check_cost(files)
    assert failure.value.reason == "UriUnsupported"
