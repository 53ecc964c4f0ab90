"""What an https:// uri has to be, and how it is shown."""

import re
import string
from urllib.parse import quote, urljoin, urlsplit

from modelwright_stores.failures import StoreError

# What stays as it is in a uri: its own marks, and what is escaped already.
SAFE = "%!$&'()*+,;=:@/?~-._[]"


def checked(uri: str) -> str:
    """The uri, if it names a file of a host and no user; what is not ASCII in its path is escaped. UriUnsupported."""
    if not _is_https(uri):
        raise StoreError(
            "UriUnsupported", "A URI has to be https://HOST/PATH, without a user or a password in it."
        )
    parts = urlsplit(uri)
    return parts._replace(
        path=quote(parts.path, safe=SAFE), query=quote(parts.query, safe=SAFE), fragment=""
    ).geturl()


def redirected(uri: str, location: str, shown: str) -> str:
    """Where a redirect leads. StoreAnswerInvalid, also if that is not encrypted; what it says is not quoted."""
    # http.client takes the bytes of a header for ISO 8859-1.
    try:
        target = urljoin(uri, quote(location, encoding="iso-8859-1", safe=string.punctuation))
    except ValueError:
        target = ""
    if target.startswith("http://"):
        raise StoreError("StoreAnswerInvalid", f"{shown} redirects to a place that is not encrypted.")
    if not _is_https(target):
        raise StoreError("StoreAnswerInvalid", f"{shown} redirects to what is no https:// URI.")
    return checked(target)


def public(uri: str) -> str:
    """A uri for a message: without its query, which may hold a signature."""
    return re.sub(r"(?<=//)[^/]*@", "", re.split(r"[?#]", uri, maxsplit=1)[0])


def target(uri: str) -> str:
    """What a request asks the host for."""
    parts = urlsplit(uri)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_https(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        ok = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        parts.netloc.encode("idna")
    except ValueError:
        return False
    return ok and parts.username is None and parts.password is None and not re.search(r"[\s\0]", uri)
