"""Connections to checked addresses only, bounded in time, and sentences for what goes wrong on them.

No proxy of the environment is used, since the proxy would choose the address."""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelwright_stores.access import Access
from modelwright_stores.addresses import connected, origin
from modelwright_stores.failures import StoreError
from modelwright_stores.untyped import Buffer

SILENCE = 30.0


class _Clocked:
    """A socket that waits at most `silence` seconds for each piece, and for none beyond `deadline`."""

    silence: float = SILENCE
    deadline: float | None = None

    def recv_into(self, buffer: Buffer, nbytes: int | None = None, flags: int = 0) -> int:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.settimeout(min(self.silence, left))  # type: ignore[attr-defined]
        received: int = super().recv_into(buffer, nbytes or len(buffer), flags)  # type: ignore[misc]
        return received


class _Plain(_Clocked, socket.socket):
    pass


class _Secure(_Clocked, ssl.SSLSocket):
    pass


class Connection(http.client.HTTPConnection):
    """A connection of http.client whose address is checked before a byte is sent.

    `deadline`: all reading ends at this time of the monotonic clock; None for no such time."""

    def __init__(
        self,
        url: str,
        access: Access,
        called: str,
        silence: float = SILENCE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """To the host of an http(s) address, which messages call `called`. UriUnsupported, CertificatesNotFound.

        `trust`: what `trusting` made before, so that certificates are read once."""
        host, port = origin(url)
        super().__init__(host, port, timeout=silence)
        self.default_port = 443 if urlsplit(url).scheme == "https" else 80
        self._access, self._called = access, called
        self._trust = (trust or trusting(access)) if self.default_port == 443 else None
        self._deadline: float | None = None
        self._clocked: _Plain | _Secure | None = None

    @property
    def deadline(self) -> float | None:
        return self._deadline

    @deadline.setter
    def deadline(self, value: float | None) -> None:
        self._deadline = value
        self._clock()

    def connect(self) -> None:
        """AddressRefused, StoreUnavailable, and what TLS raises."""
        plain = connected(self.host, self.port, self._access, self._called, self._left())
        try:
            plain.settimeout(self._left())
            # An end of the stream that TLS does not vouch for is an error: else a cut would look like the end.
            clocked: Any = (
                _Plain(fileno=plain.detach())
                if self._trust is None
                else self._trust.wrap_socket(plain, server_hostname=self.host, suppress_ragged_eofs=False)
            )
        except BaseException:
            plain.close()
            raise
        # http.client forgets the socket before the body is read.
        self.sock = self._clocked = clocked
        self._clock()

    def receive(self, view: memoryview) -> int:
        """Bytes that http.client has not read ahead; 0 at the end."""
        return 0 if self._clocked is None else self._clocked.recv_into(view)

    def _left(self) -> float:
        """How long the next wait may be."""
        silence = float(self.timeout or SILENCE)
        if self._deadline is None:
            return silence
        return max(min(silence, self._deadline - time.monotonic()), 0.01)

    def _clock(self) -> None:
        if self._clocked is not None and self._clocked.fileno() >= 0:
            self._clocked.silence, self._clocked.deadline = float(self.timeout or SILENCE), self._deadline
            self._clocked.settimeout(self._clocked.silence)


def trusting(access: Access) -> ssl.SSLContext:
    """Verify against the system's certificates and, besides them, those of the access. CertificatesNotFound."""
    # What `create_default_context` does, without reading the system's certificates twice.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Secure
    system = ssl.get_default_verify_paths()
    given = access.certificates
    try:
        for file in (system.openssl_cafile, access.bundle, given):
            if file and Path(file).is_file():
                context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise StoreError(
            "CertificatesNotFound",
            f"{access.field}.caConfigMapRef: {access.authority or access.bundle} holds no certificates. "
            "They have to be PEM: -----BEGIN CERTIFICATE-----.",
        ) from error
    if Path(system.openssl_capath).is_dir():
        context.load_verify_locations(capath=system.openssl_capath)
    return context


@contextmanager
def explained(called: str, field: str) -> Iterator[None]:
    """Turn what http.client and its sockets raise into what a user can mend, or into what may pass.

    Nothing of an answer is quoted."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise StoreError(
            "CertificateNotTrusted",
            f"The certificate of {called} is not trusted: {error.verify_message}. If its authority is your own, "
            f"give its certificate with {field}.caConfigMapRef.",
        ) from error
    except (OSError, IncompleteRead) as error:
        raise StoreError(
            "StoreUnavailable", f"{called} cannot be read: {_detail(error)}.", passing=True
        ) from error
    except (HTTPException, ValueError) as error:
        raise StoreError(
            "StoreAnswerInvalid",
            f"{called} answers with what is no HTTP ({type(error).__name__}).",
            passing=True,
        ) from error


def _detail(error: OSError | HTTPException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLEOFError | RemoteDisconnected | IncompleteRead):
        return "the connection ended too early"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or type(error).__name__})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__
