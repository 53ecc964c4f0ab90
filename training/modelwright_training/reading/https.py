"""Opens a file over HTTPS, bounded in size and time; says which failures are worth another try.

What a server answers is never quoted: a message may be read by more people than the data."""

import io
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from modelwright_training.errors import InputError, OutsideError
from modelwright_training.untyped import Buffer

DENIED = (401, 403, 407)
GONE = (404, 410)
BUSY = (202, 408, 425, 429)
# What stays as it is in a URI: its own marks, and what is escaped already.
SAFE = "%!$&'()*+,;=:@/?~-._[]"


@dataclass(frozen=True)
class Limits:
    """What a download may take: bytes, seconds of silence, seconds in all."""

    max_bytes: int
    silence: float = 30
    total: float = 1800


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirects as long as they stay encrypted."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            message = f"{_place(req.full_url)} redirects to {_place(newurl)}, which is not encrypted."
            raise InputError("FetchFailed", message)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Verify against the system's certificates and, on top of them, those of SSL_CERT_FILE."""
    context = ssl.create_default_context()
    system = ssl.get_default_verify_paths()
    for file in (system.openssl_cafile, environ.get("SSL_CERT_FILE")):
        if file and Path(file).is_file():
            context.load_verify_locations(cafile=file)
    if Path(system.openssl_capath).is_dir():
        context.load_verify_locations(capath=system.openssl_capath)
    return context


def checked(uri: str) -> str:
    """The URI, if it names a file of a host and no user; what is not ASCII in its path is escaped."""
    try:
        parts = urlsplit(uri)
        ok = bool(parts.hostname) and (parts.port is None or parts.port > 0) and not re.search(r"[\s\0]", uri)
        parts.netloc.encode("idna")
    except ValueError:
        ok = False
    if not ok or parts.username is not None or parts.password is not None:
        raise InputError(
            "UriUnsupported", "A URI has to be https://HOST/PATH, without a user or a password in it."
        )
    return parts._replace(path=quote(parts.path, safe=SAFE), query=quote(parts.query, safe=SAFE)).geturl()


@contextmanager
def opened(uri: str, environ: Mapping[str, str], limits: Limits) -> Iterator[io.RawIOBase]:
    """The bytes that `uri` holds, to be read once; reading them fails with a StepError."""
    place = _place(uri)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust(environ)), _OnlyHttps())
    with _explained(place):
        response = opener.open(checked(uri), timeout=limits.silence)
    with response:
        if response.status != 200:
            raise _refusal(response.status, place)
        yield _Body(response, place, limits)


class _Body(io.RawIOBase):
    """The body of an answer: whole, or an error."""

    def __init__(self, response: HTTPResponse, place: str, limits: Limits) -> None:
        self.response, self.place, self.limits = response, place, limits
        self.end, self.size = time.monotonic() + limits.total, 0
        self.expected = self._length()
        self._check_size(self.expected or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        with _explained(self.place):
            chunk = self.response.read1(len(buffer))
        self.size += len(chunk)
        self._check_size(self.size)
        if time.monotonic() > self.end:
            seconds = f"{self.limits.total:g} seconds"
            raise OutsideError("FetchFailed", f"{self.place} took longer than {seconds}.")
        if not chunk and self.expected not in (None, self.size):
            counts = f"{self.size} of {self.expected} bytes"
            raise OutsideError("FetchFailed", f"{self.place} ended after {counts}.")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _length(self) -> int | None:
        given = set(self.response.headers.get_all("Content-Length", []))
        if len(given) > 1 or not all(length.isascii() and length.isdigit() for length in given):
            raise OutsideError(
                "FetchFailed", f"{self.place} answers with a Content-Length that is no number."
            )
        return int(given.pop()) if given else None

    def _check_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            message = f"{self.place} has {size} bytes or more; the limit is {self.limits.max_bytes}."
            raise InputError("DataTooLarge", message)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn what the libraries raise into what a user can mend, or into what is worth another try."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error.code, place) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason, place) from error
    except (OSError, HTTPException) as error:
        raise _unreachable(error, place) from error
    except ValueError as error:  # a redirect to something that is no URI
        raise OutsideError("FetchFailed", f"{place} redirects to what is no URI.") from error


def _refusal(status: int, place: str) -> InputError | OutsideError:
    if status in GONE:
        return InputError("DataNotFound", f"{place} answers {status}: there is no such file.")
    if status in DENIED:
        return InputError(
            "AccessDenied", f"{place} answers {status}: it may not be read without credentials."
        )
    if status in BUSY or status >= 500:
        return OutsideError("FetchFailed", f"{place} answers {status}.")
    return InputError("FetchFailed", f"{place} answers {status}.")


def _unreachable(cause: object, place: str) -> InputError | OutsideError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        help_ = "If its authority is your own, give its certificate with data.caConfigMapRef."
        return InputError(
            "FetchFailed", f"The certificate of {place} is not trusted: {cause.verify_message}. {help_}"
        )
    if isinstance(cause, OSError) and cause.errno:
        detail = os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    else:
        detail = "timed out" if isinstance(cause, TimeoutError) else type(cause).__name__
    return OutsideError("FetchFailed", f"{place} cannot be read: {detail}.")


def _place(uri: str) -> str:
    """A URI for a message: without its query, which may hold a signature."""
    return re.sub(r"(?<=//)[^/]*@", "", re.split(r"[?#]", uri, maxsplit=1)[0])
