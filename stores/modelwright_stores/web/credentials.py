"""What a web server is asked with: the name and password, or the token, of a Secret."""

from base64 import b64encode

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError

KEYS = ("username", "password", "token")


def authorization(access: Access) -> str | None:
    """The value of the header `Authorization`; None without a Secret. SecretNotFound, SecretIncomplete."""
    given = access.credentials(KEYS)
    if not given:
        return None
    if "token" in given:
        token = given["token"]
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise _unsuitable(access, "token")
        return f"Bearer {token}"
    missing = [key for key in ("username", "password") if key not in given]
    if missing:
        raise StoreError(
            "SecretIncomplete",
            f"{access.field}.secretRef: Secret {access.secret} has no key {missing[0]}. "
            "It needs username and password, or token.",
        )
    for key in ("username", "password"):
        if not given[key].isprintable() or (key == "username" and ":" in given[key]):
            raise _unsuitable(access, key)
    pair = f"{given['username']}:{given['password']}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _unsuitable(access: Access, key: str) -> StoreError:
    return StoreError(
        "SecretIncomplete",
        f"{access.field}.secretRef: key {key} of Secret {access.secret} has characters that it cannot have. "
        "Correct it.",
    )
