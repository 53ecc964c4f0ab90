"""The user name and the password for one registry, from the files of a Secret."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from modelwright_stores.access import Access
from modelwright_stores.addresses import PORTS, origin
from modelwright_stores.failures import StoreError
from modelwright_stores.registry.reference import HUB_NAMES, Reference

DOCKER = ".dockerconfigjson"
KEYS = (DOCKER, "username", "password")


def basic(access: Access, reference: Reference) -> str | None:
    """The value of an `Authorization: Basic` header; None if no Secret is named. SecretNotFound, SecretIncomplete."""
    found = access.credentials(KEYS)
    if not found:
        return None
    if DOCKER in found:
        user, password = _of_docker(found[DOCKER], access, reference)
    else:
        user, password = found.get("username", ""), found.get("password", "")
        if not user or not password:
            missing = "password" if user else "username"
            raise _incomplete(access, f"has no key {missing}")
    try:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    except UnicodeEncodeError:  # half of a character, which JSON can have
        raise _incomplete(access, "its user or its password is no text") from None


def _of_docker(text: str, access: Access, reference: Reference) -> tuple[str, str]:
    """The entry for the registry in what `docker login` writes: the longest one that fits the repository.

    An entry is for one server. So it has to be for the server that is asked: an `endpoint`, if there is one."""
    try:
        auths = json.loads(text)["auths"]
        entries = {_place(key): entry for key, entry in auths.items() if isinstance(entry, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _incomplete(access, f"{DOCKER} is no JSON object with `auths`") from None
    hosts = _hosts(access, reference)
    fitting = [place for place in entries if _fits(place, hosts, reference)]
    if not fitting:
        asked = f", the host of {access.field}.endpoint" if access.endpoint else ""
        raise _incomplete(access, f"`auths` of {DOCKER} has no entry for {hosts[0]}{asked}")
    user, password = _login(entries[max(fitting, key=len)])
    if not user or not password:
        raise _incomplete(
            access,
            f"the entry for {hosts[0]} in {DOCKER} has neither `auth` nor `username` and `password` "
            "(a helper program or an identity token cannot be used here)",
        )
    return user, password


def _place(key: str) -> str:
    """`https://index.docker.io/v1/` and `index.docker.io` are the same key."""
    place = key.partition("://")[2] if "://" in key else key
    place = place.rstrip("/")
    return place.removesuffix("/v1").removesuffix("/v2").rstrip("/")


def _hosts(access: Access, reference: Reference) -> list[str]:
    """What entries call the server that is asked; the first one is for messages. UriUnsupported."""
    hosts = [reference.host]
    if access.endpoint:
        (name, port), parts = origin(access.endpoint), urlsplit(access.endpoint)
        hosts = [parts.netloc, *((name, f"{name}:{port}") if port == PORTS[parts.scheme] else ())]
    hosts = [host.lower() for host in hosts]
    return [*hosts, *HUB_NAMES] if any(host in HUB_NAMES for host in hosts) else hosts


def _fits(place: str, hosts: Sequence[str], reference: Reference) -> bool:
    host, _, path = place.partition("/")
    return host.lower() in hosts and (not path or f"{reference.path}/".startswith(f"{path}/"))


def _login(entry: Mapping[str, Any]) -> tuple[str, str]:
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and isinstance(password, str) and user and password:
        return user, password
    try:
        text = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, _, password = text.partition(":")
    return user, password.rstrip("\0")


def _incomplete(access: Access, what: str) -> StoreError:
    return StoreError(
        "SecretIncomplete", f"{access.field}.secretRef: Secret {access.secret}: {what}. Correct the Secret."
    )
