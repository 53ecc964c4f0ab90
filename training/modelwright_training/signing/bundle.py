"""Signature files: a Sigstore bundle with a DSSE envelope around a statement, signed with ECDSA.

https://docs.sigstore.dev/about/bundle and https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md"""

import base64
import binascii
import json
from typing import Any, Literal, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelwright_training.errors import InputError
from modelwright_training.paths import SIGNATURE
from modelwright_training.signing import keys
from modelwright_training.signing.statement import PAYLOAD_TYPE, Statement, check, invalid, make

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
# A statement about 10,000 files has about 2 MB.
MAX_BYTES = 4 << 20

AnyPart = TypeVar("AnyPart", bound=BaseModel)


class _Part(BaseModel):
    """A part of a bundle; what is not known of it is ignored."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )


class _Key(_Part):
    hint: str | None = None


class _Material(_Part):
    public_key: _Key


class _Signature(_Part):
    sig: str


class _Envelope(_Part):
    payload: str
    payload_type: Literal["application/vnd.in-toto+json"]
    signatures: list[_Signature] = Field(min_length=1, max_length=1)


class _Bundle(_Part):
    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verification_material: _Material
    dsse_envelope: _Envelope


def sign(name: str, digest: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The signature file of a model file with this digest (`sha256:HEX`).

    The same for the same input: the random number of ECDSA follows from key and content (RFC 6979)."""
    public, payload = key.public_key(), make(name, digest)
    scheme = ec.ECDSA(keys.algorithm(public), deterministic_signing=True)
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": keys.hint(public)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"sig": base64.b64encode(key.sign(_encoded(payload), scheme)).decode(), "keyid": ""}
            ],
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()


def verify(content: bytes | None, name: str, digest: str, key: ec.EllipticCurvePublicKey) -> None:
    """Check that a signature file (None: there is none) is of this key and of the file `name` with this digest.

    SignatureMissing, SignatureInvalid, WrongKey."""
    if content is None:
        raise InputError(
            "SignatureMissing",
            f"There is no {SIGNATURE} beside the model file. Sign it: "
            f"model_signing sign key MODEL --signature {SIGNATURE} --private_key KEY.",
        )
    if len(content) > MAX_BYTES:
        raise invalid(f"It has more than {MAX_BYTES} bytes")
    payload = _payload(content, key)
    check(_parsed(Statement, payload, "statement"), name, digest)


def _payload(content: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """The content of the envelope, once its signature has been checked."""
    bundle = _parsed(_Bundle, content, "bundle")
    named, envelope = bundle.verification_material.public_key.hint, bundle.dsse_envelope
    if named and named != keys.hint(key):
        raise InputError(
            "WrongKey",
            f"The signature {SIGNATURE} beside the file was made with another key: its public key is {named:.64}, "
            f"that of the Secret {keys.hint(key)} (sha256 of the PEM). Name its Secret, or sign with this key.",
        )
    payload, signature = _bytes(envelope.payload), _bytes(envelope.signatures[0].sig)
    try:
        key.verify(signature, _encoded(payload), ec.ECDSA(keys.algorithm(key)))
    except InvalidSignature as error:
        other = "" if named else ", or it was made with another key, which it does not name"
        raise invalid(f"It does not belong to its content, which has been changed{other}") from error
    return payload


def _encoded(payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _parsed(kind: type[AnyPart], content: bytes, what: str) -> AnyPart:
    try:
        return kind.model_validate(json.loads(content, object_pairs_hook=_distinct))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise invalid(
            f"Its {what} is not what model-signing 1 writes with a key: {where}: {fault['msg']}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise invalid(f"Its {what} is not JSON: {str(error)[:120]}") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; refuses one that has a key twice, of which every reader may take another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("It is not base64 where it has to be") from error
