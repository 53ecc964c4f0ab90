"""A bounded memory of what has been counted: of this process, and lost with it."""

from modelwright_serving.limits import FEEDBACK

_BITS = 2**23  # of one filter: 1 MiB
_PROBES = 10


class Seen:
    """Remembers tags, which are evenly distributed.

    Two Bloom filters, the older of which is dropped when the newer is full: the last `remembered` tags are known, and
    up to as many before them. A tag that is new is taken for a known one in less than 1 of 8,000 cases.
    """

    def __init__(self, remembered: int = FEEDBACK.remembered) -> None:
        self._remembered = remembered
        self._newer = bytearray()
        self._older = bytearray()
        self._count = 0

    def __contains__(self, tag: bytes) -> bool:
        places = _places(tag)
        return _has(self._newer, places) or _has(self._older, places)

    def add(self, tag: bytes) -> None:
        """Remember a tag."""
        if not self._newer or self._count >= self._remembered:
            self._older, self._newer, self._count = self._newer, bytearray(_BITS // 8), 0
        for place in _places(tag):
            self._newer[place >> 3] |= 1 << (place & 7)
        self._count += 1


def _has(bits: bytearray, places: list[int]) -> bool:
    if not bits:
        return False
    for place in places:  # noqa: SIM110 - four times as fast as all(): most tags end it at the first
        if not bits[place >> 3] >> (place & 7) & 1:
            return False
    return True


def _places(tag: bytes) -> list[int]:
    """Two halves of the tag make all places of it (Kirsch and Mitzenmacher, Less hashing, same performance, 2006)."""
    start, step = int.from_bytes(tag[:6], "big"), int.from_bytes(tag[6:], "big") | 1
    return [(start + probe * step) % _BITS for probe in range(_PROBES)]
