"""What obstore needs for a bucket of each cloud. It comes from an Access and from nowhere else: not from the
environment, not from files of a home directory, not from a metadata server."""

import json
import os
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from modelwright_stores import addresses
from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.credentials import Credential, Provider, lasting

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# The keys of a Secret that are read, by the scheme of the uri; the operator mounts the same ones.
SECRET_KEYS: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "gs": ("key.json",),
    "az": (
        "AZURE_STORAGE_ACCOUNT_NAME",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_CLIENT_SECRET",
    ),
}
DEFAULT_REGION = "us-east-1"

_AZ_KEY = ("AZURE_STORAGE_ACCOUNT_KEY",)
_AZ_SAS = ("AZURE_STORAGE_SAS_TOKEN",)
_AZ_CLIENT = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
_NO_TOKEN = {"token": "none"}
_BUCKET = re.compile(r"[A-Za-z0-9$][-A-Za-z0-9._]{1,221}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_VISIBLE = re.compile(r"[!-~]+")
# What obstore and its HTTP client would read while a store is built.
_AMBIENT = re.compile(r"(AWS|AZURE|GOOGLE|MSI|IDENTITY)_.*|(HTTP|HTTPS|ALL|NO)_PROXY", re.IGNORECASE)
_building = threading.Lock()


@dataclass(frozen=True)
class Cloud:
    """One bucket of one cloud.

    `endpoint`: the address that is connected to; `own`: it is the cloud's own. `provider`: the credentials, None if
    `config` has what signs. `signed`: whether requests are signed at all."""

    scheme: str
    bucket: str
    endpoint: str
    own: bool
    provider: Provider | None
    signed: bool
    config: Mapping[str, Any] = field(repr=False)

    @property
    def host(self) -> str:
        """What messages call the server."""
        return urlsplit(self.endpoint).netloc

    def store(
        self, client: Mapping[str, Any], retry: Mapping[str, Any], more: Mapping[str, Any]
    ) -> "ObjectStore":
        """A store of obstore. ValueError and obstore's errors."""
        from obstore import store as stores  # noqa: PLC0415 a pull from a claim does not need it

        kinds: dict[str, Any] = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}
        with _bare_environment():
            store: ObjectStore = kinds[self.scheme](
                self.bucket,
                config={**self.config, **more},
                client_options={**client, "allow_http": self.endpoint.startswith("http://")},
                retry_config=retry,
                credential_provider=self.provider,
            )
        return store


def cloud(scheme: str, bucket: str, access: Access) -> Cloud:
    """The cloud of a bucket, with its credentials.

    UriUnsupported, SecretNotFound, SecretIncomplete, IdentityRefused."""
    if not _BUCKET.fullmatch(bucket):
        raise StoreError(
            "UriUnsupported", f"{scheme}://BUCKET/PATH needs the name of a bucket. Correct the uri."
        )
    _check_endpoint(access)
    if access.identity is not None:
        from modelwright_stores.objects import identities  # noqa: PLC0415 a key needs none

        identities.check(scheme, access)
    return {"s3": _s3, "gs": _gs, "az": _az}[scheme](bucket, access)


def _s3(bucket: str, access: Access) -> Cloud:
    region = access.region or DEFAULT_REGION
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    endpoint, own = _endpoint(access, f"https://s3.{region}.{suffix}")
    exchange: Callable[[], Credential] | None = None
    if access.identity is not None:
        from modelwright_stores.objects import identities  # noqa: PLC0415 a key needs none

        exchange = partial(identities.aws, access, access.identity, region)
    elif access.secret is not None:
        exchange = partial(_s3_keys, access)
        exchange()
    config: dict[str, Any] = {
        "endpoint": endpoint,
        "region": region,
        "conditional_put": "etag",
        # One DELETE an object: servers that only resemble S3 often lack the one for many.
        "disable_bulk_delete": True,
    }
    return _signed("s3", bucket, endpoint, own, exchange, config)


def _s3_keys(access: Access) -> Credential:
    found = _found(access, "s3", ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    keys = {"access_key_id": found["AWS_ACCESS_KEY_ID"], "secret_access_key": found["AWS_SECRET_ACCESS_KEY"]}
    if "AWS_SESSION_TOKEN" in found:
        keys["token"] = found["AWS_SESSION_TOKEN"]
    return lasting(**keys)


def _gs(bucket: str, access: Access) -> Cloud:
    endpoint, own = _endpoint(access, "https://storage.googleapis.com")
    config = {"base_url": endpoint}
    if access.secret is not None:
        key = {"service_account_key": json.dumps({**_gs_key(access), "gcs_base_url": endpoint})}
        return Cloud("gs", bucket, endpoint, own, None, True, {**config, **key})
    exchange = None
    if access.identity is not None:
        from modelwright_stores.objects import identities  # noqa: PLC0415 a key needs none

        exchange = partial(identities.google, access, access.identity)
    return _signed("gs", bucket, endpoint, own, exchange, config)


def _gs_key(access: Access) -> dict[str, str]:
    """Of key.json only what signs: it may name other addresses too."""
    try:
        key = json.loads(access.credentials(SECRET_KEYS["gs"])["key.json"])
        chosen = {name: str(key[name]) for name in ("client_email", "private_key", "private_key_id")}
    except (ValueError, TypeError, KeyError, RecursionError):
        chosen = {}
    if "-----BEGIN PRIVATE KEY-----" not in chosen.get("private_key", ""):
        raise _cannot_be(access, "key.json", "the key of a service account, as Google issues it")
    return chosen


def _az(container: str, access: Access) -> Cloud:
    found = _found(access, "az", ()) if access.secret is not None else {}
    account = _account(access, found)
    endpoint, own = _endpoint(access, f"https://{account}.blob.core.windows.net")
    exchange: Callable[[], Credential] | None = None
    if access.identity is not None:
        from modelwright_stores.objects import identities  # noqa: PLC0415 a key needs none

        exchange = partial(identities.azure, access, access.identity)
    elif access.secret is not None:
        exchange = _az_exchange(access, found)
    return _signed("az", container, endpoint, own, exchange, {"endpoint": endpoint, "account_name": account})


def _account(access: Access, found: Mapping[str, str]) -> str:
    """The storage account: a key of the Secret, or a part of the endpoint."""
    named = found.get("AZURE_STORAGE_ACCOUNT_NAME")
    if named is not None:
        if not _ACCOUNT.fullmatch(named):
            raise _cannot_be(access, "AZURE_STORAGE_ACCOUNT_NAME", "the name of a storage account")
        return named
    parts = urlsplit(access.endpoint or "")
    account = parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]
    if not _ACCOUNT.fullmatch(account):
        raise StoreError(
            "UriUnsupported",
            f"{access.field}: az:// does not name the storage account. Set {access.field}.endpoint to "
            "https://ACCOUNT.blob.core.windows.net, or the key AZURE_STORAGE_ACCOUNT_NAME of the Secret.",
        )
    return account


def _az_exchange(access: Access, found: Mapping[str, str]) -> Callable[[], Credential]:
    if "AZURE_STORAGE_ACCOUNT_KEY" in found:
        try:
            b64decode(found["AZURE_STORAGE_ACCOUNT_KEY"], validate=True)
        except ValueError:
            raise _cannot_be(access, "AZURE_STORAGE_ACCOUNT_KEY", "the key of a storage account") from None
        return lambda: lasting(access_key=_found(access, "az", _AZ_KEY)[_AZ_KEY[0]])
    if "AZURE_STORAGE_SAS_TOKEN" in found:
        return partial(_az_shared, access)
    if any(key in found for key in _AZ_CLIENT):
        from modelwright_stores.objects import identities  # noqa: PLC0415 a key needs none

        _found(access, "az", _AZ_CLIENT)
        return lambda: identities.azure_client(access, *_az_client(access))
    raise StoreError(
        "SecretIncomplete",
        f"{access.field}.secretRef: Secret {access.secret} has neither {_AZ_KEY[0]} nor {_AZ_SAS[0]} nor "
        f"{', '.join(_AZ_CLIENT)}. Add what the storage account is used with.",
    )


def _az_shared(access: Access) -> Credential:
    """A shared access signature says itself when it ends. CredentialsExpired."""
    token = _found(access, "az", _AZ_SAS)[_AZ_SAS[0]].removeprefix("?")
    with suppress(ValueError, KeyError):
        end = datetime.fromisoformat(dict(parse_qsl(token))["se"])
        if end.replace(tzinfo=end.tzinfo or UTC) < datetime.now(UTC):
            raise StoreError(
                "CredentialsExpired",
                f"{access.field}.secretRef: {_AZ_SAS[0]} of Secret {access.secret} has expired. Replace it.",
            )
    return lasting(sas_token=token)


def _az_client(access: Access) -> tuple[str, str, str]:
    found = _found(access, "az", _AZ_CLIENT)
    return found["AZURE_TENANT_ID"], found["AZURE_CLIENT_ID"], found["AZURE_CLIENT_SECRET"]


def _signed(
    scheme: str,
    bucket: str,
    endpoint: str,
    own: bool,
    exchange: Callable[[], Credential] | None,
    config: Mapping[str, Any],
) -> Cloud:
    """A bucket whose requests are signed if there is something to sign with; public data is read without."""
    if exchange is None:
        # Even so, obstore asks Google's metadata server for a token before it writes, unless it is given one.
        nothing = Provider(partial(lasting, **_NO_TOKEN)) if scheme == "gs" else None
        return Cloud(scheme, bucket, endpoint, own, nothing, False, {**config, "skip_signature": True})
    return Cloud(scheme, bucket, endpoint, own, Provider(exchange), True, config)


def _check_endpoint(access: Access) -> None:
    """UriUnsupported."""
    try:
        addresses.origin(access.endpoint or "https://cloud")
    except StoreError as error:
        message = f"{access.field}.endpoint has to be https://HOST or https://HOST:PORT, or with http://. Correct it."
        raise StoreError(error.reason, message) from None


def _endpoint(access: Access, default: str) -> tuple[str, bool]:
    return (default, True) if access.endpoint is None else (access.endpoint.rstrip("/"), False)


def _found(access: Access, scheme: str, needed: Sequence[str]) -> dict[str, str]:
    """The keys of the Secret; all of `needed` are there. SecretNotFound, SecretIncomplete."""
    found = access.credentials(SECRET_KEYS[scheme])
    lacking = [key for key in needed if key not in found]
    if lacking:
        raise StoreError(
            "SecretIncomplete",
            f"{access.field}.secretRef: Secret {access.secret} lacks {', '.join(lacking)}. Add it.",
        )
    for key, value in found.items():
        if not _VISIBLE.fullmatch(value):
            raise _cannot_be(access, key, "a value of this kind: it has spaces, line breaks or other signs")
    return found


def _cannot_be(access: Access, key: str, what: str) -> StoreError:
    return StoreError(
        "SecretIncomplete",
        f"{access.field}.secretRef: key {key} of Secret {access.secret} cannot be {what}. Correct it.",
    )


@contextmanager
def _bare_environment() -> Iterator[None]:
    """Without the variables that obstore and its HTTP client take credentials, endpoints and proxies from."""
    with _building:
        taken = {name: os.environ.pop(name) for name in list(os.environ) if _AMBIENT.fullmatch(name)}
        try:
            yield
        finally:
            os.environ.update(taken)
