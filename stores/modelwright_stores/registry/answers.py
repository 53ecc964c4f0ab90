"""What an answer of a registry that is no success means. Of its body only the known error codes are used."""

import json

from modelwright_stores.failures import StoreError

MAX_ERROR_BYTES = 64 << 10
# https://github.com/opencontainers/distribution-spec, "Error Codes", and TOOMANYREQUESTS.
CODES = frozenset(
    (
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DENIED",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "TAG_INVALID",
        "TOOMANYREQUESTS",
        "UNAUTHORIZED",
        "UNSUPPORTED",
    )
)
BUSY = (408, 425, 429)


def code(body: bytes) -> str | None:
    """The first known error code of an answer's body."""
    try:
        found = [error["code"] for error in json.loads(body)["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return next((code for code in found if isinstance(code, str) and code in CODES), None)


def refusal(status: int, code: str | None, shown: str, field: str, secret: str | None) -> StoreError:
    """The failure that an answer stands for. `secret`: the name of the Secret with the credentials that were sent."""
    what = f"answers {status} {code}" if code else f"answers {status}"
    if status in BUSY or status >= 500 or code == "TOOMANYREQUESTS":
        return StoreError("StoreUnavailable", f"The registry of {shown} {what}.", passing=True)
    if status in (401, 403) or code in ("DENIED", "UNAUTHORIZED"):
        return _denied(status, what, shown, field, secret)
    if status == 404 and code != "NAME_UNKNOWN":
        return StoreError(
            "DataNotFound", f"The registry of {shown} {what}: there is no such manifest or layer."
        )
    if code in ("NAME_UNKNOWN", "NAME_INVALID"):
        return no_repository(shown)
    if status == 413:
        return StoreError(
            "FileTooLarge",
            f"The registry of {shown} {what}: it, or a proxy before it, takes no body of this size. Raise its limit.",
        )
    return StoreError("StoreAnswerInvalid", f"The registry of {shown} {what}.")


def no_repository(shown: str) -> StoreError:
    """The registry does not know the repository."""
    return StoreError(
        "BucketNotFound",
        f"The registry has no repository {shown}. Correct the uri, or create the repository: some registries do not "
        "create one when something is pushed to it.",
    )


def _denied(status: int, what: str, shown: str, field: str, secret: str | None) -> StoreError:
    if secret is None:
        return StoreError(
            "NoCredentials",
            f"The registry of {shown} {what}, and no credentials were sent. Set {field}.secretRef. (Many registries "
            "answer so, too, if there is no such repository.)",
        )
    if status == 401:
        return StoreError(
            "CredentialsRefused",
            f"The registry of {shown} {what}: it refuses the user name or the password in Secret {secret} "
            f"({field}.secretRef). Correct the Secret.",
        )
    return StoreError(
        "AccessDenied",
        f"The registry of {shown} {what}: the user in Secret {secret} ({field}.secretRef) lacks a right there. Give "
        "the right to pull, and for artifacts.uri to push, or correct the uri.",
    )
