"""The md5 of what passes through a stream, as DVC takes it. It names files; what is trusted is their sha256."""

import hashlib
import io

from modelwright_training.untyped import Buffer, Stream

BLOCK = 1 << 20
TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"
# How much of a block decides whether it is text, and the share of it that may be none.
LOOKED_AT, NO_TEXT = 512, 0.3


class Md5Stream(io.RawIOBase):
    """Passes on what a file holds and takes its md5.

    `legacy`: as DVC 2 and earlier do, with the line ends of Unix in what looks like text. Whether a block or the whole
    file looks like text differs between their versions: either counts."""

    def __init__(self, file: Stream, *, legacy: bool) -> None:
        self.file, self.legacy = file, legacy
        self._plain = hashlib.md5(usedforsecurity=False)
        self._by_block = hashlib.md5(usedforsecurity=False)
        self._by_file = hashlib.md5(usedforsecurity=False)
        self._block, self._is_text = bytearray(), None if legacy else False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count: int = self.file.readinto(buffer)
        chunk = memoryview(buffer)[:count]
        self._plain.update(chunk)
        if self.legacy:
            self._block += chunk
            while len(self._block) >= BLOCK:
                self._take(BLOCK)
        return count

    def matches(self, md5: str) -> bool:
        """Read to the end; whether the md5 is this one."""
        rest = bytearray(BLOCK)
        while self.readinto(rest):
            pass
        if self.legacy and self._block:
            self._take(len(self._block))
        found = {self._plain.hexdigest()}
        if self.legacy:
            found |= {self._by_block.hexdigest(), self._by_file.hexdigest()}
        return md5 in found

    def _take(self, size: int) -> None:
        block = bytes(self._block[:size])
        del self._block[:size]
        is_text = _is_text(block[:LOOKED_AT])
        if self._is_text is None:
            self._is_text = is_text
        unix = block.replace(b"\r\n", b"\n")
        self._by_block.update(unix if is_text else block)
        self._by_file.update(unix if self._is_text else block)


def _is_text(start: bytes) -> bool:
    return b"\0" not in start and len(start.translate(None, TEXT)) <= NO_TEXT * len(start)
