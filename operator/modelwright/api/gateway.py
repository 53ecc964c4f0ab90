"""The Gateway for callers outside the cluster. If the spec names one, its routes split the traffic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelwright.api.base import Label, Model, Name, rule, rules

# The pattern of the Gateway API. A rule below excludes addresses.
HOSTNAME = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
Hostname = Annotated[str, Field(pattern=HOSTNAME, min_length=1, max_length=253)]


class Gateway(Model):
    """A Gateway of the Gateway API (gateway.networking.k8s.io/v1), and which of its requests are for the model."""

    model_config = rules(
        rule(
            "!has(self.scope) || self.scope != 'Host' || has(self.hostnames) && self.hostnames.size() > 0",
            "scope Host takes whole hostnames: say in hostnames which",
        ),
        rule(
            "!has(self.hostnames) || self.hostnames.all(host, !host.matches('^[0-9.]+$'))",
            "hostnames are names: an address is none",
        ),
    )

    name: Name = Field(description="Name of the Gateway.")
    namespace: Label | None = Field(
        default=None, description="Its namespace. Default: that of the InferenceService."
    )
    section_name: Name | None = Field(
        default=None, description="One of its listeners, by name. Default: all that fit."
    )
    hostnames: Annotated[list[Hostname], Field(max_length=16)] | None = Field(
        default=None,
        description="Names that callers ask for, such as churn.example.com or *.models.example.com. Default: all that "
        "the listeners take.",
    )
    scope: Literal["Model", "Host"] = Field(
        default="Model",
        description="Which requests to the hostnames are for this model. Model: those to /v2/models/NAME, over HTTP, "
        "so that many models share one hostname. Host: all of them, over HTTP and gRPC, for hostnames that are this "
        "model's own; gRPC calls say in their body which model they mean, where no Gateway looks.",
    )
