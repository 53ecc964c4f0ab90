"""What is pulled: by tag and by digest, gone on with where it broke off, and never with another byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores.registries import Fault, Front, Registry
from unit.stores.registry.conftest import LOOPBACK, Given

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.registry.manifests import NotAsSpecifiedError, chosen, document, image
from modelwright_stores.registry.repository import Repository
from modelwright_stores.resuming import Patience, download, stream

MODEL = hashlib.sha256(b"seed").digest() * 60_000
SHORT = Patience(silent=30)


@pytest.fixture
def pushed(plain: Repository, before: Front, access: Given, name: str) -> Repository:
    """A repository behind the front, with a model v1."""
    plain.push("v1", {"model.onnx": MODEL + name.encode(), "card.md": b"# A model\n"}, {})
    return Repository(f"oci://{before.host}/{name}:v1", access())


@pytest.fixture
def model(name: str) -> bytes:
    return MODEL + name.encode()


def test_a_model_is_pulled_by_tag_and_by_digest(pushed: Repository, access: Given, model: bytes) -> None:
    there = pushed.manifest(pushed.reference)
    assert there is not None
    for uri in (
        f"{pushed.shown}:v1",
        f"{pushed.shown}@{there.digest}",
        f"{pushed.shown}:gone@{there.digest}",
    ):
        repository = Repository(uri, access())
        file = repository.model(repository.reference)
        assert file.head().size == len(model)
        assert stream(file, 1 << 30).read() == model
        assert file.shown.endswith("(model.onnx)")


def test_what_another_client_pushed_is_read(real: Registry, access: Given, name: str, tmp_path: Path) -> None:
    tar = tmp_path / "layer.tar"
    tar.write_bytes(b"")
    real.append(f"{name}:base", tar)
    manifest = real.manifest(f"{name}:base")
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    found = Repository(f"oci://{real.host}/{name}", access(endpoint=real.endpoint)).manifest("base")
    assert found is not None
    assert (found.digest, dict(found.files)) == (
        real.crane("digest", f"{real.host}/{name}:base").decode().strip(),
        {},
    )


@pytest.mark.parametrize(
    ("uri", "reason"),
    [(":v2", "DataNotFound"), (f"@sha256:{'0' * 64}", "DataNotFound"), ("-not-there:v1", "BucketNotFound")],
)
def test_what_is_not_there_has_a_reason(
    pushed: Repository, access: Given, real: Registry, name: str, uri: str, reason: str
) -> None:
    repository = Repository(f"oci://{real.host}/{name}{uri}", access(endpoint=real.endpoint))
    with pytest.raises(StoreError) as failure:
        repository.model(repository.reference)
    assert failure.value.reason == reason
    assert f"oci://{real.host}/{name}" in failure.value.message


def test_an_interrupted_download_goes_on_at_the_byte_that_was_reached(
    pushed: Repository, before: Front, tmp_path: Path, model: bytes
) -> None:
    before.inject(*(Fault("/blobs/", times=1, after=after) for after in (500_000, 700_000)))
    done = download(pushed.model("v1"), tmp_path / "model.onnx", 1 << 30, SHORT)
    assert (tmp_path / "model.onnx").read_bytes() == model
    assert done.fetched == len(model)
    assert [asked.range for asked in before.asked if "/blobs/" in asked.path] == [
        None,
        f"bytes=500000-{len(model) - 1}",
        f"bytes=1200000-{len(model) - 1}",
    ]


def test_a_registry_without_ranges_is_read_again_from_the_beginning(
    pushed: Repository, before: Front, model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.stores.registries.FORWARDED", ("accept",))
    before.inject(Fault("/blobs/", after=500_000))
    assert stream(pushed.model("v1"), 1 << 30, SHORT).read() == model


@pytest.mark.parametrize("after", [0, 1_000_000, len(MODEL)])
def test_a_wrong_byte_is_refused(pushed: Repository, before: Front, tmp_path: Path, after: int) -> None:
    before.inject(Fault("/blobs/", then="flip", after=after))
    with pytest.raises(StoreError) as failure:
        download(pushed.model("v1"), tmp_path / "model.onnx", 1 << 30, SHORT)
    assert failure.value.reason == "DigestMismatch"
    assert not (tmp_path / "model.onnx").exists()


def test_a_wrong_byte_before_an_interruption_is_refused(
    pushed: Repository, before: Front, tmp_path: Path
) -> None:
    target = tmp_path / "model.onnx"
    before.inject(Fault("/blobs/", after=500_000), Fault("/blobs/", then="flip", after=5))
    with pytest.raises(StoreError) as failure:
        download(pushed.model("v1"), target, 1 << 30, SHORT)
    assert failure.value.reason == "DigestMismatch"
    assert not target.exists()


def test_a_manifest_of_another_digest_is_refused(pushed: Repository, before: Front) -> None:
    there = pushed.manifest("v1")
    assert there is not None
    before.inject(Fault("/manifests/", then="flip", after=20))
    with pytest.raises(StoreError) as failure:
        pushed.file(there.digest, "model.onnx")
    assert failure.value.reason == "DigestMismatch"


def test_a_registry_that_is_busy_is_asked_again(pushed: Repository, before: Front, model: bytes) -> None:
    before.inject(
        Fault("/manifests/", status=503), Fault("/blobs/", status=500), Fault("/blobs/", status=429)
    )
    assert stream(pushed.model("v1"), 1 << 30, SHORT).read() == model


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_a_registry_that_goes_silent_is_given_up(
    pushed: Repository, before: Front, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelwright_stores.registry.session.READING", 0.3)
    before.inject(Fault(path, times=100, then="hang", seconds=1))
    with pytest.raises(StoreError) as failure:
        stream(pushed.model("v1"), 1 << 30, Patience(silent=1)).read()
    assert (failure.value.reason, failure.value.passing) == ("StoreUnavailable", True)


def test_a_redirect_of_a_blob_to_another_server_drops_the_credential(
    pushed: Repository, before: Front, access: Given, model: bytes
) -> None:
    before.auth, before.redirects = "basic", True
    before.users["reader"] = "a-password"
    secret = access({"username": "reader", "password": "a-password"})
    assert stream(Repository(f"{pushed.shown}:v1", secret).model("v1"), 1 << 30).read() == model
    stored = [asked for asked in before.asked if asked.server == "storage"]
    assert stored
    assert all(asked.authorization is None for asked in stored)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/v2/",
        "ftp://127.0.0.1/",
        "https://[",
        "https://a b/",
        "https://u:p@127.0.0.1/",
        "",
    ],
)
def test_a_redirect_to_what_is_not_encrypted_is_refused(
    pushed: Repository, before: Front, location: str
) -> None:
    before.inject(Fault("/blobs/", status=307, headers={"Location": location}))
    with pytest.raises(StoreError) as failure:
        stream(pushed.model("v1"), 1 << 30, SHORT).read()
    assert failure.value.reason == "StoreAnswerInvalid"
    assert "127.0.0.1:1" not in failure.value.message


def test_redirects_in_a_circle_end(pushed: Repository, before: Front) -> None:
    there = f"{before.endpoint}/v2/x/blobs/in-circles"
    before.inject(Fault("/blobs/", times=100, status=302, headers={"Location": there}))
    with pytest.raises(StoreError) as failure:
        stream(pushed.model("v1"), 1 << 30, SHORT).read()
    assert failure.value.reason == "StoreAnswerInvalid"


def test_an_internal_address_is_refused(real: Registry, tmp_path: Path) -> None:
    access = Access(tmp_path, "data.store", endpoint=real.endpoint)
    with pytest.raises(StoreError) as failure:
        Repository(f"oci://{real.host}/x", access).manifest("v1")
    assert failure.value.reason == "AddressRefused"


def test_a_certificate_that_is_not_trusted_is_named(before: Front, tmp_path: Path) -> None:
    access = Access(tmp_path, "data.store", networks=LOOPBACK)
    with pytest.raises(StoreError, match=r"data\.store\.caConfigMapRef") as failure:
        Repository(f"oci://{before.host}/x", access).manifest("v1")
    assert failure.value.reason == "CertificateNotTrusted"


def test_the_only_other_onnx_file_is_the_model(plain: Repository) -> None:
    plain.push("one", {"churn.onnx": b"x", "card.md": b""}, {})
    plain.push("two", {"churn.onnx": b"x", "other.onnx": b"y"}, {})
    plain.push("none", {"card.md": b""}, {})
    assert plain.model("one").name == "churn.onnx"
    for tag, reason in (("two", "UriUnsupported"), ("none", "DataNotFound")):
        with pytest.raises(StoreError) as failure:
            plain.model(tag)
        assert failure.value.reason == reason
    assert plain.file("one", "golden.json") is None
    assert [file.name for file in plain.files("two")] == ["churn.onnx", "other.onnx"]


@pytest.mark.parametrize(
    "uri",
    [
        "oci://host",
        "oci://host/Upper",
        "oci://host/a/../b",
        "oci://user@host/a",
        "oci://host/a:",
        "oci://host/a@sha512:00",
        "oci://host/a?x=y",
        "https://host/a",
    ],
)
def test_a_uri_that_names_no_repository_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as failure:
        Repository(uri, Access(tmp_path))
    assert failure.value.reason == "UriUnsupported"


def entry(digit: str, **more: object) -> dict[str, object]:
    return {"digest": f"sha256:{digit * 64}", **more}


def on(architecture: str, system: str = "linux") -> dict[str, object]:
    return {"platform": {"os": system, "architecture": architecture}}


@pytest.mark.parametrize(
    ("entries", "digit"),
    [
        ([entry("1")], "1"),
        ([entry("1", **on("arm64")), entry("2", **on("amd64"))], "2"),
        ([entry("1", **on("arm64")), entry("2", **on("s390x"))], "1"),
        ([entry("1", **on("amd64")), entry("2", **on("unknown", "unknown"))], "1"),
        ([entry("1"), entry("2", artifactType="application/vnd.cncf.model.manifest.v1+json")], "2"),
        ([entry("1", **on("s390x"))], "1"),
    ],
)
def test_one_manifest_of_an_index_is_chosen_on_every_machine_alike(
    entries: list[dict[str, object]], digit: str
) -> None:
    assert chosen({"manifests": entries}, "it") == f"sha256:{digit * 64}"


@pytest.mark.parametrize("entries", [[], [entry("1"), entry("2")], [entry("1", **on("amd64"))] * 2])
def test_an_index_without_one_that_is_meant_is_refused(entries: list[dict[str, object]]) -> None:
    with pytest.raises(StoreError, match="by its digest") as failure:
        chosen({"manifests": entries}, "it")
    assert failure.value.reason == "UriUnsupported"


def test_an_index_is_followed(plain: Repository, real: Registry, name: str) -> None:
    digest = plain.push("v1", {"model.onnx": b"x"}, {})
    real.crane("index", "append", "-m", f"{real.host}/{name}:v1", "-t", f"{real.host}/{name}:index")
    found = plain.manifest("index")
    assert found is not None
    assert found.digest == digest


def malformed() -> Iterator[bytes]:
    layer = {"digest": f"sha256:{'1' * 64}", "size": 1, "mediaType": "x"}
    yield b""
    yield b"[]"
    yield b"[" * 100_000
    yield b"{}" + b" " * (5 << 20)
    bad: list[object] = [{}, [1], [layer] * 2000, [{**layer, "digest": "x"}], [{**layer, "size": -1}]]
    for layers in bad:
        yield json.dumps({"layers": layers}).encode()
    for change in ({"size": True}, {"size": "1"}, {"mediaType": None}, {"digest": f"sha512:{'1' * 128}"}):
        yield json.dumps({"layers": [{**layer, **change}]}).encode()


@pytest.mark.parametrize("content", list(malformed()), ids=range(13))
def test_a_manifest_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(NotAsSpecifiedError):
        image(document(content), "sha256:1", "it")


@pytest.mark.parametrize("content", [b"{}", b'{"schemaVersion": 1, "fsLayers": []}'])
def test_a_manifest_of_an_old_kind_is_refused(content: bytes) -> None:
    with pytest.raises(StoreError) as failure:
        image(document(content), "sha256:1", "it")
    assert failure.value.reason == "UriUnsupported"
