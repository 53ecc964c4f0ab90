"""The in-toto statement that a signature is made of: which files it is about, and their digests."""

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelwright_training.errors import InputError, listing

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
# The name of a file that was signed alone, not in its folder.
ALONE = "."
HEX = r"^[0-9a-f]{64}$"
MAX_FILES = 10_000


class _Part(BaseModel):
    """A part of a statement; verifiers ignore what they do not know of it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Digests(_Part):
    sha256: str = Field(pattern=HEX)


class _Subject(_Part):
    digest: _Digests


class _Serialization(_Part):
    method: Literal["files"]
    hash_type: Literal["sha256"]


class _Resource(_Part):
    name: str
    algorithm: Literal["sha256"]
    digest: str = Field(pattern=HEX)


class _Predicate(_Part):
    serialization: _Serialization
    resources: list[_Resource] = Field(min_length=1, max_length=MAX_FILES)


class Statement(_Part):
    """What is said of the files of a model."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    predicate_type: Literal["https://model_signing/signature/v1.0"] = Field(alias="predicateType")
    subject: list[_Subject] = Field(min_length=1, max_length=1)
    predicate: _Predicate


def make(name: str, digest: str) -> bytes:
    """The statement about one file, as `model_signing sign key FILE` makes it. `digest`: `sha256:HEX`."""
    value = digest.removeprefix("sha256:")
    document = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root([value])}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": ALONE, "algorithm": "sha256", "digest": value}],
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def check(statement: Statement, name: str, digest: str) -> None:
    """Refuse a statement that is not about the file `name` with this digest (`sha256:HEX`): SignatureInvalid.

    It may be about the file alone, or about its folder: then other files of the folder are not looked at."""
    resources = statement.predicate.resources
    if _root([each.digest for each in resources]) != statement.subject[0].digest.sha256:
        raise invalid("The digests of its files do not add up to the one of its subject")
    names = [each.name for each in resources]
    if len(set(names)) < len(names):
        raise invalid("It names a file twice")
    wanted = ALONE if names == [ALONE] else name
    signed = next((each.digest for each in resources if each.name == wanted), None)
    if signed is None:
        raise invalid(f"It is about other files than {name}: {listing(names, 5)}")
    if f"sha256:{signed}" != digest:
        raise invalid(f"It is about a file of digest sha256:{signed}, but {name} has {digest}")


def invalid(what: str) -> InputError:
    """The error of a signature that does not hold."""
    message = f"The signature model.sig beside the file does not hold. {what}. Sign the file again."
    return InputError("SignatureInvalid", message)


def _root(digests: list[str]) -> str:
    """The digest of all files: sha256 over their digests, one after the other."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
