"""What is known about an InferenceService when its next step is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from modelwright.api.inferenceservice import InferenceServiceSpec, InferenceServiceStatus
from modelwright.common.conditions import Aspect
from modelwright.common.facts import POD_COUNTS, QUERY_RESULTS, trouble
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.reading import read_each, read_valid
from modelwright.common.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICE,
    MODEL_VERSIONS,
    REVISION,
    SERVICES,
    controlled,
    orphaned,
    pods_for,
    pods_of_deployments,
)
from modelwright.engine.cache import Blindness, View
from modelwright.engine.objects import Body, Key, ResourceType, deleting, labels, name
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.prometheus_result import QueryResults
from modelwright.inferenceservice.manifests.names import canary_name
from modelwright.inferenceservice.revision.adoption import recovered
from modelwright.inferenceservice.revision.revisions import is_kept
from modelwright.workload.podstatus import newest_first


@dataclass(frozen=True)
class Observed(Primary):
    """The InferenceService, the versions that it may serve, the one that serves, and what runs for it.

    `status`: as it was written last, as far as it can be read. `adopted`: its stable revision was lost, and is what
    runs.
    """

    status: InferenceServiceStatus
    versions: tuple[Body, ...]
    deployments: tuple[Body, ...]
    # Of these Deployments; not those that an earlier try left behind.
    pods: tuple[Body, ...]
    service: Body | None
    # Whatever is labelled as a pod of the service, whoever made it: to be waited for, not to be believed.
    labelled_pods: tuple[Body, ...] = ()
    configs: tuple[Body, ...] = ()
    services: tuple[Body, ...] = ()
    measured: StepCounts | None = None
    # Why the pods' counts cannot be found out.
    trouble: str | None = None
    serving: Body | None = None
    gateway: Body | None = None
    gateway_unseen: Blindness | None = None
    routes: tuple[Body, ...] = ()
    routes_unseen: Blindness | None = None
    adopted: bool = False

    @cached_property
    def spec(self) -> InferenceServiceSpec:
        """The promise."""
        return InferenceServiceSpec.model_validate(self.body["spec"])

    def is_deleted(self, version: str) -> bool:
        """Whether the ModelVersion that serves is this one, and is not there any more."""
        stable = self.status.stable
        return stable is not None and stable.version == version and self.serving is None

    @cached_property
    def outside(self) -> Aspect | None:
        """Whether the Gateway that the spec names leads callers here; None if it names none."""
        return gateway.aspect(self)

    @property
    def canary_service(self) -> Body | None:
        """The Service that leads to the canary."""
        return next((found for found in self.services if name(found) == canary_name(self)), None)

    @property
    def side_services(self) -> list[Body]:
        """The Services besides the stable revision's: the canary's, and what earlier releases called so."""
        return [found for found in self.services if name(found) != self.name]

    def config(self, wanted: str) -> Body | None:
        """The ConfigMap of this name."""
        return next((found for found in self.configs if name(found) == wanted), None)

    def deployment(self, revision: str) -> Body | None:
        """The Deployment of a revision."""
        return next((found for found in self.deployments if labels(found).get(REVISION) == revision), None)

    def has_traffic(self, revision: str) -> bool:
        """Whether the Service selects the revision."""
        selector = self.service["spec"].get("selector") or {} if self.service is not None else {}
        return bool(selector.get(REVISION) == revision)

    def pods_of(self, revision: str) -> list[Body]:
        """The pods of a revision, the youngest first; not one that an earlier try has left for its log."""
        deployment = self.deployment(revision)
        if deployment is not None and is_kept(deployment):
            return []
        return newest_first(
            pod for pod in self.pods if labels(pod).get(REVISION) == revision and not deleting(pod)
        )

    def restarts(self, revision: str) -> int:
        """How often containers of a revision's pods have ended and were started again."""
        return sum(
            int(container.get("restartCount", 0))
            for pod in self.pods_of(revision)
            for container in (pod.get("status") or {}).get("containerStatuses") or ()
        )


def observe(view: View, key: Key) -> Observed | None:
    """Gathers what the planner needs; None when the InferenceService is not there."""
    body = view.get(key)
    if body is None:
        return None
    services = _ours(view, SERVICES, body)
    service = next((found for found in services if name(found) == key.name), None)
    deployments = _ours(view, DEPLOYMENTS, body)
    status = read_valid(InferenceServiceStatus, body.get("status") or {})
    stable = recovered(status, service, deployments)
    if stable is not None:
        status = status.model_copy(update={"stable": stable})
    named = _gateway(key, body)
    return Observed(
        body,
        status,
        versions=_versions(view, key, body),
        deployments=deployments,
        pods=tuple(pods_of_deployments(view, body, deployments)),
        labelled_pods=tuple(pods_for(view, body, deployments)),
        service=service,
        configs=_ours(view, CONFIG_MAPS, body),
        services=services,
        measured=_measured(view, key),
        trouble=view.fact(key, trouble(POD_COUNTS)),
        serving=_serving(view, key, status),
        gateway=view.get(named),
        gateway_unseen=view.blindness(GATEWAYS, named.namespace),
        routes=_ours(view, HTTP_ROUTES, body),
        routes_unseen=view.blindness(HTTP_ROUTES, key.namespace),
        adopted=stable is not None,
        refusals=refusals_of(view, key),
    )


def _ours(view: View, resource: ResourceType, body: Body) -> tuple[Body, ...]:
    """The objects of a kind that are this InferenceService's, with those that have lost their owner."""
    return (*controlled(view, resource, body), *orphaned(view, resource, body, INFERENCE_SERVICE))


def _measured(view: View, key: Key) -> StepCounts | None:
    """What the pods count, with what Prometheus answered in the same step."""
    counted: StepCounts | None = view.fact(key, POD_COUNTS)
    answered: QueryResults | None = view.fact(key, QUERY_RESULTS)
    if counted is None or answered is None or answered.since != counted.since:
        return counted
    return replace(counted, queries=answered.readings)


def _gateway(key: Key, body: Body) -> Key:
    """The key of the Gateway that the spec names; of none where it names none."""
    named = body["spec"].get("gateway") or {}
    return Key(GATEWAYS, named.get("namespace") or key.namespace, named.get("name", ""))


def _versions(view: View, key: Key, body: Body) -> tuple[Body, ...]:
    """The version that the spec names, or all of the family that it tracks."""
    model = body["spec"]["model"]
    if "version" in model:
        version = view.get(Key(MODEL_VERSIONS, key.namespace, model["version"]))
        return (version,) if version is not None else ()
    known = read_each(view.all(MODEL_VERSIONS, key.namespace), lambda version: version["spec"]["model"])
    return tuple(version for version, family in known if family == model.get("name"))


def _serving(view: View, key: Key, status: InferenceServiceStatus) -> Body | None:
    """The version that serves, as far as it is still there."""
    stable = status.stable
    return None if stable is None else view.get(Key(MODEL_VERSIONS, key.namespace, stable.version))
