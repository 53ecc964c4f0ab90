"""Reads keys of elliptic curves (PEM) and names them. What is signed with them is left to `bundle`."""

import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from modelwright_training.errors import InputError, storage

# A key of the longest curve has less than 1,000 bytes.
MAX_BYTES = 16 << 10
# The curves that model-signing takes, each with its hash: those of Sigstore's list of algorithms.
HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
CURVES = "P-256, P-384 or P-521"


def private_key(path: Path, called: str) -> ec.EllipticCurvePrivateKey:
    """Read the key to sign with. `called`: what messages call it. KeyNotFound, KeyUnreadable."""
    text = _read(path, called)
    try:
        key = load_pem_private_key(text, None)
    except TypeError as error:  # cryptography says so
        raise _unreadable(
            called, "is protected by a password. Write it without one: openssl ec -in KEY"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(called, "holds no private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
        raise _unreadable(called, f"holds no key of the elliptic curves {CURVES}")
    return key


def public_key(path: Path, called: str) -> ec.EllipticCurvePublicKey:
    """Read the key that a signature has to belong to. KeyNotFound, KeyUnreadable."""
    text = _read(path, called)
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm) as error:
        private = " but a private one, which only signing needs" if b"PRIVATE KEY" in text else ""
        raise _unreadable(called, f"holds no public key in PEM{private}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise _unreadable(called, f"holds no key of the elliptic curves {CURVES}")
    return key


def hint(key: ec.EllipticCurvePublicKey) -> str:
    """The name of a key in bundles: sha256 of its PEM, in hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def algorithm(key: ec.EllipticCurvePublicKey) -> hashes.HashAlgorithm:
    """The hash that goes with a key."""
    return HASHES[key.curve.name]


def _read(path: Path, called: str) -> bytes:
    # A volume of a Secret holds links, so they are followed here.
    with storage("Reading the key"):
        if not path.is_file():
            raise InputError("KeyNotFound", f"There is no {called}.")
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise _unreadable(called, f"holds more than {MAX_BYTES} bytes")
    return text


def _unreadable(called: str, what: str) -> InputError:
    return InputError("KeyUnreadable", f"The {called} {what}.")
