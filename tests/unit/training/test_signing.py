"""A signature holds for the file that it was made of and for its key, and for nothing else."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from unit.training.signatures import CURVES, Key, holds

from modelwright_training.errors import InputError
from modelwright_training.files import digest_of
from modelwright_training.signing import bundle, keys
from modelwright_training.signing.statement import PAYLOAD_TYPE

Json = dict[str, Any]
CONTENT = b"a model"


class Signed:
    """A model file with its signature file and its key."""

    def __init__(self, folder: Path, curve: str = "P-256") -> None:
        self.folder, self.key = folder, Key.made(folder / "key", curve)
        self.model, self.signature = folder / "model.onnx", folder / "model.sig"
        self.model.write_bytes(CONTENT)
        self.signature.write_bytes(self.sign())

    def sign(self) -> bytes:
        return bundle.sign(
            "model.onnx", digest_of(CONTENT), keys.private_key(self.key.private, "key k of Secret s")
        )

    @property
    def document(self) -> Json:
        found: Json = json.loads(self.signature.read_text())
        return found

    def write(self, document: Json) -> None:
        self.signature.write_text(json.dumps(document))

    def says(self, change: Callable[[Json], None]) -> str:
        """What verify says after a change of the statement, signed again with the same key."""
        statement = json.loads(base64.b64decode(self.document["dsseEnvelope"]["payload"]))
        change(statement)
        return self.says_of(json.dumps(statement).encode())

    def says_of(self, payload: bytes) -> str:
        """What verify says of an envelope with this content, signed with the same key."""
        private, document = keys.private_key(self.key.private, "key k of Secret s"), self.document
        encoded = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        signature = private.sign(encoded, ec.ECDSA(keys.algorithm(private.public_key())))
        document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
        self.write(document)
        return self.holds()

    def holds(self) -> str:
        return holds(self.signature, self.model, self.key)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


@pytest.mark.parametrize("curve", CURVES)
def test_a_signature_holds_and_is_the_same_each_time(tmp_path: Path, curve: str) -> None:
    signed = Signed(tmp_path, curve)
    assert signed.holds() == ""
    assert signed.sign() == signed.sign()


def test_a_changed_model_is_refused_with_both_digests(signed: Signed) -> None:
    signed.model.write_bytes(b"another model")
    said = signed.holds()
    assert said.startswith("SignatureInvalid: ")
    assert digest_of(CONTENT) in said
    assert digest_of(b"another model") in said


def test_another_key_is_named(signed: Signed) -> None:
    other = Key.made(signed.folder / "other")
    said = holds(signed.signature, signed.model, other)
    assert said.startswith("WrongKey: ")
    assert keys.hint(keys.public_key(other.public, "key k of Secret s")) in said
    assert keys.hint(keys.public_key(signed.key.public, "key k of Secret s")) in said


def test_a_signature_that_names_no_key_holds_for_its_own_only(signed: Signed) -> None:
    document = signed.document
    document["verificationMaterial"]["publicKey"] = {}
    signed.write(document)
    assert signed.holds() == ""
    said = holds(signed.signature, signed.model, Key.made(signed.folder / "other"))
    assert said.startswith("SignatureInvalid: ")
    assert "another key" in said


def test_a_missing_signature_says_how_to_sign(signed: Signed) -> None:
    signed.signature.unlink()
    said = signed.holds()
    assert said.startswith("SignatureMissing: ")
    assert "model_signing sign key" in said


def _without_signatures(document: Json) -> None:
    document["dsseEnvelope"]["signatures"] = []


def _with_two_signatures(document: Json) -> None:
    document["dsseEnvelope"]["signatures"] *= 2


def _of_a_certificate(document: Json) -> None:
    document["verificationMaterial"] = {"certificate": {"rawBytes": ""}}


def _of_another_type(document: Json) -> None:
    document["dsseEnvelope"]["payloadType"] = "text/plain"


def _of_another_version(document: Json) -> None:
    document["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.1+json"


def _with_another_payload(document: Json) -> None:
    document["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()


def _not_base64(document: Json) -> None:
    document["dsseEnvelope"]["payload"] += "*"


def _not_der(document: Json) -> None:
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(b"not DER").decode()


@pytest.mark.parametrize(
    "change",
    [
        _without_signatures, _with_two_signatures, _of_a_certificate, _of_another_type, _of_another_version,
        _with_another_payload, _not_base64, _not_der,
    ],
)  # fmt: skip
def test_a_changed_bundle_is_refused(signed: Signed, change: Callable[[Json], None]) -> None:
    document = signed.document
    change(document)
    signed.write(document)
    assert signed.holds().startswith("SignatureInvalid: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not what model-signing 1 writes"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not JSON"),
        (b" " * ((4 << 20) + 1), "more than 4194304 bytes"),
    ],
)
def test_a_file_that_is_no_bundle_is_refused(signed: Signed, content: bytes, why: str) -> None:
    signed.signature.write_bytes(content)
    said = signed.holds()
    assert said.startswith("SignatureInvalid: ")
    assert why in said


def test_every_beginning_of_a_bundle_is_refused(signed: Signed) -> None:
    content = signed.signature.read_bytes()
    for length in range(0, len(content), 50):
        signed.signature.write_bytes(content[:length])
        assert signed.holds().startswith("SignatureInvalid: ")


def test_a_key_that_is_there_twice_is_refused(signed: Signed) -> None:
    """Another reader may take the other one of both."""
    text = signed.signature.read_text()
    signed.signature.write_text(text.replace('"mediaType"', '"mediaType":"","mediaType"'))
    assert "a key twice" in signed.holds()
    signed.signature.write_bytes(signed.sign())
    payload = base64.b64decode(signed.document["dsseEnvelope"]["payload"])
    assert "a key twice" in signed.says_of(payload.replace(b'"_type"', b'"_type": "", "_type"'))


def test_a_link_is_not_followed(signed: Signed) -> None:
    signed.signature.rename(signed.folder / "elsewhere")
    signed.signature.symlink_to(signed.folder / "elsewhere")
    assert signed.holds().startswith("NotARegularFile: ")


def _of_a_folder(*names: str) -> Callable[[Json], None]:
    """A statement about files of these names, all with the digest of the model."""

    def change(statement: Json) -> None:
        digest = digest_of(CONTENT).removeprefix("sha256:")
        statement["predicate"]["resources"] = [
            {"name": name, "algorithm": "sha256", "digest": digest} for name in names
        ]
        root = hashlib.sha256(bytes.fromhex(digest) * len(names)).hexdigest()
        statement["subject"][0]["digest"]["sha256"] = root

    return change


def test_the_signature_of_a_folder_holds_for_a_file_of_it(signed: Signed) -> None:
    assert signed.says(_of_a_folder("model.onnx", "tokens.txt")) == ""


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("other.onnx",), "other files than model.onnx: 'other.onnx'"),
        (("v1/model.onnx",), "other files than model.onnx"),
        ((".", "tokens.txt"), "other files than model.onnx"),
        (("model.onnx", "model.onnx"), "names a file twice"),
    ],
)
def test_a_signature_of_other_files_is_refused(signed: Signed, names: tuple[str, ...], why: str) -> None:
    said = signed.says(_of_a_folder(*names))
    assert said.startswith("SignatureInvalid: ")
    assert why in said


def _another_predicate(statement: Json) -> None:
    statement["predicateType"] = "https://model_signing/Digests/v0.1"


def _another_root(statement: Json) -> None:
    statement["subject"][0]["digest"]["sha256"] = "0" * 64


def _no_files(statement: Json) -> None:
    statement["predicate"]["resources"] = []


@pytest.mark.parametrize("change", [_another_predicate, _another_root, _no_files])
def test_a_signed_statement_that_is_not_of_this_format_is_refused(
    signed: Signed, change: Callable[[Json], None]
) -> None:
    assert signed.says(change).startswith("SignatureInvalid: ")


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _pem(key: Any, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    made: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
    return made


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no private key in PEM"),
        (b"x" * 20_000, "more than 16384 bytes"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "protected by a password"),
        (_pem(ec.generate_private_key(ec.SECP256K1())), "elliptic curves P-256, P-384 or P-521"),
        (_pem(ed25519.Ed25519PrivateKey.generate()), "elliptic curves P-256, P-384 or P-521"),
        (_pem(_rsa()), "elliptic curves P-256, P-384 or P-521"),
    ],
)
def test_a_key_to_sign_with_that_does_not_suit_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as caught:
        keys.private_key(path, "key k of Secret s")
    assert caught.value.reason == "KeyUnreadable"


def _public(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"-----BEGIN PUBLIC KEY-----", "no public key in PEM"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "but a private one"),
        (_public(ec.generate_private_key(ec.SECP256K1())), "elliptic curves P-256, P-384 or P-521"),
        (_public(_rsa()), "elliptic curves P-256, P-384 or P-521"),
    ],
)
def test_a_key_to_verify_with_that_does_not_suit_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "key.pub"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as caught:
        keys.public_key(path, "key k of Secret s")
    assert caught.value.reason == "KeyUnreadable"


def test_a_key_that_is_not_there_is_said(tmp_path: Path) -> None:
    for read in (keys.private_key, keys.public_key):
        with pytest.raises(InputError, match="There is no key k of Secret s") as caught:
            read(tmp_path / "nothing", "key k of Secret s")
        assert caught.value.reason == "KeyNotFound"
