"""The keys that sign prediction tokens: files of a folder, read again when they change.

The file `key` signs, and all files of the folder verify, so that a key is replaced in two steps without losing a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modelwright_serving import logs
from modelwright_serving.limits import FEEDBACK

SIGNING = "key"
TAG_BYTES = 12
_SECONDS = 1.0  # between two looks at the folder; the kubelet takes about a minute to renew it
_BLOCK = 64  # bytes, of SHA-256
_PURPOSE = b"modelwright prediction token\0"

# The names of the files, and what changes when one is replaced.
Stamp = tuple[tuple[str, int, int, int], ...]


class Key:
    """One key, for the tokens of one service."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, content: bytes, service: str) -> None:
        derived = hmac.digest(content, _PURPOSE + service.encode(), "sha256").ljust(_BLOCK, b"\0")
        # HMAC (RFC 2104) with the key's blocks hashed once: a tag then takes 0.8 us instead of 3.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in derived))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in derived))

    def tag(self, content: bytes) -> bytes:
        """The first bytes of HMAC-SHA256."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer.digest()[:TAG_BYTES]

    def signed(self, content: bytes, tag: bytes) -> bool:
        """Whether the tag is that of the content; takes as long whatever the tag is."""
        return hmac.compare_digest(self.tag(content), tag)


@dataclass(frozen=True)
class Keys:
    """`signing` is None if tokens cannot be given; `verifying` has every key, the signing one first."""

    signing: Key | None = None
    verifying: tuple[Key, ...] = ()

    def signed(self, content: bytes, tag: bytes) -> bool:
        """Whether one of the keys made this tag."""
        return any(key.signed(content, tag) for key in self.verifying)


def read(folder: Path, service: str) -> tuple[Keys, list[str]]:
    """The keys in a folder, and what is wrong with its other files, in words; no folder has no keys."""
    problems: list[str] = []
    found: dict[str, Key] = {}
    paths = _files(folder)
    for path in paths[: FEEDBACK.keys]:
        try:
            with path.open("rb") as file:
                content = file.read(FEEDBACK.key + 1)
        except OSError as error:
            problems.append(f"{path.name} cannot be read: {error.strerror}")
            continue
        problem = _problem(len(content))
        if problem is None:
            found[path.name] = Key(content, service)
        else:
            problems.append(f"{path.name} {problem}")
    if len(paths) > FEEDBACK.keys:
        problems.append(f"there are more than {FEEDBACK.keys} keys, and no others are used")
    return Keys(found.get(SIGNING), tuple(found.values())), problems


def _problem(size: int) -> str | None:
    if size < FEEDBACK.least_key:
        return f"has {size} bytes, and a key needs at least {FEEDBACK.least_key}"
    return f"has more than {FEEDBACK.key} bytes" if size > FEEDBACK.key else None


def _files(folder: Path) -> list[Path]:
    """The files, the signing one first, and few more than are used. Names with a dot in front are the kubelet's."""
    others: list[Path] = []
    with suppress(OSError):
        named = (path for path in folder.iterdir() if path.name != SIGNING and not path.name.startswith("."))
        others = sorted(islice(named, FEEDBACK.key_files))
    return [path for path in (folder / SIGNING, *others) if _is_file(path)]


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(path.stat().st_mode)
    return False


class KeysWatch:
    """Follows the keys in a folder."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, folder: Path, service: str, follow: Callable[[Keys], None]
    ) -> None:
        self._loop = loop
        self._folder = folder
        self._service = service
        self._follow = follow
        self._seen: Stamp | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Read the keys now, and then whenever they have changed."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            keys, problems = read(self._folder, self._service)
            logs.event(
                "feedback keys",
                signing=keys.signing is not None,
                verifying=len(keys.verifying),
                **({"problems": problems} if problems else {}),
            )
            self._follow(keys)
        self._timer = self._loop.call_later(_SECONDS, self.start)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _stamp(self) -> Stamp:
        found: list[tuple[str, int, int, int]] = []
        for path in _files(self._folder)[: FEEDBACK.keys + 1]:
            with suppress(OSError):
                status = path.stat()
                found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(found)
