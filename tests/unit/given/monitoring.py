"""A service whose requests are watched, and what its pods say that they have counted."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from unit.given.pods import Pod
from unit.given.resources import InferenceService, a_served_version
from unit.given.words import digest

from modelwright.common.facts import MONITOR_REPORTS
from modelwright.common.resources import CONFIG_MAPS
from modelwright.engine.objects import Key, uid
from modelwright.inferenceservice.monitoring.reports import Reference, Report, Reports, read_report

WINDOW = 20
# The hold-out: two features with ten cells of equal size, and a model of two classes that is right in 8 of 10 rows.
CELLS = [100] * 10
PROFILE: Mapping[str, Any] = {
    "version": 1,
    "rows": 1000,
    "task": "classification",
    "classes": ["no", "yes"],
    "positiveClass": "yes",
    "features": [
        {"name": name, "kind": "numeric", "edges": list(range(1, 10)), "counts": CELLS, "missing": 0}
        for name in ("age", "income")
    ],
    "projections": None,
    "predictions": {"labels": [500, 500], "confidence": [0] * 5 + [200] * 5, "correct": [0] * 5 + [160] * 5},
}
CONTENT = json.dumps(PROFILE).encode()
PROFILE_DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
EVEN = [100] * 10
# The mean of a feature has moved by a whole standard deviation.
MOVED = [0, 0, 0, 50, 50, 100, 150, 200, 200, 250]


def a_window(number: int, age: list[int] | None = None, **more: Any) -> dict[str, Any]:
    """A window of a thousand rows, each its own request, that are like the hold-out but for the age."""
    age = EVEN if age is None else age
    rows = sum(age)
    income = [rows // 10] * 9 + [rows - rows // 10 * 9]
    half = [rows // 2, rows - rows // 2]
    sure = [0] * 5 + [rows // 5] * 4 + [rows - rows // 5 * 4]
    return {
        "id": number,
        "requests": rows,
        "rows": rows,
        "counted": rows,
        "squares": rows,
        "features": [[*cells, 0, 0, 0] for cells in (age, income)],
        "projections": None,
        "predictions": {"labels": half, "scores": None, "confidence": sure},
        **more,
    }


def labels(right: int, wrong: int, model: str = "a", **outcomes: int) -> dict[str, Any]:
    """The feedback of a window about a model: so many predictions were right."""
    confusion = [[0, 0, right], [1, 0, wrong]]
    found = {digest(model).removeprefix("sha256:")[:8]: {"labels": right + wrong, "confusion": confusion}}
    return {"feedback": found, "outcomes": {"Counted": right + wrong, **outcomes}}


def document(
    windows: Iterable[Mapping[str, Any]], now: float, started: float = 0.0, **more: Any
) -> dict[str, Any]:
    """What a server answers."""
    return {
        "started": started,
        "digest": digest(),
        "profile": PROFILE_DIGEST,
        "reason": None,
        "window": WINDOW,
        "now": now,
        "windows": list(windows),
        "feedback": "Off",
        **more,
    }


def last_word(said: Mapping[str, Any]) -> str:
    """The same as the message of a container that ends."""
    packed = base64.b64encode(zlib.compress(json.dumps(said).encode())).decode()
    return json.dumps({"step": "serve", "monitor": packed})


def a_watched_service(**spec: Any) -> InferenceService:
    """churn-1 has the traffic for a while, and drift is watched in windows of 20 seconds."""
    watched = {"monitoring": {"drift": {"windowSeconds": WINDOW}}, **spec}
    service = a_served_version(**watched)
    service.world.after(2 * WINDOW)
    return service


class Reporting:
    """What the pods of the stable revision of a service are asked, and answer."""

    def __init__(self, service: InferenceService) -> None:
        self.service = service
        self.first = int(service.world.now.timestamp()) // WINDOW + 1
        self.reports: dict[str, Report] = {}
        self.windows: dict[str, list[dict[str, Any]]] = {}

    def counts(self, pod: str, *windows: Mapping[str, Any], **more: Any) -> None:
        """A pod has counted these windows so far: the last three."""
        self.windows[pod] = [*self.windows.get(pod, []), *map(dict, windows)][-3:]
        now = self.service.world.now.timestamp()
        report = read_report(document(self.windows[pod], now, **more), pod)
        self.reports[report.process] = report

    def are_asked(self, closable: int, **more: Any) -> None:
        """The operator has asked all pods, and the windows up to this one are over."""
        found = {
            "reports": tuple(self.reports.values()),
            "closable": closable,
            "profile_digest": PROFILE_DIGEST,
            "reference": Reference.read(PROFILE),
            "feedback": "Off",
            **more,
        }
        fact = Reports(self.service.revision("stable"), WINDOW, **found)
        self.service.world.cache.note(self.service.key, MONITOR_REPORTS, fact)

    def pass_windows(self, *ages: list[int], pod: str = "pod", **more: Any) -> None:
        """Windows pass in which the ages are these, and the operator looks after each."""
        for age in ages:
            self.counts(pod, a_window(self.first, age, **more))
            self.service.world.after(WINDOW)
            self.are_asked(self.first)
            self.service.settles()
            self.first += 1

    @property
    def config(self) -> Key:
        """The ConfigMap of the windows."""
        (name,) = (name for name in self.service.all(CONFIG_MAPS) if "-monitor-" in name)
        return Key(CONFIG_MAPS, self.service.key.namespace, name)

    @property
    def status(self) -> Mapping[str, Any]:
        """What the status says."""
        found: Mapping[str, Any] = self.service.status["monitoring"]
        return found


def ends_with(pod: Pod, said: Mapping[str, Any]) -> None:
    """The server's container ends with a last word."""
    pod.exits("server", 0, last_word(said), "Completed")


def uid_of(pod: Pod) -> str:
    """The uid of a pod."""
    return uid(pod.body)
