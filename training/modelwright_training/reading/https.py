"""Downloads one file over HTTPS, bounded in size and time; says which failures are worth another try."""

import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from modelwright_training.errors import InputError, OutsideError, storage
from modelwright_training.files import CHUNK

DENIED = (401, 403, 407)
GONE = (404, 410)
BUSY = (408, 425, 429)


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


def download(uri: str, folder: Path, environ: Mapping[str, str], limits: Limits) -> Path:
    """Write what `uri` holds into `folder`, under the last part of its path."""
    parts = urlsplit(uri)
    if parts.username or parts.password or not parts.hostname:
        raise InputError(
            "UriUnsupported", "data.uri has to be https://HOST/PATH, without a user or a password in it."
        )
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust(environ)), _OnlyHttps())
    path = folder / (Path(parts.path).name or "data")
    try:
        with opener.open(uri, timeout=limits.silence) as response:
            _save(response, path, _place(uri), limits)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error.code, _place(uri)) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason, _place(uri)) from error
    except (OSError, HTTPException) as error:
        raise _unreachable(error, _place(uri)) from error
    return path


def _save(response: HTTPResponse, path: Path, place: str, limits: Limits) -> None:
    expected = int(response.headers.get("Content-Length") or -1)
    too_large = InputError("DataTooLarge", f"{place} is larger than {limits.max_bytes} bytes.")
    if expected > limits.max_bytes:
        raise too_large
    end, size = time.monotonic() + limits.total, 0
    with storage("Writing the data"):
        file = path.open("wb")
    with file:
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            if size > limits.max_bytes:
                raise too_large
            if time.monotonic() > end:
                raise OutsideError("FetchFailed", f"{place} took longer than {limits.total:g} seconds.")
            with storage("Writing the data"):
                file.write(chunk)
    if expected not in (-1, size):
        raise OutsideError("FetchFailed", f"{place} ended after {size} of {expected} bytes.")


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
        detail = str(cause) or type(cause).__name__
    return OutsideError("FetchFailed", f"{place} cannot be read: {detail}.")


def _place(uri: str) -> str:
    """A URI for a message: without its query, which may hold a signature."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
