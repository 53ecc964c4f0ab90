"""The administrator's settings for all objects. They come from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelwright.api.podtemplate import PodSecurity, PodTemplate, PodTemplateSpec
from modelwright.api.stores import Store

DEFAULT_CLAIM = "modelwright-artifacts"
# The user and the group of pods of which nothing else is said.
DEFAULT_ID = 65532
DEFAULT_POD_TEMPLATE = PodTemplate(
    spec=PodTemplateSpec(
        security_context=PodSecurity(
            run_as_user=DEFAULT_ID,
            run_as_group=DEFAULT_ID,
            fs_group=DEFAULT_ID,
            fs_group_change_policy="OnRootMismatch",
        )
    )
)
# When running revisions get a new image of the server: with their next rollout, or now, a few services at a time.
ImagePolicy = Literal["OnNextRollout", "Now"]


@dataclass(frozen=True)
class ClaimSettings:
    """The default PersistentVolumeClaim for artifacts."""

    size: str = "10Gi"
    storage_class: str | None = None
    access_mode: str = "ReadWriteOnce"


@dataclass(frozen=True)
class StoreDefault:
    """How a store is reached that no spec describes. `prefix`: what its uris begin with: s3://lake."""

    prefix: str
    store: Store


@dataclass(frozen=True)
class Prometheus:
    """How the Prometheus is reached that answers the queries of rollouts. Files are read at each query."""

    url: str | None = None
    ca_file: Path | None = None
    token_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Settings:
    """Images, defaults, the artifact store, and how stores are reached."""

    serving_image: str
    training_image: str
    serving_image_policy: ImagePolicy = "OnNextRollout"
    max_concurrent_rollouts: int = 5
    # Headers of callers that a server passes on to another revision, in lower case, besides those of traces.
    passed_headers: tuple[str, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    # What is said of all pods, and over that of those of one kind. Without ids the platform gives them (OpenShift).
    pod_template: PodTemplate = DEFAULT_POD_TEMPLATE
    training_pod_template: PodTemplate | None = None
    serving_pod_template: PodTemplate | None = None
    artifacts_uri: str | None = None
    claim: ClaimSettings = field(default_factory=ClaimSettings)
    stores: tuple[StoreDefault, ...] = ()
    # Internal addresses, as CIDRs, that steps may reach at the word of a spec.
    allowed_networks: tuple[str, ...] = ()
    # Labels of the PrometheusRules that follow from objectives of services; None: there are none.
    alert_rules: tuple[tuple[str, str], ...] | None = ()
    # A PodDisruptionBudget for each service with several pods.
    disruption_budgets: bool = True
    training_resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
    )
    serving_resources: Mapping[str, Any] = field(
        default_factory=lambda: {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}
    )
