"""The HorizontalPodAutoscaler of a service with spec.autoscaling, and the condition that says whether it works. Pure.

Its target is the InferenceService itself, so its controller sets spec.replicas through the subresource scale, and the
operator writes no spec. It finds the pods that carry the load by status.selector: those of the stable revision, and of
a canary with a share of the traffic. It divides their whole load by the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelwright.api import API_VERSION
from modelwright.api.inferenceservice import Autoscaling
from modelwright.common.conditions import Aspect
from modelwright.common.resources import AUTOSCALERS, INFERENCE_SERVICES, SERVER
from modelwright.engine.objects import Key
from modelwright.engine.plan import Apply, Effect, deletions
from modelwright.inferenceservice.manifests.names import child_metadata
from modelwright.inferenceservice.observed import Observed
from modelwright.workload.refusals import first_problem

ACTIVE = "AutoscalingActive"
MIN_REPLICAS = 1
TARGET_CPU_UTILIZATION = 65
# What the controller says when it gets no numbers: a pattern of its sentence, our reason, and what to do. Its sentences
# hold names of pods, so they are not repeated.
_NO_METRICS = (
    (
        re.compile(
            r"could not find the requested resource|the server is currently unable|no matches for kind"
        ),
        "MetricsApiUnavailable",
        (
            "the cluster has no metrics API for pods (metrics.k8s.io), so the number of pods stays: install "
            "metrics-server, or have it mended (kubectl get apiservice v1beta1.metrics.k8s.io)"
        ),
    ),
    (
        re.compile(r"is forbidden"),
        "MetricsForbidden",
        (
            "the controller of HorizontalPodAutoscalers may not read the metrics of pods, so the number of pods stays: "
            "grant it what Kubernetes' own role system:controller:horizontal-pod-autoscaler does"
        ),
    ),
    (
        re.compile(r"missing request for cpu"),
        "CpuRequestMissing",
        (
            "the pods ask for no processor time, of which the target is a share, so their number stays: set "
            "spec.resources.requests.cpu, or workloads.serving.resources of the operator's chart"
        ),
    ),
)
_WAITS_FOR_METRICS = "the pods have no metrics yet; until they have, their number stays"


def effects(observed: Observed) -> Iterator[Effect]:
    """The HorizontalPodAutoscaler that the spec asks for; its deletion if the spec asks for none."""
    autoscaling = observed.spec.autoscaling
    if autoscaling is None:
        yield from deletions(AUTOSCALERS, observed.autoscalers)
    elif observed.autoscalers_unseen is None:
        yield _manifest(observed, autoscaling)


def aspect(observed: Observed) -> Aspect | None:
    """The condition AutoscalingActive; None if the spec asks for no autoscaling."""
    autoscaling = observed.spec.autoscaling
    if autoscaling is None:
        return None
    if observed.autoscalers_unseen is not None:
        message = "the operator may not read HorizontalPodAutoscalers: grant it what its chart does"
        return Aspect(ACTIVE, False, "RightMissing", message)
    problem = first_problem(observed.refused(AUTOSCALERS))
    if problem is not None:
        return Aspect(ACTIVE, False, problem.reason, problem.message)
    autoscaler = next(iter(observed.autoscalers), None)
    if autoscaler is None:
        return Aspect(ACTIVE, None, "Pending", "the HorizontalPodAutoscaler is being written")
    found = (autoscaler.get("status") or {}).get("conditions") or ()
    return _state({str(condition.get("type")): condition for condition in found}, autoscaling)


def _state(conditions: Mapping[str, Mapping[str, Any]], autoscaling: Autoscaling) -> Aspect:
    """What the conditions of the HorizontalPodAutoscaler mean."""
    able, active = conditions.get("AbleToScale"), conditions.get("ScalingActive")
    if able is not None and able.get("status") == "False":
        return _unable(able)
    if active is None:
        message = "the controller of HorizontalPodAutoscalers has not looked at it yet"
        return Aspect(ACTIVE, None, "Pending", message)
    if active.get("status") != "True":
        return _inactive(str(active.get("reason")), str(active.get("message")))
    limited = conditions.get("ScalingLimited") or {}
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        message = "the load asks for more pods than spec.autoscaling.maxReplicas allows: raise it if it lasts"
        return Aspect(ACTIVE, True, "AtMaxReplicas", message)
    least, most = autoscaling.min_replicas or MIN_REPLICAS, autoscaling.max_replicas
    target = _target(autoscaling)
    message = (
        f"between {least} and {most} pods, so that they use {target} % of the processor time they ask for"
    )
    return Aspect(ACTIVE, True, "Active", message)


def _unable(condition: Mapping[str, Any]) -> Aspect:
    if condition.get("reason") == "FailedUpdateScale":
        message = "the HorizontalPodAutoscaler may not set spec.replicas: allow its controller to update "
        message += "inferenceservices/scale (kubectl describe hpa says what is in the way)"
    else:
        message = "the HorizontalPodAutoscaler cannot read the subresource scale of the InferenceService: allow its "
        message += "controller to get inferenceservices/scale, and install the CRDs of this release"
    return Aspect(ACTIVE, False, str(condition.get("reason") or "NotAbleToScale"), message)


def _inactive(reason: str, message: str) -> Aspect:
    if reason == "ScalingDisabled":
        text = (
            "spec.replicas is 0, so autoscaling rests: set it to 1 or more (kubectl scale) to have it go on"
        )
        return Aspect(ACTIVE, False, "ScaledToZero", text)
    if reason == "AmbiguousSelector":
        text = (
            "another HorizontalPodAutoscaler scales the same pods, so neither does: delete it, or leave out "
        )
        return Aspect(ACTIVE, False, reason, f"{text}spec.autoscaling")
    if not reason.startswith("FailedGet"):
        text = "the HorizontalPodAutoscaler does not work (kubectl describe hpa says why); the number of pods stays"
        return Aspect(ACTIVE, False, reason, text)
    for pattern, known, remedy in _NO_METRICS:
        if pattern.search(message):
            return Aspect(ACTIVE, False, known, remedy)
    return Aspect(ACTIVE, None, "NoMetricsYet", _WAITS_FOR_METRICS)


def _target(autoscaling: Autoscaling) -> int:
    return autoscaling.target_cpu_utilization or TARGET_CPU_UTILIZATION


def _manifest(observed: Observed, autoscaling: Autoscaling) -> Apply:
    seconds = autoscaling.scale_down_stabilization_seconds
    behavior = None if seconds is None else {"scaleDown": {"stabilizationWindowSeconds": seconds}}
    # Of the server's container alone: one that a mesh adds may ask for no processor time.
    metric = {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": SERVER,
            "target": {"type": "Utilization", "averageUtilization": _target(autoscaling)},
        },
    }
    body = {
        "apiVersion": AUTOSCALERS.api_version,
        "kind": AUTOSCALERS.kind,
        "metadata": child_metadata(observed, observed.name),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": API_VERSION,
                "kind": INFERENCE_SERVICES.kind,
                "name": observed.name,
            },
            "minReplicas": autoscaling.min_replicas or MIN_REPLICAS,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [metric],
            **({"behavior": behavior} if behavior else {}),
        },
    }
    return Apply(Key(AUTOSCALERS, observed.namespace, observed.name), body)
