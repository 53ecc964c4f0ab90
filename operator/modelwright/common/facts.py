"""The names of the facts that do not come from a watch.

A comment at each gives the object that it is stored under, and its type.
`sampling` keeps them up to date; planners read them with `View.fact`.
"""

from __future__ import annotations

# Of an InferenceService whose canary has a share of the traffic, or whose stable revision is baked: `StepCounts`.
POD_COUNTS = "pod-counts"
# Of an InferenceService with `spec.monitoring`: `Reports`, what the pods of its stable revision have counted.
MONITOR_REPORTS = "monitor-reports"
# Of the same: the last words of ended processes of the server, a mapping of `Report` by process. Noted by `Intake` as
# the watch shows them.
LAST_WORDS = "last-words"
# Of an InferenceService whose canary has a share of the traffic, and queries: `QueryResults`.
QUERY_RESULTS = "query-results"
# Of a TrainingJob or ModelVersion whose running Job has no pod: str, the message of the newest FailedCreate event of
# that Job, which says why the API server refused the pod. None once the Job has a pod.
FAILED_CREATE = "failed-create"
# Of a ModelVersion with approvals that its status does not show yet: str, `IN_FORCE` if the API server checks approvals
# by the chart's admission policy, else a clause that says why it does not. None until it is known.
APPROVALS_POLICY = "approvals-policy"
IN_FORCE = "InForce"


def trouble(fact: str) -> str:
    """Returns the name of the fact that holds why this one cannot be sampled: str, an error of the operator."""
    return f"{fact}/trouble"
