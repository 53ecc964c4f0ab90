"""What makes a list of fields a request (RFC 9113, section 8.3). What it asks for is left to the application."""

from dataclasses import dataclass

Fields = list[tuple[bytes, bytes]]

_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
_NEEDED = (b":method", b":scheme", b":path")
_FORBIDDEN = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_UPPER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NOT_IN_NAMES = frozenset((*range(0x21), *range(0x7F, 0x100), *_UPPER))
_NOT_IN_VALUES = frozenset(b"\0\r\n")


class MalformedHeadersError(Exception):
    """A header block that is no request, or no trailers."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The header section of a request, checked: pseudo-headers by name, then the rest in its order."""

    method: bytes
    path: bytes
    fields: Fields
    content_length: int | None

    def first(self, name: bytes) -> bytes | None:
        """The value of the first field of that name."""
        return next((value for key, value in self.fields if key == name), None)


def check(fields: Fields) -> RequestHead:
    """The request that the fields make; MalformedHeadersError if they make none."""
    pseudo: dict[bytes, bytes] = {}
    regular: Fields = []
    for name, value in fields:
        if name[:1] != b":":
            _check_field(name, value)
            regular.append((name, value))
        elif regular or name in pseudo or name not in _PSEUDO:
            raise MalformedHeadersError("a pseudo-header is unknown, repeated or late")
        else:
            pseudo[name] = value
    if not all(pseudo.get(name) for name in _NEEDED):
        raise MalformedHeadersError("a request needs :method, :scheme and :path")
    return RequestHead(pseudo[b":method"], pseudo[b":path"], regular, _content_length(regular))


def check_trailers(fields: Fields) -> None:
    """MalformedHeadersError if the fields may not end a request."""
    for name, value in fields:
        if name[:1] == b":":
            raise MalformedHeadersError("trailers hold a pseudo-header")
        _check_field(name, value)


def _check_field(name: bytes, value: bytes) -> None:
    if not name or not _NOT_IN_NAMES.isdisjoint(name) or not _NOT_IN_VALUES.isdisjoint(value):
        raise MalformedHeadersError("a field's name or value holds a forbidden character")
    if name in _FORBIDDEN or (name == b"te" and value.lower() != b"trailers"):
        raise MalformedHeadersError("a field belongs to HTTP/1.1 connections")


def _content_length(fields: Fields) -> int | None:
    values = {value for name, value in fields if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > 19:
        raise MalformedHeadersError("content-length is no number of bytes")
    return int(value)
