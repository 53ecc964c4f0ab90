"""The request id and the trace context that a caller sends, for its answer and for the log of the server's errors."""

import re
from collections.abc import Mapping

from modelwright_serving import logs
from modelwright_serving.limits import Limits

REQUEST_ID = b"x-request-id"
TRACEPARENT = b"traceparent"
# What can stand in a header and in a line of a log without being escaped.
_SAFE_ID = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,%d}" % Limits.request_id)
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def request_id(headers: Mapping[bytes, bytes]) -> bytes:
    """The caller's id of its request; empty if there is none, or none that is short and plain."""
    value = headers.get(REQUEST_ID, b"")
    return value if _SAFE_ID.fullmatch(value) else b""


class FailureLog:
    """Writes a line for an error of the server, with what its caller sent to find it by; at most so many a second."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._allowances: dict[int | str, _Allowance] = {}

    def write(self, now: float, code: int | str, error: str, headers: Mapping[bytes, bytes]) -> None:
        """Log one answer: its status, what it says, and the request's headers."""
        allowance = self._allowances.setdefault(code, _Allowance(now))
        if not allowance.take(now):
            return
        trace = headers.get(TRACEPARENT, b"")
        found = {
            "request_id": request_id(headers).decode(),
            "traceparent": trace.decode() if _TRACEPARENT.fullmatch(trace) else "",
            "not_logged": allowance.forget(),
        }
        logs.event(
            "request_failed",
            protocol=self._protocol,
            code=code,
            error=error[: Limits.logged_error],
            **{name: value for name, value in found.items() if value},
        )


class _Allowance:
    """How many lines may still be written about one status."""

    __slots__ = ("_left", "_missed", "_since")

    def __init__(self, now: float) -> None:
        self._left = Limits.logged_failures
        self._since = now
        self._missed = 0

    def take(self, now: float) -> bool:
        self._left = min(Limits.logged_failures, self._left + now - self._since)
        self._since = now
        if self._left < 1:
            self._missed += 1
            return False
        self._left -= 1
        return True

    def forget(self) -> int:
        """How many failures of this status were not logged since the last line."""
        missed, self._missed = self._missed, 0
        return missed
