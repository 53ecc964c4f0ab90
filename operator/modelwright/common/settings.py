"""What the administrator decides for all objects; the command line fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DEFAULT_CLAIM = "modelwright-artifacts"
# What a new image of the server means for revisions that run: they keep theirs until something else changes, or each
# is replaced in its turn.
ImagePolicy = Literal["OnNextRollout", "Now"]


@dataclass(frozen=True)
class ClaimSettings:
    """The claim that is made for artifacts where none is named."""

    size: str = "10Gi"
    storage_class: str | None = None
    access_mode: str = "ReadWriteOnce"


@dataclass(frozen=True)
class Settings:
    """Images, defaults and the artifact store."""

    serving_image: str
    training_image: str
    serving_image_policy: ImagePolicy = "OnNextRollout"
    max_concurrent_rollouts: int = 5
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    artifacts_uri: str | None = None
    claim: ClaimSettings = field(default_factory=ClaimSettings)
    training_resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
    )
    serving_resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}
    )
