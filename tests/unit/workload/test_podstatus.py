"""What a pod says of itself, as one problem in words that stay the same while nothing changes."""

from __future__ import annotations

import pytest

from modelwright.engine.objects import Body
from modelwright.workload.podstatus import obstacle


def unscheduled(message: str) -> Body:
    """A pod as the scheduler leaves it."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"status": {"phase": "Pending", "conditions": [condition]}}


@pytest.mark.parametrize(
    ("scheduler", "why"),
    [
        ("", ""),
        (
            '0/1 nodes are available: persistentvolumeclaim "x" not found.',
            ': persistentvolumeclaim "x" not found',
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "x" not found. not found',
            ': persistentvolumeclaim "x" not found',
        ),
        (
            '0/3 nodes are available: persistentvolumeclaim "x" not found. preemption: 0/3 nodes are available: 3 No.',
            ': persistentvolumeclaim "x" not found',
        ),
        (
            "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s).",
            ": Insufficient cpu, node(s) had untolerated taint(s)",
        ),
        (
            "0/1 nodes are available: 1 Insufficient a.b/gpu. no new claims to deallocate, preemption: 0/1 nodes",
            ": Insufficient a.b/gpu",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            ": pod has unbound immediate PersistentVolumeClaims",
        ),
    ],
    ids=str,
)
def test_a_pod_that_is_not_placed_says_why_once_and_without_counts(scheduler: str, why: str) -> None:
    problem = obstacle(unscheduled(scheduler))

    assert problem is not None
    assert (problem.reason, problem.message) == ("Unschedulable", f"no node takes the pod{why}")
