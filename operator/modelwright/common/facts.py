"""The facts that no watch can tell: the name of each, under whose key it lies in the cache, and its type.

`sampling` keeps them up to date; planners read them with `View.fact`.
"""

from __future__ import annotations

# Under an InferenceService whose canary has a share of the traffic, or whose stable revision is baked: `StepCounts`.
POD_COUNTS = "pod-counts"
# Under an InferenceService whose canary has a share of the traffic, and queries: `QueryResults`.
QUERY_RESULTS = "query-results"
# Under a TrainingJob or ModelVersion whose running Job has no pod: str, the message of the newest FailedCreate event of
# that Job, as the API server refused the pod. None once the Job has a pod.
FAILED_CREATE = "failed-create"


def trouble(fact: str) -> str:
    """The fact that says why one cannot be found out because of an error of the operator: str, a phrase for users."""
    return f"{fact}/trouble"
