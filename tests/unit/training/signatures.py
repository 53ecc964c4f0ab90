"""Keys to sign with, and what verify says of a signature file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from modelwright_training.errors import InputError
from modelwright_training.files import digest_of_file, regular
from modelwright_training.signing import bundle, keys

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@dataclass(frozen=True)
class Key:
    """A pair of keys as files: PEM, as openssl writes them."""

    private: Path
    public: Path

    @classmethod
    def made(cls, path: Path, curve: str = "P-256") -> Self:
        key = ec.generate_private_key(CURVES[curve])
        made = cls(path.with_suffix(".pem"), path.with_suffix(".pub"))
        made.private.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        )
        made.public.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        return made


def holds(signature: Path, model: Path, key: Key) -> str:
    """Why the signature does not hold; "" if it does."""
    try:
        with regular(signature) as file:
            content = None if file is None else file.read()
        bundle.verify(
            content, model.name, digest_of_file(model), keys.public_key(key.public, "key k of Secret s")
        )
    except InputError as error:
        return f"{error.reason}: {error.message}"
    return ""
