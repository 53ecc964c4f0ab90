"""InferenceService: a promise about traffic. Serves a ModelVersion and replaces it without a failed request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelwright.api.base import (
    Digest,
    Label,
    Message,
    Model,
    Name,
    Reason,
    RequestedResources,
    ResourceRequirements,
    Status,
    Timestamp,
    first_letter_rule,
    name_rule,
    rule,
    rules,
)
from modelwright.api.checks import Check
from modelwright.api.gateway import Gateway
from modelwright.api.monitoring import FeedbackKeys, Monitoring, MonitoringStatus
from modelwright.api.podtemplate import KeptPodTemplate, PodTemplate
from modelwright.api.stores import Artifact

# Deployments are named NAME-HASH. Their pods have another suffix, and a label has at most 63 characters.
NAME_LENGTH = 44


class ServedModel(Model):
    """Which model is served."""

    model_config = rules(
        rule("has(self.version) != has(self.name)", "set exactly one of version and name"),
        rule(
            "has(self.name) == has(self.track)", "name and track go together: {name: FAMILY, track: Latest}"
        ),
    )

    version: Name | None = Field(default=None, description="A ModelVersion, by name.")
    name: Label | None = Field(default=None, description="A family of ModelVersions, by its model name.")
    track: Literal["Latest", "Champion"] | None = Field(
        default=None,
        description="Latest: the newest version of the family that is Ready. Champion: the one that the other services "
        "of the family serve; while none does, the one that this service serves already, or at first the newest that "
        "is Ready.",
    )


class Step(Model):
    """A share of the traffic, and how long it is held before the next step."""

    weight: Annotated[int, Field(ge=0, le=100)] = Field(
        description="Of every 100 requests so many are answered by the new revision."
    )
    hold_seconds: Annotated[int, Field(ge=0, le=604800)] = Field(
        default=60, description="How long the step lasts at least."
    )
    mirror: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Of every 100 requests that the stable revision answers, so many are repeated at the new one, "
        "and the answers compared.",
    )
    approval: bool | None = Field(
        default=None,
        description="True: however good it looks, the step ends only when approvedRevision names the revision, or "
        "somebody promotes it.",
    )


HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"


class HeaderMatch(Model):
    """A header of a request, and its value."""

    name: Annotated[str, Field(pattern=HEADER, max_length=128)] = Field(description="Name of the header.")
    value: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="Its whole value.")


class Traffic(Model):
    """Who meets the new revision, and how long it has for an answer."""

    headers: Annotated[list[HeaderMatch], Field(max_length=16)] | None = Field(
        default=None,
        description="Requests with one of these headers go to the new revision, whatever the weight.",
    )
    sticky: Annotated[str, Field(pattern=HEADER, max_length=128)] | None = Field(
        default=None,
        description="A header whose value decides, so that a user meets one revision only. Requests without it are "
        "split by the weight.",
    )
    timeout_seconds: Annotated[float, Field(ge=0.001, le=3600)] | None = Field(
        default=None,
        description="How long the new revision has before the stable one answers. Default: 4 times as long as 99 % of "
        "the stable revision's own answers take, at least 1 and at most 60.",
    )
    patience: Annotated[float, Field(ge=0.001, le=1)] | None = Field(
        default=None,
        description="But no more than this share of what is left of a gRPC caller's deadline. Default: 0.5.",
    )


# A query may hold these as $(NAME); the operator replaces them.
PLACEHOLDERS = ("revision", "stable", "version", "namespace", "name", "seconds")
_FILLED = "self" + "".join(f".replace('$({name})', ' ')" for name in PLACEHOLDERS)
_UNKNOWN_PLACEHOLDER = {
    **rule(f"!{_FILLED}.contains('$(')", f"only $({'), $('.join(PLACEHOLDERS)}) are filled in"),
    "messageExpression": f"{_FILLED}.find('[$][(][^)]{{0,40}}[)]?') + ' means nothing: only "
    f"$({'), $('.join(PLACEHOLDERS)}) are filled in'",
}


class Query(Model):
    """A question to the administrator's Prometheus, and the limits of its answer."""

    model_config = rules(
        rule("has(self.max) || has(self.min)", "set max, min or both"),
        rule("!has(self.max) || !has(self.min) || self.min <= self.max", "min must not be above max"),
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?$", max_length=63)] = Field(
        description="What it is called in decisions and messages."
    )
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            json_schema_extra={"x-kubernetes-validations": [_UNKNOWN_PLACEHOLDER]},
        ),
    ] = Field(
        description="PromQL that gives one number: a scalar, or a vector of one series. $(revision) and $(version) "
        "are the new revision's, $(stable) is the stable one's; $(namespace) and $(name) are this object's; "
        "$(seconds) is how long the step has lasted."
    )
    max: float | None = Field(default=None, description="A value above it fails.")
    min: float | None = Field(default=None, description="A value below it fails.")
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=15,
        description="How often it is asked: for the first time so many seconds after the step began, then again "
        "and again.",
    )


class ScoreDrop(Model):
    """How much worse the predictions of the new revision may be than those of the stable one, by feedback."""

    metric: Literal["accuracy", "log_loss", "mae"] = Field(
        description="accuracy of classes, log_loss of the probabilities of two classes, mae of a regression."
    )
    change: Annotated[float, Field(ge=0, le=1_000_000)] = Field(
        description="How much worse it may be, in the unit of the metric: 0.02 are two points of accuracy, or a log "
        "loss that is 0.02 higher."
    )
    min_labels: Annotated[int, Field(ge=10, le=10_000_000)] | None = Field(
        default=None, description="Labels of each revision that it takes. Default: 100."
    )


class Analysis(Model):
    """What has to hold of the new revision at each step, measured since the step began."""

    max_error_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01,
        description="Share of its requests that it may fail. A failed request is answered by the stable revision.",
    )
    max_p99_increase: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        default=None, description="How much slower its slowest hundredth may be: 0.5 is half as slow again."
    )
    max_p50_increase: Annotated[float, Field(ge=0, le=1000)] | None = Field(
        default=None, description="The same for the median."
    )
    min_agreement: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Share of the labels in mirrored answers that have to be those of the stable one.",
    )
    max_difference: Annotated[float, Field(ge=0, le=1_000_000)] | None = Field(
        default=None,
        description="How far apart numbers in mirrored answers may be, probabilities or values, in 99 of 100.",
    )
    max_score_drop: ScoreDrop | None = Field(
        default=None,
        description="How much worse its score by feedback may be than that of the stable revision in the same time. It "
        "needs spec.monitoring.feedback, and labels that come back while a step lasts.",
    )
    max_prediction_shift: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="By how much the share of a label, or of probabilities below a number, may differ from the stable "
        "revision's, among what both answered to callers. For classifiers.",
    )
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=0,
        description="How often the containers of one pod may end by themselves, by a crash or for memory, since the "
        "step began. A restart of the node does not count.",
    )
    consecutive_failures: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="How many looks in a row have to fail before it is rolled back. There is one every 2 seconds "
        "while requests grow in number by 1 % or more, else every 30 seconds, and for a query one with each answer.",
    )
    queries: (
        Annotated[
            list[Query],
            Field(
                max_length=10,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
        | None
    ) = Field(default=None, description="What Prometheus has to say besides.")
    min_samples: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=100, description="Requests that a step needs before it can pass."
    )
    min_failures: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=3,
        description="Failed requests that it takes to reject the revision; of compared requests, so many that differ.",
    )
    false_alarm_rate: Annotated[
        float,
        # The API server rounds a bound to a whole number when it checks a whole number, such as 0.
        Field(
            ge=0.000001,
            le=0.5,
            json_schema_extra={"x-kubernetes-validations": [rule("self > 0.0", "it must be above 0")]},
        ),
    ] = Field(
        default=0.05,
        description="With what probability a new revision may be rolled back although it keeps all limits: of the "
        "whole rollout, all steps, looks and checks and bakeSeconds together. Queries and restarts are no part of it. "
        "A smaller rate takes more samples to roll back.",
    )
    no_data_seconds: Annotated[int, Field(ge=10, le=604800)] = Field(
        default=3600,
        description="How long a step waits for its verdict, beyond its hold, before onNoData decides.",
    )
    on_no_data: Literal["Wait", "Pause", "Promote", "Rollback"] = Field(
        default="Wait",
        description="What follows then: wait on, pause until a person resumes, go on to the next step, or roll back. "
        "Promote waits on while a number is beyond its limit, though too few samples prove it.",
    )


class Rollout(Model):
    """How a new revision takes over."""

    model_config = rules(
        rule(
            # When the API server checks the default of the whole field, it has no strategy yet.
            "has(self.strategy) && self.strategy == 'Canary' ? has(self.steps) && self.steps.size() > 0 : "
            "!has(self.steps) || has(self.strategy) && self.strategy == 'BlueGreen'",
            "strategy Canary needs steps, and strategy Replace has none",
        ),
        rule(
            "!has(self.steps) || !has(self.strategy) || self.strategy != 'BlueGreen' || "
            "self.steps.size() == 1 && self.steps[0].weight == 0",
            "strategy BlueGreen has at most one step, of weight 0: it says how long both run before the switch",
        ),
    )

    strategy: Literal["Replace", "Canary", "BlueGreen"] = Field(
        default="Replace",
        description="Replace: the new revision starts beside the old one, takes over when all of it is ready, "
        "and the old one goes after scaleDownDelaySeconds. Canary: in between it gets a growing share of the "
        "traffic, and is rolled back by what is measured. BlueGreen: all of its pods start and answer at "
        "status.canary.url alone, until its step ends and the whole traffic is switched.",
    )
    steps: (
        Annotated[
            list[Step],
            Field(
                max_length=20,
                json_schema_extra={
                    "x-kubernetes-validations": [
                        rule(
                            "self.map(step, step.weight).isSorted()", "weights have to grow from step to step"
                        )
                    ]
                },
            ),
        ]
        | None
    ) = Field(default=None, description="The shares of the traffic, one after the other.")
    analysis: Analysis | None = Field(
        default=None, description="What has to hold at each step. Without it, the defaults of its fields."
    )
    traffic: Traffic | None = Field(default=None, description="Who meets the new revision.")
    paused: bool | None = Field(default=None, description="True: no step ends, however good it looks.")
    approved_revision: Label | None = Field(
        default=None, description="The revision whose steps with approval may end: status.canary.revision."
    )
    bake_seconds: Annotated[int, Field(ge=0, le=604800)] = Field(
        default=0,
        description="How long the analysis goes on after a new revision took over. Should it fail its requests then, "
        "or its pods end, the revision before takes over again, in one switch.",
    )
    require_compatible_signature: bool | None = Field(
        default=None,
        description="True: a version is refused that asks for inputs, or lacks outputs or classes, of the one that "
        "serves. Otherwise callers may be given a version that does not understand them.",
    )
    progress_deadline_seconds: Annotated[int, Field(ge=10, le=86400)] = Field(
        default=600, description="How long a new revision may take to become ready before it is given up."
    )
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=30,
        description="How long the old revision keeps running after the new one took over. Until "
        "then, going back to it is one switch.",
    )


class ServerOptions(Model):
    """How the server runs the model. What is left out has the server's own default."""

    run_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None,
        description="A run of the model that takes longer is ended, and its requests get 504 or DEADLINE_EXCEEDED. "
        "After twice the time a run that cannot be ended makes the pod restart. Default: 10.",
    )
    row_sharing: Literal["Auto", "Never"] | None = Field(
        default=None,
        description="Auto: requests that arrive together share a run of the model if it is proved that their rows do "
        "not influence each other. Never: each request has a run of its own. Default: Auto.",
    )
    max_rows: Annotated[int, Field(ge=1, le=16_777_216)] | None = Field(
        default=None,
        description="Most rows of one request; more get 413 or RESOURCE_EXHAUSTED. Default: 2097152.",
    )


class Autoscaling(Model):
    """A HorizontalPodAutoscaler that sets spec.replicas by the load of the pods."""

    model_config = rules(
        rule(
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas: raise maxReplicas, or lower minReplicas",
        )
    )

    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Pods that serve however small the load is. Default: 1."
    )
    max_replicas: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="Pods that serve at most. During a rollout those of the other revision come on top."
    )
    target_cpu_utilization: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        alias="targetCPUUtilization",
        description="How much processor time the pods use on average, in percent of resources.requests.cpu. With more "
        "the number of pods grows, with less it shrinks. Default: 65.",
    )
    scale_down_stabilization_seconds: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None,
        description="How long the load has to ask for fewer pods before any goes. Default: the cluster's, which is "
        "300 unless its administrator has changed it.",
    )


class InferenceServiceSpec(Model):
    """What is promised."""

    model_config = rules(
        rule(
            "!has(self.autoscaling) || !has(self.resources) || "
            "has(self.resources.requests) && 'cpu' in self.resources.requests || "
            "has(self.resources.limits) && 'cpu' in self.resources.limits",
            "autoscaling goes by a share of the processor time that is asked for: set resources.requests.cpu",
        ),
        rule(
            "!has(self.gateway) || !has(self.rollout.traffic) || !has(self.rollout.traffic.sticky)",
            "no route of a Gateway can keep a user at one revision: leave out rollout.traffic.sticky, or gateway",
        ),
        rule(
            "!has(self.rollout.analysis) || !has(self.rollout.analysis.maxScoreDrop) || "
            "has(self.monitoring) && has(self.monitoring.feedback)",
            "rollout.analysis.maxScoreDrop needs labels: set monitoring.feedback",
        ),
    )

    model: ServedModel = Field(description="Which model is served.")
    replicas: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=1,
        description="Pods that serve. Leave it out where an autoscaler sets it, through the subresource scale.",
    )
    autoscaling: Autoscaling | None = Field(
        default=None,
        description="A HorizontalPodAutoscaler of the InferenceService's name sets replicas. It needs the metrics API, "
        "which metrics-server provides. Replicas of 0 switch it off until they are set to 1 or more.",
    )
    resources: RequestedResources | None = Field(
        default=None, description="Compute resources of the server. Default: the operator's."
    )
    server: ServerOptions | None = Field(
        default=None, description="How the server runs the model. A change makes a new revision."
    )
    pod_template: PodTemplate | None = Field(
        default=None,
        description="Labels, placing and identity of the pods, over the administrator's defaults (docs/pods.md). A "
        "change makes a new revision.",
    )
    rollout: Rollout = Field(default=Rollout(), description="How a new revision takes over.")
    approved_digests: Annotated[list[Digest], Field(max_length=64)] | None = Field(
        default=None,
        description="Model files that are approved here, in Git: each counts as one approval of the ModelVersions with "
        "that digest (docs/governance.md).",
    )
    gateway: Gateway | None = Field(
        default=None,
        description="Where callers outside the cluster come in. An HTTPRoute of the InferenceService's name leads them "
        "to it, and splits them between the revisions during a rollout; the stable revision's pods no longer do.",
    )
    monitoring: Monitoring | None = Field(
        default=None,
        description="What is watched of the model that serves: drift, scores by feedback, objectives.",
    )


class Revision(Model):
    """A model in a shape of pod: what one Deployment runs."""

    revision: Label = Field(description="Hash of the model's digest and the shape of the pod.")
    version: Name = Field(description="The ModelVersion.")
    artifact: Artifact = Field(
        description="The model file, so that it is served even when the ModelVersion is gone."
    )
    image: Annotated[str, Field(max_length=512)] = Field(description="Image of the server.")
    resources: ResourceRequirements | None = Field(
        default=None, description="Compute resources of the server."
    )
    server: ServerOptions | None = Field(default=None, description="How the server runs the model.")
    feedback: FeedbackKeys | None = Field(
        default=None, description="How it takes labels; None if it takes none."
    )
    pod_template: KeptPodTemplate | None = Field(
        default=None, description="What the spec said of its pods when it began."
    )
    merged_pod_template: KeptPodTemplate | None = Field(
        default=None,
        description="The same over the administrator's defaults of that time. As long as its pods serve, a change of "
        "those replaces none of them.",
    )
    replicas: int | None = Field(default=None, ge=0, description="Pods asked for.")
    ready_replicas: int | None = Field(default=None, ge=0, description="Pods that are ready.")


Checks = Annotated[
    list[Check],
    Field(
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]


class PodRestarts(Model):
    """How often containers of a pod had been restarted."""

    pod: Annotated[str, Field(max_length=253)] = Field(description="The pod.")
    restarts: Annotated[int, Field(ge=1)] = Field(description="How often.")


MeasurementNumber = Annotated[int, Field(ge=1)]
Restarts = Annotated[
    list[PodRestarts],
    Field(
        max_length=1000,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["pod"]},
    ),
]


class StableRevision(Revision):
    """The revision that has the traffic."""

    since: Timestamp | None = Field(default=None, description="When it took over.")
    previous: Name | None = Field(default=None, description="The ModelVersion that had the traffic before.")
    bake_until: Timestamp | None = Field(
        default=None, description="Until when it may be taken back by what is measured."
    )
    checks: Checks | None = Field(
        default=None, description="The checks while it may be taken back, as status.canary.checks."
    )
    measurement: MeasurementNumber | None = Field(
        default=None, description="While it may be taken back: as status.canary.measurement."
    )
    restarts: Restarts | None = Field(
        default=None, description="While it may be taken back: as status.canary.restarts."
    )


class CanaryRevision(Revision):
    """The revision on its way to become stable."""

    state: Literal["Progressing", "Shifting", "Completing", "Failed"] = Field(
        description="Progressing: its pods start. Shifting: it gets a growing share of the traffic. Completing: it "
        "has passed, and the rest of its pods start. Failed: given up until retryAt, or until the spec changes; "
        "status.rejected says whether it was rejected."
    )
    since: Timestamp = Field(description="When it was started.")
    step: int | None = Field(default=None, ge=0, description="The step that it is at, from 0.")
    step_since: Timestamp | None = Field(default=None, description="When that step began.")
    measurement: MeasurementNumber | None = Field(
        default=None,
        description="Number of the present measurement of this rollout, from 1: of a step, or of a step that began "
        "again. Measurement n has the share 1 / (n (n + 1)) of falseAlarmRate.",
    )
    restarts: Restarts | None = Field(
        default=None,
        description="Restarts of its pods before this measurement; only of pods that had some.",
    )
    weight: int | None = Field(default=None, ge=0, le=100, description="Its percent of the traffic.")
    waiting_since: Timestamp | None = Field(
        default=None,
        description="Since when its step lacks pods or its share of the traffic. It is given up when that lasts "
        "progressDeadlineSeconds.",
    )
    stand_in_since: Timestamp | None = Field(
        default=None,
        description="Since when it answers all requests, because no pod of the stable revision is ready. It takes "
        "over for good when that lasts progressDeadlineSeconds.",
    )
    paused: bool | None = Field(default=None, description="True: somebody asked for a pause.")
    verdict: Reason | None = Field(
        default=None,
        description="What the analysis says of it at present, in one word: CollectingSamples, Passing, or why not.",
    )
    checks: Checks | None = Field(
        default=None,
        description="The checks of its step. All numbers are of one moment: the last change of a result or a reason, "
        "or the last time that the samples had grown by about an eighth, or doubled for a check that has passed.",
    )
    failed_looks: int | None = Field(default=None, ge=0, description="How many looks in a row have failed.")
    last_look: int | None = Field(default=None, ge=0, description="Number of the look that failed last.")
    url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Where it answers inside the cluster, and nothing else does: for a preview."
    )
    attempts: int | None = Field(
        default=None, ge=0, description="How many times in a row it was given up because of the cluster."
    )
    retry_at: Timestamp | None = Field(
        default=None,
        description="When it is tried again, as it was given up because of the cluster; at once when the spec changes.",
    )
    generation: int = Field(
        ge=0, description="Generation of the spec that started it, or under which it was given up."
    )
    spec_hash: Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Hash of that spec without its number of pods, and of how that is chosen: another number is no "
        "reason to try it again.",
    )
    reason: Reason | None = Field(default=None, description="Why it failed, in one word.")
    message: Message | None = Field(default=None, description="Why it failed, in a sentence.")


# `requestedBy` is not authenticated: a user who may annotate the object can write any name.
RequestedBy = Annotated[str, Field(max_length=200)]


class Decision(Model):
    """A decision about a revision, with the number or the person that made it."""

    at: Timestamp = Field(description="When.")
    revision: Label = Field(description="Of which revision.")
    step: int = Field(ge=0, description="At which step, from 0.")
    verdict: Literal["Advance", "Promote", "Pause", "Resume", "Retry", "Rollback"] = Field(
        description="What followed."
    )
    reason: Reason = Field(description="Why, in one word.")
    requested_by: RequestedBy | None = Field(
        default=None,
        description="Who requested it, if it was requested: the name that the client gave, and the field manager that "
        "wrote the annotation. Not verified.",
    )
    metric: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The number's name."
    )
    value: float | None = Field(default=None, description="The number.")
    threshold: float | None = Field(default=None, description="Its limit.")
    samples: int = Field(default=0, ge=0, description="How many samples it was made of.")


class RetiredRevision(Revision):
    """The revision that had the traffic before and still runs."""

    until: Timestamp = Field(description="When its pods go.")
    undone: bool | None = Field(
        default=None,
        description="True: the traffic was taken from it again. It gets it back step by step, or by another undo.",
    )


class Rejection(Model):
    """A rejected model or revision. It is not started again until a retry is requested."""

    at: Timestamp = Field(description="When.")
    revision: Label = Field(description="The revision that served it.")
    version: Name = Field(description="The ModelVersion.")
    digest: Digest = Field(description="sha256 of its model file.")
    scope: Literal["Model", "Revision"] = Field(
        default="Model",
        description="Model: no revision with this digest is started. Revision: only this one is not, because the same "
        "model serves in another shape of pod.",
    )
    reason: Reason = Field(description="Why, in one word: of the analysis, or Aborted or Undone.")
    requested_by: RequestedBy | None = Field(
        default=None, description="Who requested it, if it was requested. Not verified."
    )
    quarantine: bool = Field(
        default=True,
        description="True: a check has failed that is evidence about the model, so its ModelVersions are Quarantined "
        "for all who follow the family. False: this InferenceService alone does not start it.",
    )
    retry_when_named: bool = Field(
        default=False,
        description="True: spec.model has asked for something else since, so naming the version again tries it.",
    )


class Address(Model):
    """Where callers inside the cluster go."""

    url: Annotated[str, Field(max_length=1024)] = Field(description="Address of the Service.")


class InferenceServiceStatus(Status):
    """What is served."""

    url: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None,
        description="Where the model answers (Open Inference Protocol V2): at the Gateway that the spec names, once "
        "that leads here; else inside the cluster.",
    )
    address: Address | None = Field(
        default=None, description="Where it answers inside the cluster, whatever the url is."
    )
    replicas: int | None = Field(
        default=None,
        ge=0,
        description="Pods of the stable revision that exist; while the first revision starts, of that one.",
    )
    ready_replicas: int | None = Field(default=None, ge=0, description="Those of them that are ready.")
    selector: Annotated[str, Field(max_length=256)] | None = Field(
        default=None,
        description="Labels of the pods that carry the load, by which an autoscaler looks for them: those of the "
        "stable revision, and of a canary with a share of the traffic or that stands in.",
    )
    stable: StableRevision | None = Field(default=None, description="The revision that has the traffic.")
    canary: CanaryRevision | None = Field(
        default=None, description="The revision on its way to become stable."
    )
    retired: RetiredRevision | None = Field(
        default=None, description="The revision before, until its pods go."
    )
    rejected: Annotated[list[Rejection], Field(max_length=20)] | None = Field(
        default=None,
        description="What was rolled back, aborted or undone, the newest first. It is not started again, whatever else "
        "changes, until a retry or until its version is named again.",
    )
    last_handled_request: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Token of the request about a rollout that was dealt with last."
    )
    handled_requests: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] | None = (
        Field(
            default=None,
            description="Tokens of the requests about rollouts that were dealt with, the newest first. None of them is "
            "carried out again.",
        )
    )
    last_decision: Decision | None = Field(default=None, description="What was decided last, and why.")
    history: Annotated[list[Decision], Field(max_length=20)] | None = Field(
        default=None, description="The decisions before, the newest first."
    )
    monitoring: MonitoringStatus | None = Field(
        default=None, description="What the last window of the stable revision with traffic shows."
    )


NAME_RULES = (
    name_rule(NAME_LENGTH, "Deployments are named after it"),
    first_letter_rule("its Service has the same name"),
)
