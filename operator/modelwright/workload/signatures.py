"""Keys of signatures in a pod: a volume with one key of a Secret, which only the step that needs it mounts.

The operator never reads Secrets: it only names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.workload.podspec import mount, secret_volume

VOLUME, FILE = "signing", "key.pem"
KEY = mount(VOLUME, "/etc/modelwright/signing", read_only=True)


def key_volume(reference: Mapping[str, Any], *, optional: bool) -> dict[str, Any]:
    """The volume with the key. `optional`: if there is none, the step says so; else the pod waits for it."""
    return secret_volume(VOLUME, reference, FILE, optional=optional)


def named(reference: Mapping[str, Any]) -> str:
    """The key of a Secret, for messages."""
    return f"key {reference['key']} of Secret {reference['name']}"
