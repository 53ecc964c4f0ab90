"""What a query to Prometheus is sent with: certificates to trust, a token, headers. Files are read at each query.

So a Secret or a ConfigMap that is rotated counts as soon as the kubelet has brought it into the pod.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp

from modelwright.common.settings import Prometheus
from modelwright.inferenceservice.analysis.prometheus_result import NoValue

# Certificates of a company are some hundred kilobytes at most.
MOST_BYTES = 4 * 1024**2
MOST_TOKEN = 16 * 1024
# OpenSSL's codes for a certificate of another host, whose messages name the host.
OTHER_HOST = frozenset((62, 64))


class Unusable(Exception):  # noqa: N818 - it carries what the query has instead of a value
    """A query cannot be sent as the administrator wants it."""

    def __init__(self, why: NoValue) -> None:
        super().__init__(why.message)
        self.why = why


class PrometheusAccess:
    """The headers and the TLS context of each query."""

    def __init__(self, settings: Prometheus) -> None:
        self._settings = settings
        self._trusted = b""
        self._context: ssl.SSLContext | None = None

    def headers(self) -> dict[str, str]:
        """The administrator's headers, and the token as it is now. Raises Unusable if there is none."""
        headers = dict(self._settings.headers)
        if self._settings.token_file is not None:
            headers["Authorization"] = f"Bearer {self._token(self._settings.token_file)}"
        return headers

    def context(self) -> ssl.SSLContext | bool:
        """The TLS context with the certificates as they are now; True is aiohttp's own. Raises Unusable."""
        if self._settings.ca_file is None:
            return True
        content = _content(self._settings.ca_file, MOST_BYTES)
        if not content:
            raise Unusable(_untrusted("the operator has no certificates to check it by"))
        if self._context is None or content != self._trusted:
            self._context, self._trusted = _context(content), content
        return self._context

    def denied(self, status: int) -> NoValue:
        """Why Prometheus answers with 401 or 403."""
        if self._settings.token_file is None:
            return _denied(f"it asks for credentials (HTTP status {status}), and the operator has none")
        return _denied(f"it refuses the operator's token (HTTP status {status})")

    def _token(self, path: Path) -> str:
        token = _content(path, MOST_TOKEN).strip()
        if not token:
            raise Unusable(_denied("the operator has no token for it"))
        # It becomes a header: no other byte may be in it.
        if not all(0x21 <= byte <= 0x7E for byte in token):
            raise Unusable(_denied("the operator's token for it is no text of one word"))
        return token.decode()


def distrusted(error: aiohttp.ClientSSLError) -> NoValue:
    """Why no TLS connection came about. The message holds no host: users do not see the administrator's address."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _untrusted("it does not speak TLS as the operator does")
    found = error.certificate_error
    if not isinstance(found, ssl.SSLCertVerificationError):
        return _untrusted("its certificate is not trusted")
    if found.verify_code in OTHER_HOST:
        return _untrusted("its certificate is for another host")
    return _untrusted(f"its certificate is not trusted: {found.verify_message}")


def _context(certificates: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=certificates.decode())
    except (ssl.SSLError, ValueError) as error:
        raise Unusable(
            _untrusted("the operator's certificates to check it by are no certificates (PEM)")
        ) from error
    return context


def _content(path: Path, most: int) -> bytes:
    """What is in a file; empty if there is no file, or one that is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError:
        return b""
    return content if len(content) <= most else b""


def _untrusted(what: str) -> NoValue:
    return NoValue(
        "PrometheusUntrusted", f"{what}: ask the administrator (prometheus.url, caConfigMapRef, caSecretRef)"
    )


def _denied(what: str) -> NoValue:
    return NoValue("PrometheusDenied", f"{what}: ask the administrator (prometheus.tokenSecretRef, headers)")
