"""A service with spec.autoscaling gets a HorizontalPodAutoscaler, and says in a condition whether that works."""

from __future__ import annotations

from typing import Any

import pytest
from unit.given.resources import InferenceService, a_served_version, a_world
from unit.given.world import NAMESPACE, SETTINGS
from unit.inferenceservice.test_refused_children import refuses, refuses_nothing

from modelwright.common.resources import AUTOSCALERS
from modelwright.engine.intake import Intake
from modelwright.engine.objects import Key
from modelwright.wiring import kinds

KEY = Key(AUTOSCALERS, NAMESPACE, "churn")
NO_METRICS = "the HPA was unable to compute the replica count: failed to get cpu utilization: "


def autoscaled(**autoscaling: Any) -> InferenceService:
    """churn-1 serves, and its pods are scaled."""
    return a_served_version(autoscaling={"maxReplicas": 5, **autoscaling})


def says(service: InferenceService, **conditions: tuple[str, str, str]) -> InferenceService:
    """Its controller has looked at it."""
    found = [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, (status, reason, message) in conditions.items()
    ]
    service.world.edit(KEY, status={"conditions": found, "currentReplicas": 1, "desiredReplicas": 1})
    return service.settles()


def state(service: InferenceService) -> tuple[str, str]:
    """The condition in short."""
    found = service.condition("AutoscalingActive")
    return found["status"], found["reason"]


def test_the_autoscaler_scales_the_service_itself_by_its_servers_processor_time() -> None:
    service = autoscaled(minReplicas=2, targetCPUUtilization=80, scaleDownStabilizationSeconds=30)

    made = service.world.api.objects[KEY]
    assert made["spec"] == {
        "scaleTargetRef": {
            "apiVersion": "modelwright.dev/v1alpha1",
            "kind": "InferenceService",
            "name": "churn",
        },
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "server",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
    }
    assert state(service) == ("Unknown", "Pending")
    assert service.is_ready


def test_what_is_left_out_has_the_defaults_that_the_fields_name() -> None:
    spec = autoscaled().world.api.objects[KEY]["spec"]

    assert spec["minReplicas"] == 1
    assert spec["metrics"][0]["containerResource"]["target"]["averageUtilization"] == 65
    assert "behavior" not in spec


def test_without_autoscaling_there_is_no_autoscaler_and_no_condition() -> None:
    service = autoscaled()
    service.world.api.edit(service.key, lambda body: body["spec"].pop("autoscaling"))
    service.world.watch()
    service.settles()

    assert KEY not in service.world.api.objects
    assert "AutoscalingActive" not in [c["type"] for c in service.status["conditions"]]


def test_an_autoscaler_of_somebody_else_stays() -> None:
    world = a_world()
    world.api.put(KEY, {"metadata": {}, "spec": {"maxReplicas": 9}})
    world.watch()
    service = a_served_version(world)
    assert KEY in world.api.objects

    service.changes(autoscaling={"maxReplicas": 3}).settles()

    assert world.api.objects[KEY]["spec"] == {"maxReplicas": 9}
    assert state(service) == ("False", "NameTaken")
    assert "delete or rename that object" in service.condition("AutoscalingActive")["message"]
    assert service.is_ready, "callers are answered all the same"


OK = ("True", "ReadyForNewScale", "recommended size matches current size")
FAILED = "FailedGetContainerResourceMetric"


@pytest.mark.parametrize(
    ("conditions", "expected", "words"),
    [
        ({"AbleToScale": OK}, ("Unknown", "Pending"), "has not looked at it yet"),
        (
            {"AbleToScale": OK, "ScalingActive": ("True", "ValidMetricFound", "x")},
            ("True", "Active"),
            "between 1 and 5 pods, so that they use 65 %",
        ),
        (
            {
                "AbleToScale": OK,
                "ScalingActive": ("True", "ValidMetricFound", "x"),
                "ScalingLimited": ("True", "TooManyReplicas", "x"),
            },
            ("True", "AtMaxReplicas"),
            "raise it if it lasts",
        ),
        (
            {
                "AbleToScale": OK,
                "ScalingActive": ("True", "ValidMetricFound", "x"),
                "ScalingLimited": ("True", "TooFewReplicas", "x"),
            },
            ("True", "Active"),
            "between 1 and 5 pods",
        ),
        (
            {
                "ScalingActive": (
                    "False",
                    FAILED,
                    (f"{NO_METRICS}unable to get metrics for resource cpu: unable to fetch metrics from resource "
                    "metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"),
                )
            },
            ("False", "MetricsApiUnavailable"),
            "install metrics-server",
        ),
        (
            {
                "ScalingActive": (
                    "False",
                    FAILED,
                    f"{NO_METRICS}missing request for cpu in container server of Pod churn-5d4f8c7b9-x7k2p",
                )
            },
            ("False", "CpuRequestMissing"),
            "set spec.resources.requests.cpu",
        ),
        (
            {
                "ScalingActive": (
                    "False",
                    FAILED,
                    f'{NO_METRICS}pods.metrics.k8s.io is forbidden: User "system:serviceaccount:x" cannot list',
                )
            },
            ("False", "MetricsForbidden"),
            "system:controller:horizontal-pod-autoscaler",
        ),
        (
            {
                "ScalingActive": (
                    "False",
                    FAILED,
                    f"{NO_METRICS}no metrics returned from resource metrics API",
                )
            },
            ("Unknown", "NoMetricsYet"),
            "have no metrics yet",
        ),
        (
            {"ScalingActive": ("False", "ScalingDisabled", "the replica count of the target is zero")},
            ("False", "ScaledToZero"),
            "set it to 1 or more",
        ),
        (
            {"ScalingActive": ("False", "AmbiguousSelector", "pods by selector are controlled by multiple")},
            ("False", "AmbiguousSelector"),
            "delete it, or leave out spec.autoscaling",
        ),
        (
            {"ScalingActive": ("False", "InvalidSelector", "x")},
            ("False", "InvalidSelector"),
            "kubectl describe hpa",
        ),
        (
            {"AbleToScale": ("False", "FailedGetScale", "x"), "ScalingActive": ("True", "ValidMetricFound", "x")},
            ("False", "FailedGetScale"),
            "get inferenceservices/scale",
        ),
        (
            {"AbleToScale": ("False", "FailedUpdateScale", "x")},
            ("False", "FailedUpdateScale"),
            "update inferenceservices/scale",
        ),
    ],
)  # fmt: skip
def test_the_condition_says_what_the_autoscaler_lacks_and_what_to_do(
    conditions: dict[str, tuple[str, str, str]], expected: tuple[str, str], words: str
) -> None:
    service = says(autoscaled(), **conditions)

    assert state(service) == expected
    message = service.condition("AutoscalingActive")["message"]
    assert words in message
    assert "x7k2p" not in message, "the name of a pod would make an unchanged state look like a change"
    assert service.is_ready


def test_a_refused_autoscaler_is_in_its_condition_until_it_is_written() -> None:
    service = a_served_version()
    refuses(service, AUTOSCALERS)
    service.changes(autoscaling={"maxReplicas": 5}).settles()

    assert state(service) == ("False", "PolicyDenied")
    assert service.is_ready

    refuses_nothing(service)
    service.settles()
    assert state(service) == ("Unknown", "Pending")


def test_without_the_right_to_read_autoscalers_the_condition_asks_for_it() -> None:
    service = a_served_version()
    service.world.cache.blind(AUTOSCALERS, "Forbidden")
    service.changes(autoscaling={"maxReplicas": 5}).settles()

    assert state(service) == ("False", "RightMissing")
    assert KEY not in service.world.api.objects
    assert service.is_ready


def test_what_the_autoscaler_measures_wakes_nobody_and_what_it_lacks_does() -> None:
    added: list[Key] = []
    intake = Intake(kinds(SETTINGS), added.append)
    labels = {"app.kubernetes.io/managed-by": "modelwright", "modelwright.dev/inference-service": "churn"}
    meta = {"name": "churn", "namespace": NAMESPACE, "uid": "a", "labels": labels}

    def seen(version: int, **status: Any) -> set[str]:
        added.clear()
        intake.put(AUTOSCALERS, {"metadata": {**meta, "resourceVersion": str(version)}, "status": status})
        return {key.resource.kind for key in added}

    lacking = [{"type": "ScalingActive", "status": "False", "reason": FAILED, "message": NO_METRICS}]
    assert seen(1, currentReplicas=1) == {"InferenceService"}
    assert seen(2, currentReplicas=1, currentMetrics=[{"type": "ContainerResource"}]) == set()
    assert seen(3, currentReplicas=2, desiredReplicas=4) == set()
    assert seen(4, currentReplicas=2, conditions=lacking) == {"InferenceService"}
