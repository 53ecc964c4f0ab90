"""What the three resources share: the base model, field types, conditions and resource amounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Model(BaseModel):
    """A part of a resource: camelCase in JSON, immutable. Unknown fields, as of newer versions, are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


def rule(expression: str, message: str) -> dict[str, str]:
    """Returns a CEL validation rule. The message is for users and holds the remedy."""
    return {"rule": expression, "message": message}


def rules(*validations: dict[str, str]) -> ConfigDict:
    """Returns a model configuration that adds CEL rules to the CRD."""
    extra: dict[str, Any] = {"x-kubernetes-validations": list(validations)}
    return ConfigDict(json_schema_extra=extra)


def name_rule(length: int, because: str) -> dict[str, str]:
    """Returns the rule for names of a kind whose children are named after it."""
    return {
        **rule(
            f"self.metadata.name.size() <= {length} && self.metadata.name.matches('{DNS_LABEL}')",
            f"the name must be a DNS label of at most {length} characters: {because}",
        ),
        "fieldPath": ".metadata.name",
    }


def first_letter_rule(because: str) -> dict[str, Any]:
    """Returns the rule for names of a kind that has a Service of the same name.

    The rule applies to the creation of an object only, because names never change. So the status of an older object
    that violates it can still be written.
    """
    return {
        **rule(
            "oldSelf.hasValue() || self.metadata.name.matches('^[a-z]')",
            f"the name must begin with a letter: {because}",
        ),
        "optionalOldSelf": True,
        "fieldPath": ".metadata.name",
    }


class IntOrString:
    """Annotation that makes a field a Kubernetes int-or-string, with the bounds of both types."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        options: list[dict[str, Any]] = handler(core).get("anyOf", [])
        bounds = {name: value for option in options for name, value in option.items() if name != "type"}
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **bounds,
        }


class _FreeForm:
    """Annotation that makes a field an object with any fields."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kept = {k: v for k, v in handler(core).items() if k in {"maxProperties", "description"}}
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True, **kept}


def _a_time(text: str) -> str:
    """Checks that a timestamp has a time zone: times without one cannot be compared."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


QUANTITY = r"^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
DIGEST = r"^sha256:[a-f0-9]{64}$"
# A DNS label. Names of children and values of labels are derived from it.
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
# No part of a path starts with two dots, so that no uri leads out of its volume.
_PATH = r"(/\.?[A-Za-z0-9_@:+-][A-Za-z0-9._@:+-]*)"
# A repository of a registry, and a bucket or container of a cloud.
_REPOSITORY = r"oci://[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
_BUCKET = r"(s3|gs|az)://[a-z0-9$][-a-z0-9._]*"
# Where models are written, and where a model file is read. The path of one in a registry is that in its image.
STORE_URI = f"^(pvc://[a-z0-9]([-a-z0-9]*[a-z0-9])?{_PATH}*|{_BUCKET}{_PATH}*|{_REPOSITORY})$"
FILE_URI = (
    f"^(pvc://[a-z0-9]([-a-z0-9]*[a-z0-9])?{_PATH}+|{_BUCKET}{_PATH}+|https://[^\\s?#@]+"
    f"|{_REPOSITORY}(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{{64}})?)$"
)
_DATA_PATH = r"(/\.?[^./\s][^/\s]*)"
_OTHER_DATA = (
    r"https://[^\s]+"
    rf"|{_REPOSITORY}(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{{64}})?"
    r"|configmap://[a-z0-9]([-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+"
    r"|sklearn://[a-z_0-9]+"
)
DATA_URI = rf"^({_OTHER_DATA}|{_BUCKET}{_DATA_PATH}+|pvc://[a-z0-9]([-a-z0-9]*[a-z0-9])?{_DATA_PATH}+)$"
# A remote of DVC may be a whole bucket or claim.
DATA_OR_REMOTE_URI = DATA_URI.replace(f"{_DATA_PATH}+", f"{_DATA_PATH}*")

Quantity = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=QUANTITY, max_length=32)], IntOrString()
]
Digest = Annotated[str, Field(pattern=DIGEST, max_length=71)]
Label = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
Name = Annotated[str, Field(pattern=DNS_SUBDOMAIN, min_length=1, max_length=253)]
Timestamp = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, max_length=64), AfterValidator(_a_time)
]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
CategoryValue = Annotated[int | Annotated[str, Field(max_length=256)], IntOrString()]
FreeForm = Annotated[dict[str, Any], _FreeForm()]
Reason = Annotated[
    str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", min_length=1, max_length=128)
]
Message = Annotated[str, Field(max_length=4096)]
Task = Literal["Classification", "Regression"]
# Classes may be numbers. A list in a CRD has items of one type, so they are written as text.
ClassLabel = Annotated[str, Field(max_length=256, coerce_numbers_to_str=True)]


# Resources that every container has. All others are devices, whose names have a domain.
STANDARD = ("cpu", "memory", "ephemeral-storage")
RESOURCE = (
    r"^(hugepages-[0-9]+[KMGT]i|[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    r"/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$"
)
UNKNOWN_RESOURCE = (
    "resources are cpu, memory, ephemeral-storage, hugepages-SIZE, and devices with their domain, such as "
    "nvidia.com/gpu: correct the name"
)
NO_AMOUNT = "amounts are numbers, with a unit where needed, such as 2, 500m or 512Mi: correct the amount"
ABOVE_LIMIT = "requests must not be above limits: raise resources.limits or lower resources.requests"
DEVICE_LIMIT = (
    "devices and hugepages cannot be shared: set resources.limits to the same amount as resources.requests"
)


def _each(condition: str) -> str:
    """Returns CEL that requires a condition of each resource `name` in requests and limits; AMOUNT is its amount."""
    return " && ".join(
        f"(!has(self.{part}) || self.{part}.all(name, {condition.replace('AMOUNT', f'self.{part}[name]')}))"
        for part in ("requests", "limits")
    )


def _amount(part: str) -> str:
    """Returns CEL for the amount of the resource `name`."""
    return f"quantity(string(self.{part}[name]))"


class ResourceRequirements(Model):
    """Compute resources of a container, as in a Pod."""

    requests: Annotated[dict[str, Quantity], Field(max_length=8)] | None = Field(
        default=None, description="What the scheduler reserves, by resource: cpu, memory."
    )
    limits: Annotated[dict[str, Quantity], Field(max_length=8)] | None = Field(
        default=None, description="What the container may use at most, by resource: cpu, memory."
    )


class RequestedResources(ResourceRequirements):
    """Compute resources in a spec. Rules reject what no pod can have."""

    model_config = rules(
        rule(_each(f"name in {list(STANDARD)} || name.matches('{RESOURCE}')"), UNKNOWN_RESOURCE),
        rule(_each(f"string(AMOUNT).matches('{QUANTITY}')"), NO_AMOUNT),
        rule(
            "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || "
            f"!{_amount('requests')}.isGreaterThan({_amount('limits')}))",
            ABOVE_LIMIT,
        ),
        rule(
            "!has(self.requests) || self.requests.all(name, !name.matches('/|^hugepages-') || "
            f"has(self.limits) && name in self.limits && {_amount('requests')}.compareTo({_amount('limits')}) == 0)",
            DEVICE_LIMIT,
        ),
    )


class Condition(Model):
    """One aspect of the state, as in every Kubernetes API."""

    type: Annotated[str, Field(max_length=64)] = Field(description="Which aspect: Ready, Reconciling, ...")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int = Field(ge=0, description="The generation of the spec that it is about.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    reason: Reason = Field(description="Why, in one CamelCase word.")
    message: Message = Field(description="Why, in a sentence: what was wrong, where, and what to do.")


# The default of observedGeneration. Tools that compare it with the generation see that no reconcile has happened yet.
NOT_OBSERVED = -1


class Status(Model):
    """The fields of every status."""

    observed_generation: int | None = Field(
        default=None,
        ge=NOT_OBSERVED,
        description="The generation of the spec that the operator saw last; -1 until it has seen the object.",
    )
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default=[], description="Ready, and Reconciling or Stalled while they are true.")


class ConfigMapKey(Model):
    """One key of a ConfigMap in the same namespace."""

    name: Name = Field(description="Name of the ConfigMap.")
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = Field(
        description="Key in the ConfigMap."
    )


class Code(Model):
    """The source code that the model was made with."""

    repository: Annotated[str, Field(max_length=1024)] = Field(description="Repository.")
    revision: Annotated[str, Field(max_length=128)] = Field(description="Commit.")


class Tensor(Model):
    """One input or output of the model, as read from the ONNX graph."""

    name: Annotated[str, Field(max_length=512)] = Field(description="Name of the tensor.")
    datatype: Annotated[str, Field(max_length=16)] = Field(
        description="Open Inference Protocol datatype: FP32, BYTES, ..."
    )
    shape: Annotated[list[int], Field(max_length=16)] = Field(
        description="Shape; -1 is a variable dimension."
    )
    format: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="How the dates of an input are written, such as YYYY-MM-DD."
    )


class Signature(Model):
    """What the model takes and gives, read from the ONNX graph."""

    inputs: Annotated[list[Tensor], Field(max_length=512)] = Field(description="Inputs of the model.")
    outputs: Annotated[list[Tensor], Field(max_length=64)] = Field(description="Outputs of the model.")
    classes: Annotated[list[ClassLabel], Field(max_length=1024)] | None = Field(
        default=None, description="Class labels, in the order of the probabilities."
    )
    features: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=1024)] | None = Field(
        default=None, description="Column of each position of the input, where the model takes one matrix."
    )
    input_count: int | None = Field(
        default=None, ge=0, description="How many inputs there are, where some are left out."
    )
    output_count: int | None = Field(
        default=None, ge=0, description="How many outputs there are, where some are left out."
    )
    feature_count: int | None = Field(
        default=None, ge=0, description="How many features there are, where they are left out."
    )
    class_count: int | None = Field(
        default=None, ge=0, description="How many classes there are, where some are left out."
    )
    truncated: bool | None = Field(
        default=None, description="True where something was left out; report.json has all."
    )
