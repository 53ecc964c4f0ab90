"""Temporary keys: an STS issues them for a token, and a proxy in front of an S3 server checks them."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from support.stores.keys import Keys
from support.stores.signatures import claimed_access, is_signed_by


@dataclass
class Sessions:
    """Temporary keys that were issued, with the time at which each ends."""

    _issued: dict[str, tuple[Keys, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, seconds: float) -> Keys:
        """Keys for so many seconds."""
        keys = Keys(
            f"ASIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), secrets.token_urlsafe(60)
        )
        with self._lock:
            self._issued[keys.access] = keys, time.time() + seconds
        return keys

    @property
    def issued(self) -> list[Keys]:
        """All keys that were ever issued."""
        with self._lock:
            return [keys for keys, _ in self._issued.values()]

    def end_all(self) -> None:
        """Let all keys expire now."""
        with self._lock:
            self._issued = {access: (keys, 0.0) for access, (keys, _) in self._issued.items()}

    def refusal(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and code with which S3 refuses a request; None if it is signed with temporary keys that hold."""
        with self._lock:
            known = self._issued.get(claimed_access(headers) or "")
        if known is None:
            return 403, "InvalidAccessKeyId"
        keys, end = known
        if headers.get("x-amz-security-token") != keys.token:
            return 400, "InvalidToken"
        if time.time() > end:
            return 400, "ExpiredToken"
        if not is_signed_by(method, target, headers, keys):
            return 403, "SignatureDoesNotMatch"
        return None

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request claims to be signed with temporary keys."""
        return "x-amz-security-token" in headers or (claimed_access(headers) or "").startswith("ASIA")
