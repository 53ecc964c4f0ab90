"""The quickstart says what happens, ends when the newest model is served, and stops where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from cluster.quickstart.progress import Object, Seen, Served, finished, lines, newest_version, stuck


def resource(kind: str, name: str, *conditions: tuple[str, str, str], seen: int = 1, **status: Any) -> Object:
    """A resource of generation 1 with conditions (type, status, reason) that were said of generation `seen`."""
    said = [
        {"type": t, "status": s, "reason": r, "message": f"about {r}", "observedGeneration": seen}
        for t, s, r in conditions
    ]
    return {
        "kind": kind,
        "metadata": {"name": name, "generation": 1},
        "status": {"conditions": said, **status},
    }


READY = ("Ready", "True", "Done")
RUN = {"number": 2}
JOB = resource("TrainingJob", "tj", READY, latestModelVersion="tj-2", run=RUN)
VERSION = resource("ModelVersion", "tj-2", READY)
SERVICE = resource("InferenceService", "is", READY, stable={"version": "tj-2"})


def test_it_ends_when_the_service_serves_the_version_of_the_newest_run() -> None:
    assert finished(Seen(JOB, VERSION, SERVICE)) == Served(RUN, VERSION)


@pytest.mark.parametrize(
    "seen",
    [
        Seen(None, None, None),
        Seen(JOB, None, SERVICE),
        Seen(JOB, VERSION, None),
        Seen(JOB, resource("ModelVersion", "tj-2", ("Ready", "False", "Verifying")), SERVICE),
        Seen(JOB, VERSION, resource("InferenceService", "is", READY, stable={"version": "tj-1"})),
        Seen(JOB, VERSION, resource("InferenceService", "is", READY, seen=0, stable={"version": "tj-2"})),
        Seen(
            JOB,
            VERSION,
            resource("InferenceService", "is", ("Ready", "False", "Progressing"), stable={"version": "tj-2"}),
        ),
        Seen(
            resource("TrainingJob", "tj", READY, seen=0, latestModelVersion="tj-2", run=RUN), VERSION, SERVICE
        ),
    ],
)
def test_it_does_not_end_before(seen: Seen) -> None:
    assert finished(seen) is None


def test_the_version_of_an_earlier_spec_is_not_the_newest() -> None:
    assert newest_version(JOB) == "tj-2"
    assert newest_version({**JOB, "metadata": {"name": "tj", "generation": 2}}) is None


def test_each_object_is_told_with_its_reason_and_message() -> None:
    training = resource("TrainingJob", "tj", ("Ready", "Unknown", "Training"))
    told = [
        line.text(12.34) for line in lines(Seen(training, VERSION, {"kind": "S", "metadata": {"name": "is"}}))
    ]
    assert told == [
        "   12.3 s  TrainingJob      tj                 Training         about Training",
        "   12.3 s  ModelVersion     tj-2               Ready            about Done",
        "   12.3 s  S                is                 Created",
    ]


def test_only_what_is_stalled_now_stops_it() -> None:
    stalled = resource(
        "TrainingJob", "tj", ("Ready", "False", "DataNotFound"), ("Stalled", "True", "DataNotFound")
    )
    assert stuck(Seen(stalled, None, SERVICE)) is stalled
    assert stuck(Seen({**stalled, "metadata": {"name": "tj", "generation": 2}}, None, SERVICE)) is None
    assert stuck(Seen(JOB, VERSION, SERVICE)) is None
