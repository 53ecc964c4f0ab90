"""The facts that no watch can tell: the name of each, under whose key it lies in the cache, and its type.

`sampling` keeps them up to date; planners read them with `View.fact`.
"""

from __future__ import annotations

# Under a TrainingJob or ModelVersion whose running Job has no pod: str, the message of the newest FailedCreate event of
# that Job, as the API server refused the pod. None once the Job has a pod.
FAILED_CREATE = "failed-create"
