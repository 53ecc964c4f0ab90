"""What a user, or the administrator, may say of the pods of a workload: labels, placing, identity.

What the restricted Pod Security Standard needs is no part of it: every pod has that, whatever a template says.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from modelwright.api.base import FreeForm, Model, Name, rule, rules

MANAGED_BY_KEY = "app.kubernetes.io/managed-by"
# A qualified name: an optional domain, and a name.
QUALIFIED = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
)
# Keys of the operator itself. It finds its objects by them.
OWN_KEY = r"^([^/]*[.])?modelwright[.]dev/"
OWN_KEYS = (
    "keys of modelwright.dev and app.kubernetes.io/managed-by are the operator's: leave them out, or choose a domain "
    "of your own"
)
# Annotations by which a kubelet or a container runtime gives a container other rights than its security context says.
SECURITY_KEY = (
    r"^([^/]*[.])?(apparmor[.]security[.]beta|seccomp[.]security[.]alpha)[.]kubernetes[.]io/"
    r"|^([^/]*[.])?cri-?o[.]"
)
SECURITY_KEYS = (
    "keys of apparmor.security.beta.kubernetes.io, seccomp.security.alpha.kubernetes.io and CRI-O change what a "
    "container may do, and the operator's pods are restricted: leave them out"
)
NO_KEY = "keys are NAME or DOMAIN/NAME, such as team or example.com/team: correct the key"
LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
# The largest id that Kubernetes takes.
MOST_ID = 2147483647
# What the API takes of labels, tolerations and the like, and what three templates over each other hold at most.
MOST = 32
MOST_MERGED = 4 * MOST

Key = Annotated[str, Field(min_length=1, max_length=317, pattern=QUALIFIED)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]
Id = Annotated[int, Field(ge=0, le=MOST_ID)]
# A merged template is kept in a status, and may hold more than a spec.
MapBounds = Field(max_length=MOST_MERGED, json_schema_extra={"maxProperties": MOST})
ListBounds = Field(max_length=MOST_MERGED, json_schema_extra={"maxItems": MOST})


def _map_rules(field: str) -> tuple[dict[str, str], ...]:
    """The rules for the keys of a map."""
    return (
        rule(
            f"!has(self.{field}) || self.{field}.all(key, key != '{MANAGED_BY_KEY}' && !key.matches('{OWN_KEY}'))",
            f"{field}: {OWN_KEYS}",
        ),
        rule(
            f"!has(self.{field}) || self.{field}.all(key, key.size() <= 317 && key.matches('{QUALIFIED}'))",
            f"{field}: {NO_KEY}",
        ),
    )


class PodMetadata(Model):
    """Labels and annotations of the pods."""

    model_config = rules(
        *_map_rules("labels"),
        *_map_rules("annotations"),
        rule(
            f"!has(self.annotations) || !self.annotations.exists(key, key.matches('{SECURITY_KEY}'))",
            f"annotations: {SECURITY_KEYS}",
        ),
    )

    labels: Annotated[dict[str, LabelValue], MapBounds] | None = Field(
        default=None,
        description="Labels of the pods, and of their Job or Deployment: of a team, a cost centre.",
    )
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=8192)]], MapBounds] | None = Field(
        default=None, description="Annotations of the pods: of a service mesh, a log collector."
    )


class Toleration(Model):
    """A taint of nodes that the pods tolerate, as in a Pod."""

    model_config = rules(
        rule(
            "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "operator Exists has no value: remove it, or use operator Equal",
        ),
        rule(
            "has(self.key) || has(self.operator) && self.operator == 'Exists'",
            "without a key the operator has to be Exists: name the key of the taint, or set operator: Exists",
        ),
        rule(
            "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            "tolerationSeconds goes with effect NoExecute: remove it, or set the effect",
        ),
    )

    key: Key | None = Field(default=None, description="Key of the taint. Without one, all taints.")
    operator: Literal["Exists", "Equal"] | None = Field(
        default=None, description="How the value is compared. Default: Equal."
    )
    value: LabelValue | None = Field(default=None, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint. Default: all effects."
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=31536000)] | None = Field(
        default=None, description="With NoExecute: how long a pod stays on a node that gets the taint."
    )


class LabelRequirement(Model):
    """A condition on the value of a label."""

    key: Key = Field(description="Key of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="What has to hold of it.")
    values: Annotated[list[LabelValue], Field(max_length=32)] | None = Field(
        default=None, description="The values of In and NotIn."
    )


class LabelSelector(Model):
    """Which pods are counted."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = Field(
        default=None, description="Labels that they have."
    )
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=16)] | None = Field(
        default=None, description="Conditions on their labels."
    )


class TopologySpreadConstraint(Model):
    """How the pods are spread over nodes or zones, as in a Pod."""

    max_skew: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="By how many pods two places may differ at most."
    )
    topology_key: Key = Field(
        description="Label of the nodes that makes a place: kubernetes.io/hostname, topology.kubernetes.io/zone."
    )
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = Field(
        description="What becomes of a pod that cannot be placed so."
    )
    label_selector: LabelSelector | None = Field(
        default=None,
        description="Which pods are counted. Default: those of the same revision, or of the same TrainingJob.",
    )
    min_domains: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="With DoNotSchedule: how many places there have to be."
    )
    node_affinity_policy: Literal["Honor", "Ignore"] | None = Field(
        default=None,
        description="Whether nodes count that nodeSelector and affinity leave out. Default: Honor.",
    )
    node_taints_policy: Literal["Honor", "Ignore"] | None = Field(
        default=None,
        description="Whether nodes count whose taints the pods do not tolerate. Default: Ignore.",
    )
    match_label_keys: Annotated[list[Key], Field(max_length=8)] | None = Field(
        default=None, description="Labels of which only pods with the same value are counted."
    )


class SeLinuxOptions(Model):
    """The SELinux context of the pods, as far as the restricted Pod Security Standard lets one choose it."""

    level: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="Level, such as s0:c123,c456."
    )
    type: Literal["container_t", "container_init_t", "container_kvm_t", "container_engine_t"] | None = Field(
        default=None, description="Type. Default: the runtime's."
    )


class PodSecurity(Model):
    """User and group ids of the pods. All else of their security is the operator's and cannot be weakened."""

    run_as_user: Annotated[int, Field(ge=1, le=MOST_ID)] | None = Field(
        default=None, description="User id of all containers; not 0, the root user."
    )
    run_as_group: Id | None = Field(default=None, description="Group id of all containers.")
    fs_group: Id | None = Field(
        default=None, description="Group that volumes belong to, and that all containers are in."
    )
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = Field(
        default=None, description="When the files of a volume are given to fsGroup."
    )
    supplemental_groups: Annotated[list[Id], Field(max_length=32)] | None = Field(
        default=None, description="Further groups of all containers: of a shared file system."
    )
    se_linux_options: SeLinuxOptions | None = Field(
        default=None, description="SELinux context of all containers."
    )


class PullSecret(Model):
    """A Secret in the same namespace with the credentials of a registry. The operator does not read it."""

    name: Name = Field(description="Name of the Secret.")


class PodTemplateSpec(Model):
    """Where the pods run, under which identity, and with what priority."""

    model_config = rules(
        rule(
            f"!has(self.nodeSelector) || self.nodeSelector.all(key, key.size() <= 317 && key.matches('{QUALIFIED}'))",
            f"nodeSelector: {NO_KEY}",
        ),
    )

    node_selector: Annotated[dict[str, LabelValue], MapBounds] | None = Field(
        default=None, description="Labels that a node must have."
    )
    tolerations: Annotated[list[Toleration], ListBounds] | None = Field(
        default=None, description="Taints that the pods tolerate. They are added to the administrator's."
    )
    affinity: Annotated[FreeForm, Field(max_length=3)] | None = Field(
        default=None,
        description="nodeAffinity, podAffinity and podAntiAffinity, as in a Pod. It replaces the administrator's.",
    )
    topology_spread_constraints: Annotated[list[TopologySpreadConstraint], Field(max_length=8)] | None = (
        Field(
            default=None,
            description="How the pods are spread. They replace the administrator's, and the cluster's own, which "
            "spread them over nodes and zones.",
        )
    )
    priority_class_name: Name | None = Field(
        default=None, description="PriorityClass of the pods: who goes first when the cluster is full."
    )
    runtime_class_name: Name | None = Field(
        default=None, description="RuntimeClass of the pods: gvisor, nvidia."
    )
    scheduler_name: Name | None = Field(default=None, description="Scheduler of the pods.")
    service_account_name: Name | None = Field(
        default=None,
        description="ServiceAccount of the pods, in the same namespace. Its token is not mounted: it is for identities "
        "of stores, for pull secrets and for admission policies.",
    )
    image_pull_secrets: Annotated[list[PullSecret], ListBounds] | None = Field(
        default=None,
        description="Secrets that images are pulled with. They are added to the administrator's.",
    )
    security_context: PodSecurity | None = Field(
        default=None, description="User and group ids. Each replaces the administrator's."
    )


class PodTemplate(Model):
    """What is said of the pods of a workload, over the administrator's defaults."""

    metadata: PodMetadata | None = Field(default=None, description="Labels and annotations.")
    spec: PodTemplateSpec | None = Field(
        default=None, description="Where the pods run, under which identity, and with what priority."
    )


class _Kept:
    """Annotation that makes a part of a status an object with any fields: the API server has checked it in the spec."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        handler(core)
        return {"type": "object", "maxProperties": 2, "x-kubernetes-preserve-unknown-fields": True}


KeptPodTemplate = Annotated[PodTemplate, _Kept()]
