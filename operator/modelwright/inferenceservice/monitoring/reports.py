"""What a process of the server says that it has counted: its answer to a question, or its last word. Pure.

A process is one life of a pod's container. Its counts of a window only grow, so of two reports the later one holds the
other; those of different processes add up. That makes every sum a function of the reports alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.checks.monitored import Profile
from modelwright.inferenceservice.monitoring import counts
from modelwright.inferenceservice.monitoring.counts import Counts

# The most bytes of an answer, and of what a last word unpacks to.
MOST_BYTES = 4 * 1024 * 1024
# The windows that a server keeps.
WINDOWS = 3
# The largest id of a window of one second: it is over in the year 2500.
LATEST = 16_725_225_600
# The states of feedback: no keys are asked for, there are some, and there are none.
STATES = ("Off", "Ready", "KeyMissing")
# Why the counts of a server cannot be compared with anything.
NO_PROFILE, UNUSABLE = "NoProfile", "ProfileUnusable"
TOO_OLD, SILENT = "ServerTooOld", "PodsSilent"


@dataclass(frozen=True)
class Report:
    """What one process has counted. Windows without traffic are left out."""

    pod: str
    # When the process began, as it says itself: seconds since 1970.
    started: float
    # sha256 of the model file and of its profile.
    digest: str
    profile: str | None
    # Why it compares with no profile.
    reason: str | None
    # State of the feedback: Off, Ready or KeyMissing.
    feedback: str
    window_seconds: int
    # The time of the report by the clock of the pod.
    now: float
    # The ids of its windows.
    ids: tuple[int, ...] = ()
    # The counts of these windows: JSON, compressed, for there is one of these for each pod of each service.
    packed: bytes = field(default=b"", repr=False)

    @property
    def process(self) -> str:
        """Identifies the process."""
        return f"{self.pod}/{self.started:.3f}"

    def windows(self) -> Mapping[int, Counts]:
        """The counts of each window, by its id."""
        if not self.packed:
            return {}
        return dict(zip(self.ids, json.loads(zlib.decompress(self.packed)), strict=True))

    def after(self, earlier: Report | None) -> Mapping[int, Counts]:
        """The counts of each window, with what this report had to leave out as it was in an earlier one."""
        if earlier is None:
            return self.windows()
        before = earlier.windows()
        merged = {key: counts.latest(found, before.get(key, {})) for key, found in self.windows().items()}
        return {**before, **merged}


@dataclass(frozen=True)
class Reference:
    """What the counts are compared with: the profile of the version, and the index of its positive class if it has
    one."""

    profile: Profile
    positive: int | None = None

    @classmethod
    def read(cls, document: object) -> Reference:
        """Returns the reference in a profile.json.

        Raises:
            ValueError: it is no profile.
        """
        if not isinstance(document, dict):
            raise ValueError("it is no object")  # noqa: TRY004 - all defects of an answer are one error
        classes, positive = document.get("classes"), document.get("positiveClass")
        index = classes.index(positive) if isinstance(classes, list) and positive in classes else None
        return cls(Profile.read(document), index)

    @property
    def shape(self) -> list[int]:
        """How many counts there are of each feature: its cells, then other, missing and outside."""
        return [len(feature.counts) + counts.EXTRAS for feature in self.profile.features]


@dataclass(frozen=True)
class Reports:
    """What is known of the processes of the stable revision. The fact that the planner reads."""

    revision: str
    window_seconds: int
    # The last report of each process, also of processes that have ended meanwhile.
    reports: Sequence[Report] = ()
    # Those of which nothing more will come: the pod is gone, or its container was started again.
    ended: frozenset[str] = frozenset()
    # The last window that may be judged: it is over, and all pods were asked since, or long enough ago. -1: none yet.
    closable: int = -1
    # sha256 of the profile that the counts fit, and the profile; None if the pods have none.
    profile_digest: str | None = None
    reference: Reference | None = field(default=None, repr=False)
    # Why the pods say nothing, or nothing that can be compared: a reason and a phrase. None if they do.
    trouble: tuple[str, str] | None = None
    # State of the feedback of the pods: KeyMissing if one has no key. None: it is not known.
    feedback: str | None = None


def read_report(document: object, pod: str) -> Report:
    """Returns the report of a pod's process.

    Raises:
        ValueError: it is none. The text says what is wrong, for users.
    """
    if not isinstance(document, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - all defects of an answer are one error
    window = _integer(document.get("window"), 1, 604800)
    now, started = (_time(document.get(name)) for name in ("now", "started"))
    windows = document.get("windows")
    if not isinstance(windows, list) or len(windows) > WINDOWS:
        raise ValueError(f"it has no list of at most {WINDOWS} windows")
    found: dict[int, Counts] = {}
    for each in windows:
        number = _integer(each.get("id") if isinstance(each, dict) else None, 0, LATEST)
        read = counts.read(each)
        if number in found or not number * window <= now + window:
            raise ValueError("a window is there twice, or lies ahead")
        if not counts.is_empty(read):
            found[number] = read
    ids = tuple(sorted(found))
    return Report(
        pod,
        started,
        _digest(document.get("digest")) or "",
        _digest(document.get("profile")),
        _one_of((NO_PROFILE, UNUSABLE), document.get("reason"), UNUSABLE),
        _one_of(STATES, document.get("feedback"), STATES[0]) or STATES[0],
        window,
        now,
        ids,
        _packed([found[key] for key in ids]) if ids else b"",
    )


def read_last_word(message: object, pod: str) -> Report | None:
    """Returns the report in the termination message of a container; None if there is none that can be read."""
    if not isinstance(message, str) or '"monitor"' not in message:
        return None
    try:
        said = json.loads(message)
        content = base64.b64decode(said["monitor"], validate=True)
        whole = zlib.decompressobj().decompress(content, MOST_BYTES)
        return read_report(json.loads(whole), pod)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error, zlib.error):
        return None


def _packed(document: Any) -> bytes:  # noqa: ANN401 - any JSON
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def _integer(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError("a number is missing or out of range")
    return value


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise ValueError("a time is missing or out of range")
    return float(value)


def _digest(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 71:
        raise ValueError("a digest is none")
    return value


def _one_of(words: Sequence[str], value: object, unknown: str) -> str | None:
    """One of these words, for it goes into a status; any other value counts as `unknown`."""
    return str(value) if value in words else None if value is None else unknown
