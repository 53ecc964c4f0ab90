"""Runs a layer of the server on mutated inputs, keeps what makes it behave in a new way, and tells what is wrong.

Guidance comes from behaviour: a layer says in short words what an input made it do, and an input with a new word is
kept and mutated further. What is fed, how, and what has to hold, is left to the layers.
"""

from __future__ import annotations

import gc
import random
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

HANG_SECONDS = 10.0
MAX_FINDINGS = 10
REPORT_SECONDS = 10.0
CENSUS_EVERY = 50_000
# More than any table of the server may hold.
MAX_OBJECTS = 8192
_DETAIL = re.compile(r"'[^']*'|/\S*|\"[^\"]*\"|\[[^\]]*\]|[-\d.]+|[^\x20-\x7e]+")


class Finding(AssertionError):  # noqa: N818 - the word of the trade
    """Something that must not happen, whatever a caller sends."""


class Hang(Finding):
    """It does not come to an end."""


def without_details(message: str) -> str:
    """A message without numbers and names: equal for equal causes."""
    return _DETAIL.sub("~", re.sub(" is .*, but", " is ~, but", message))[:160]


class Layer(Protocol):
    """A part of the server, and how its inputs look."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""
        ...

    def mutate(self, chance: random.Random, data: bytes, other: bytes) -> bytes:
        """Another input made of one, or of two."""
        ...

    def run(self, data: bytes) -> Iterable[str]:
        """Feeds an input; gives the words for what happened; whatever it raises is a finding."""
        ...

    def renew(self) -> None:
        """Forgets the server, which something has gone wrong in, for one that has met nobody."""
        ...


@dataclass
class Campaign:
    """What came of a number of inputs."""

    inputs: int = 0
    seconds: float = 0.0
    kept: dict[bytes, frozenset[str]] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    findings: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    def kind(self, what: str) -> str:
        """Findings that differ in numbers only are of one kind."""
        kind = without_details(what)[:60]
        return kind if kind in self.findings or len(self.findings) < MAX_FINDINGS else "others"

    def is_news(self, data: bytes, what: str) -> bool:
        """Whether this is the smallest input so far that does that."""
        known = self.findings.get(self.kind(what))
        return known is None or len(data) < len(known[0])

    def summary(self) -> str:
        """One line."""
        rate = self.inputs / self.seconds if self.seconds else 0.0
        found = f"{len(self.words)} behaviours, {len(self.findings)} kinds of findings"
        return f"{self.inputs} inputs, {rate:.0f}/s, {found}"


def fuzz(
    layer: Layer, corpus: Iterable[bytes], inputs: int, seed: int, tell: Callable[[str], None]
) -> Campaign:
    """So many inputs, the same ones for the same seed and corpus."""
    campaign, chance = Campaign(), random.Random(seed)
    started = told = time.perf_counter()
    pool = [*layer.seeds(), *corpus]
    for data in pool:
        _try(layer, data, campaign)
    while campaign.inputs < inputs:
        if campaign.inputs % CENSUS_EVERY == 0:
            _count_objects()
        data = layer.mutate(chance, _picked(chance, pool), chance.choice(pool))
        if _try(layer, data, campaign):
            pool.append(data)
        if time.perf_counter() - told > REPORT_SECONDS:
            told = time.perf_counter()
            campaign.seconds = told - started
            tell(campaign.summary())
    campaign.seconds = time.perf_counter() - started
    return campaign


def _picked(chance: random.Random, pool: list[bytes]) -> bytes:
    """Any of them, or one of the newest: what was new last is where more may be hidden."""
    return chance.choice(pool) if chance.random() < 0.7 else chance.choice(pool[-20:])


def _try(layer: Layer, data: bytes, campaign: Campaign) -> bool:
    """Feeds one input; whether it did something new."""
    campaign.inputs += 1
    try:
        words = attempt(layer, data)
    except Finding as finding:
        what = str(finding)
        if campaign.is_news(data, what):
            campaign.findings[campaign.kind(what)] = (data, what + _repeated(layer, data))
        return False
    if words <= campaign.words:
        return False
    campaign.words |= words
    campaign.kept[data] = words
    return True


def attempt(layer: Layer, data: bytes) -> frozenset[str]:
    """What an input does; Finding, and a server that has met nobody, if that is wrong or takes too long."""
    try:
        with within(HANG_SECONDS):
            return frozenset(layer.run(data))
    except Exception as error:
        layer.renew()
        kind = Hang if isinstance(_root(error), Hang) else Finding
        raise kind(_told(error)) from error


def _repeated(layer: Layer, data: bytes) -> str:
    """Whether a server that has met nobody does the same."""
    try:
        attempt(layer, data)
    except Finding:
        return ""
    return " (only after other inputs)"


def _root(error: BaseException) -> BaseException:
    """What began it: parsers wrap what their callbacks raise."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return error if before is None or isinstance(error, Finding) else _root(before)


def _told(error: BaseException) -> str:
    root = _root(error)
    if isinstance(root, Finding):
        return str(root)
    frames = traceback.extract_tb(root.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(root).__name__}{where}: {root}"


def _count_objects() -> None:
    """Finding if the server keeps more and more of anything."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    alive = Counter(kind for kind in kinds if str(kind.__module__).startswith("modelwright_serving"))
    for kind, number in alive.most_common(1):
        if number > MAX_OBJECTS:
            raise Finding(f"objects of one kind stay: {number} of {kind.__qualname__}")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Finding if the work inside takes longer: it hangs."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _hangs(_: int, frame: FrameType | None) -> None:
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "nowhere"
    raise Hang(f"it does not come to an end; last seen at {where}")


def smallest(shows: Mapping[bytes, frozenset[str]]) -> list[bytes]:
    """A few small inputs that show every behaviour."""
    chosen: list[bytes] = []
    missing = frozenset[str]().union(*shows.values())
    for data in sorted(shows, key=lambda data: (len(data), data)):
        if shows[data] & missing:
            chosen.append(data)
            missing -= shows[data]
    return chosen
