"""Which ends of containers count against a revision, and from when on."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.api.inferenceservice import PodRestarts
from modelwright.engine.objects import Body
from modelwright.inferenceservice.rollout.restarts import own_restarts, recorded

SINCE, BEFORE, LATER = "2026-01-01T12:00:00Z", "2026-01-01T11:59:59Z", "2026-01-01T12:00:01Z"


def pod(restarts: int = 0, code: int = 1, reason: str = "Error", at: str = LATER, name: str = "p") -> Body:
    """A pod whose container ended last like this."""
    ended = {"exitCode": code, "reason": reason, "finishedAt": at}
    last = {"lastState": {"terminated": ended}} if restarts else {}
    status: dict[str, Any] = {"name": "server", "restartCount": restarts, "state": {}, **last}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(
    ("pods", "before", "count"),
    [
        ([], {}, 0),
        ([{"metadata": {"name": "p"}}], {}, 0),
        ([pod()], {}, 0),
        ([pod(1)], {}, 1),
        ([pod(1, at=SINCE)], {}, 1),
        ([pod(1, at=BEFORE)], {}, 0),
        ([pod(1, code=137, reason="OOMKilled")], {}, 1),
        # A sidecar of the container was killed, and the container ended well.
        ([pod(1, code=0, reason="OOMKilled")], {}, 1),
        ([pod(1, code=0, reason="Completed")], {}, 0),
        # The node went away.
        ([pod(1, code=255)], {}, 0),
        ([pod(1, code=255, reason="Unknown")], {}, 0),
        ([pod(1, code=137, reason="ContainerStatusUnknown")], {}, 0),
        # What a pod had before does not count.
        ([pod(3)], {"p": 2}, 1),
        ([pod(3)], {"other": 2}, 3),
        ([pod(2)], {"p": 2}, 0),
        ([pod(1)], {"p": 2}, 0),
        # The most of one pod, not the sum.
        ([pod(1, name="a"), pod(2, name="b"), pod(1, name="c")], {}, 2),
    ],
)
def test_own_restarts(pods: list[Body], before: dict[str, int], count: int) -> None:
    records = [PodRestarts(pod=name, restarts=restarts) for name, restarts in before.items()]
    assert own_restarts(pods, SINCE, records) == count


def test_only_pods_with_restarts_are_recorded() -> None:
    assert recorded([pod(), pod(name="q")]) is None
    assert recorded([pod(), pod(2, name="q")]) == [PodRestarts(pod="q", restarts=2)]
