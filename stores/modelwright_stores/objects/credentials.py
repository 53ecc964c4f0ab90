"""Credentials that are read or exchanged when they are needed, and again before they expire."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from modelwright_stores.failures import StoreError

# What obstore takes: the parts of a cloud's credential, and `expires_at`.
Credential = dict[str, Any]

# A Secret may change under a step that runs for hours: its files are read again.
LASTS = timedelta(minutes=15)
_MARGIN = timedelta(minutes=1)


class Provider:
    """Gives obstore the credentials. It calls this in its own threads, and hides what is raised: see `failure`."""

    def __init__(self, exchange: Callable[[], Credential]) -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._failure: StoreError | None = None

    def __call__(self) -> Credential:
        """The credential, as obstore wants it. StoreError."""
        with self._lock:
            held = self._credential
            if held is None or held["expires_at"] - _MARGIN <= datetime.now(UTC):
                try:
                    held = self._exchange()
                except StoreError as error:
                    self._failure = error
                    raise
                self._credential = held
            return dict(held)

    def failure(self) -> StoreError | None:
        """What went wrong since it was asked last."""
        with self._lock:
            failure, self._failure = self._failure, None
            return failure

    def renew(self) -> bool:
        """Forget the credential that a store refuses, and get another; whether it is another one. StoreError."""
        with self._lock:
            refused, self._credential = self._credential, None
        return _without_time(self()) != _without_time(refused)


def lasting(**parts: str) -> Credential:
    """A credential of a Secret."""
    return {**parts, "expires_at": datetime.now(UTC) + LASTS}


def _without_time(credential: Credential | None) -> Credential | None:
    return credential and {name: value for name, value in credential.items() if name != "expires_at"}
