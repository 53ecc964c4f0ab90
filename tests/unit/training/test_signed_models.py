"""Publish signs the model if there is a key, and verify accepts a model only with the signature that is asked for."""

import json
from pathlib import Path

import pytest
from unit.training.pod import Json, Pod, numbers
from unit.training.signatures import Key, holds
from unit.training.test_publish import TWO_CLASSES, model
from unit.training.test_verify import document, stored

from modelwright_training.signing import bundle, keys

SIGN = {"MODELWRIGHT_SIGN": "key k of Secret s"}


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Key.made(tmp_path / "key")


def published(pod: Pod) -> tuple[Path, Path]:
    (path,) = pod.paths.artifacts.rglob("model.onnx")
    return path, path.with_name("model.sig")


@pytest.fixture
def ready(pod: Pod) -> Pod:
    pod.given_rows(numbers(60)).through("fetch", "train")
    return pod


def hint(key: Key) -> str:
    return keys.hint(keys.public_key(key.public, "key k of Secret s"))


def test_publish_signs_what_it_stores_and_names_the_key(ready: Pod, key: Key) -> None:
    result = ready.given_key(key.private).run("publish", **SIGN).result
    path, signature = published(ready)
    assert holds(signature, path, key) == ""
    assert result["signedBy"] == hint(key)


def test_without_a_key_nothing_is_signed(ready: Pod) -> None:
    assert "signedBy" not in ready.run("publish").result
    assert not published(ready)[1].exists()


def test_a_second_publish_leaves_the_signature_and_adds_one_that_is_not_there(ready: Pod, key: Key) -> None:
    assert "signedBy" not in ready.run("publish").result
    assert ready.given_key(key.private).run("publish", **SIGN).result["signedBy"] == hint(key)
    path, signature = published(ready)
    first, time = signature.read_bytes(), signature.stat().st_mtime_ns
    ready.run("publish", **SIGN)
    assert (signature.read_bytes(), signature.stat().st_mtime_ns) == (first, time)

    other = Key.made(ready.root / "other")
    result = ready.given_key(other.private).run("publish", **SIGN).result
    assert "signedBy" not in result
    assert (
        "model.sig beside the file is of another key and was left as it is"
        in result["evaluation"]["notes"][0]
    )
    assert holds(signature, path, key) == ""

    signature.write_text("nonsense")
    result = ready.run("publish", **SIGN).result
    assert "model.sig beside the file is no signature of it" in result["evaluation"]["notes"][0]
    signature.unlink()
    assert "model.sig" not in str(ready.run("publish", **SIGN).result["evaluation"]["notes"])


@pytest.mark.parametrize(("content", "reason"), [(None, "KeyNotFound"), (b"no key", "KeyUnreadable")])
def test_a_key_that_cannot_be_read_ends_publish_before_anything_is_stored(
    ready: Pod, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (ready.root / "key").write_bytes(content)
        ready.given_key(ready.root / "key")
    ending = ready.run("publish", **SIGN)
    assert (ending.reason, ending.code) == (reason, 65)
    assert not list(ready.paths.artifacts.iterdir())


def asked(digest: str) -> Json:
    return {**document(digest), "verification": "key k of Secret s"}


def signed(pod: Pod, key: Key) -> tuple[Path, str]:
    """A model file of which another program has made the signature beside it."""
    path, digest = stored(pod, model(TWO_CLASSES).SerializeToString())
    made = bundle.sign(path.name, digest, keys.private_key(key.private, "key k of Secret s"))
    path.with_name("model.sig").write_bytes(made)
    return path, digest


def test_verify_accepts_a_model_with_the_signature_of_the_key(pod: Pod, key: Key) -> None:
    _, digest = signed(pod, key)
    assert pod.given_key(key.public).verify(asked(digest)).result["signedBy"] == hint(key)


def test_without_a_key_to_verify_by_no_signature_is_looked_at(pod: Pod, key: Key) -> None:
    path, digest = signed(pod, key)
    path.with_name("model.sig").write_text("nonsense")
    assert "signedBy" not in pod.verify(document(digest)).result


def test_verify_refuses_what_is_not_signed_with_the_key(pod: Pod, key: Key) -> None:
    path, digest = signed(pod, key)
    pod.given_key(Key.made(pod.root / "other").public)
    assert pod.verify(asked(digest)).reason == "WrongKey"

    pod.given_key(key.public)
    signature = path.with_name("model.sig")
    text = signature.read_text()
    envelope = json.loads(text)
    envelope["dsseEnvelope"]["payload"] = "e30="
    signature.write_text(json.dumps(envelope))
    assert pod.verify(asked(digest)).reason == "SignatureInvalid"
    signature.unlink()
    assert pod.verify(asked(digest)).reason == "SignatureMissing"


@pytest.mark.parametrize(("content", "reason"), [(None, "KeyNotFound"), (b"no key", "KeyUnreadable")])
def test_verify_needs_the_key(pod: Pod, key: Key, content: bytes | None, reason: str) -> None:
    _, digest = signed(pod, key)
    if content is not None:
        (pod.root / "broken").write_bytes(content)
        pod.given_key(pod.root / "broken")
    assert pod.verify(asked(digest)).reason == reason


def test_a_file_that_is_not_signed_is_not_parsed(pod: Pod, key: Key) -> None:
    path, digest = stored(pod, b"no model at all")
    assert path.exists()
    assert pod.given_key(key.public).verify(asked(digest)).reason == "SignatureMissing"
