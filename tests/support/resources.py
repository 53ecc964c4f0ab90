"""Compute resources that the API takes or refuses: the CRDs and the operator's settings treat each alike."""

from __future__ import annotations

from typing import Any

ABOVE_LIMIT = "requests must not be above limits: raise resources.limits or lower resources.requests"
UNKNOWN = "and devices with their domain, such as nvidia.com/gpu: correct the name"
DEVICE_LIMIT = "set resources.limits to the same amount as resources.requests"

TAKEN: list[dict[str, Any]] = [
    {},
    {"requests": {}, "limits": {}},
    {"requests": {"cpu": 1}, "limits": {"cpu": "1000m"}},
    {"requests": {"memory": "1Gi"}, "limits": {"memory": "1.5Gi", "cpu": "0.5"}},
    {"requests": {"memory": "1G"}, "limits": {"memory": "1Gi"}},
    {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
    {"limits": {"nvidia.com/gpu": 1, "ephemeral-storage": "1Gi"}},
    {"requests": {"nvidia.com/mig-1g.5gb": "1"}, "limits": {"nvidia.com/mig-1g.5gb": 1}},
    {"requests": {"cpu": 1, "hugepages-2Mi": "4Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"requests": {"memory": "2Gi"}, "limits": {"memory": "512Mi"}}, ABOVE_LIMIT),
    ({"requests": {"cpu": 1}, "limits": {"cpu": "999m"}}, ABOVE_LIMIT),
    ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "1G"}}, ABOVE_LIMIT),
    ({"limits": {"gpu": 1}}, UNKNOWN),
    ({"requests": {"Memory": "1Gi"}}, UNKNOWN),
    ({"requests": {"storage": "1Gi"}}, UNKNOWN),
    ({"limits": {"nvidia.com/": 1}}, UNKNOWN),
    ({"limits": {"hugepages-2M": "4Mi"}}, UNKNOWN),
    ({"requests": {"nvidia.com/gpu": 1}}, DEVICE_LIMIT),
    ({"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}, DEVICE_LIMIT),
    ({"requests": {"memory": "lots"}}, "requests.memory"),
    ({"requests": {"memory": "1 Gi"}}, "requests.memory"),
    ({"limits": {"memory": "-1Gi"}}, "limits.memory"),
    ({"limits": {"cpu": -1}}, "limits.cpu"),
    ({"limits": {"cpu": 0.5}}, "limits.cpu"),
]
