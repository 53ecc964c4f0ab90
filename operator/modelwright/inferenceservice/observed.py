"""What the planner of InferenceServices reads from the cache for one reconcile."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from modelwright.api.inferenceservice import (
    CanaryRevision,
    InferenceServiceSpec,
    InferenceServiceStatus,
    Revision,
)
from modelwright.common.conditions import Aspect
from modelwright.common.facts import LAST_WORDS, MONITOR_REPORTS, POD_COUNTS, QUERY_RESULTS, trouble
from modelwright.common.families import family, led_by
from modelwright.common.indexes import JOBS_RETIRING, YES, follows_champion, retiring_versions
from modelwright.common.primary import Primary, refusals_of
from modelwright.common.reading import read_valid
from modelwright.common.resources import (
    AUTOSCALERS,
    CLAIMS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    GATEWAYS,
    HTTP_ROUTES,
    INFERENCE_SERVICE,
    MODEL_VERSIONS,
    PROMETHEUS_RULES,
    REVISION,
    SERVICES,
    controlled,
    orphaned,
    pods_for,
    pods_of_deployments,
)
from modelwright.engine.cache import Blindness, View
from modelwright.engine.objects import Body, Key, ResourceType, deleting, labels, name, namespace
from modelwright.inferenceservice import gateway
from modelwright.inferenceservice.analysis.counts import StepCounts
from modelwright.inferenceservice.analysis.prometheus_result import QueryResults
from modelwright.inferenceservice.manifests.names import canary_name, retired_name
from modelwright.inferenceservice.monitoring.reports import Report, Reports
from modelwright.inferenceservice.revision.adoption import recovered
from modelwright.inferenceservice.revision.revisions import is_kept
from modelwright.workload.podspec import claims_of
from modelwright.workload.podstatus import newest_first

# The fields of the spec that choose how many pods there are.
NUMBER_OF_PODS = frozenset(("replicas", "autoscaling"))


@dataclass(frozen=True)
class Observed(Primary):
    """An InferenceService, the ModelVersions that it may serve, the objects that belong to it, and facts about it."""

    # As it was last written; fields that cannot be read are left out.
    status: InferenceServiceStatus
    # The version that the spec names, or the family that it follows, the oldest first.
    versions: tuple[Body, ...]
    deployments: tuple[Body, ...]
    # The pods that belong to these Deployments.
    pods: tuple[Body, ...]
    service: Body | None
    # With track Champion: the version that the other services of the family serve; None if there is none.
    champion: Body | None = None
    # All pods labelled as this service's, whatever created them: they are waited for, and not trusted.
    labelled_pods: tuple[Body, ...] = ()
    configs: tuple[Body, ...] = ()
    services: tuple[Body, ...] = ()
    measured: StepCounts | None = None
    # What the pods of the stable revision have counted of their requests, and the last words of those that ended.
    reports: Reports | None = None
    last_words: Mapping[str, Report] = field(default_factory=dict)
    # Why the pods' metrics cannot be read; None if they can.
    trouble: str | None = None
    # The ModelVersion of the stable revision.
    serving: Body | None = None
    # The ModelVersion of the retired revision.
    replaced: Body | None = None
    gateway: Body | None = None
    # Why the operator does not see Gateways, or HTTPRoutes; None if it does.
    gateway_unseen: Blindness | None = None
    routes: tuple[Body, ...] = ()
    routes_unseen: Blindness | None = None
    # The PrometheusRules, and why the operator does not see them; None if it does.
    alert_rules: tuple[Body, ...] = ()
    alert_rules_unseen: Blindness | None = None
    # The HorizontalPodAutoscalers and the PodDisruptionBudgets, and why the operator does not see them.
    autoscalers: tuple[Body, ...] = ()
    autoscalers_unseen: Blindness | None = None
    disruption_budgets: tuple[Body, ...] = ()
    disruption_budgets_unseen: Blindness | None = None
    # The claims on which these Deployments' models lie, by name. The operator sees only those with its own label.
    claims: Mapping[str, Body] = field(default_factory=dict)
    # The status had lost the stable revision; it was recovered from what runs.
    adopted: bool = False

    @cached_property
    def spec(self) -> InferenceServiceSpec:
        """The spec, validated."""
        return InferenceServiceSpec.model_validate(self.body["spec"])

    @cached_property
    def spec_hash(self) -> str:
        """Hash of the spec without the number of pods, and how that is chosen: an autoscaler may change it at any time,
        and that says nothing about a revision."""
        rest = {name: value for name, value in self.body["spec"].items() if name not in NUMBER_OF_PODS}
        return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]

    def is_of_this_spec(self, canary: CanaryRevision) -> bool:
        """True if a canary was started, or given up, under the present spec, whatever its number of pods was."""
        return canary.generation == self.generation or canary.spec_hash == self.spec_hash

    @cached_property
    def leads_itself(self) -> bool:
        """True if the spec follows the Champion, and no other service of the family serves one."""
        return self.champion is None and follows_champion(self.body)

    def is_deleted(self, version: str) -> bool:
        """True if the stable revision serves this ModelVersion, and the object no longer exists."""
        stable = self.status.stable
        return stable is not None and stable.version == version and self.serving is None

    @cached_property
    def outside(self) -> Aspect | None:
        """The condition RouteAccepted; None if the spec names no Gateway."""
        return gateway.aspect(self)

    @cached_property
    def canary_service(self) -> Body | None:
        """The Service that selects the canary's pods."""
        return next((service for service in self.services if name(service) == canary_name(self)), None)

    @cached_property
    def retired_service(self) -> Body | None:
        """The Service that selects the retired revision's pods."""
        return next((service for service in self.services if name(service) == retired_name(self)), None)

    @cached_property
    def side_services(self) -> list[Body]:
        """All Services but the stable revision's: the canary's, also under the names that earlier releases gave it, and
        the retired revision's."""
        return [service for service in self.services if name(service) != self.name]

    def config(self, config_name: str) -> Body | None:
        """The ConfigMap of this name."""
        return next((config for config in self.configs if name(config) == config_name), None)

    def deployment(self, revision: str) -> Body | None:
        """The Deployment of a revision."""
        return self._deployment_of.get(revision)

    @cached_property
    def _deployment_of(self) -> dict[str, Body]:
        """The first Deployment of each revision."""
        return {labels(each).get(REVISION, ""): each for each in reversed(self.deployments)}

    def has_traffic(self, revision: str) -> bool:
        """True if the Service selects the revision."""
        selector = self.service["spec"].get("selector") or {} if self.service is not None else {}
        return bool(selector.get(REVISION) == revision)

    def pods_of(self, revision: str) -> list[Body]:
        """The pods of a revision, the newest first; none if its Deployment is only kept for its log."""
        deployment = self.deployment(revision)
        if deployment is not None and is_kept(deployment):
            return []
        return self._pods_of.get(revision, [])

    @cached_property
    def _pods_of(self) -> dict[str, list[Body]]:
        """The pods of each revision that are not being deleted, the newest first."""
        pods: dict[str, list[Body]] = {}
        for pod in newest_first(pod for pod in self.pods if not deleting(pod)):
            pods.setdefault(labels(pod).get(REVISION, ""), []).append(pod)
        return pods


def observe(view: View, key: Key) -> Observed | None:
    """Gathers what the planner needs; None if the InferenceService does not exist."""
    body = view.get(key)
    if body is None:
        return None
    services = _belonging(view, SERVICES, body)
    service = next((candidate for candidate in services if name(candidate) == key.name), None)
    deployments = _belonging(view, DEPLOYMENTS, body)
    labelled_pods = tuple(pods_for(view, body, deployments))
    status = read_valid(InferenceServiceStatus, body.get("status") or {})
    stable = recovered(status, service, deployments)
    if stable is not None:
        status = status.model_copy(update={"stable": stable})
    named = _gateway(key, body)
    return Observed(
        body,
        status,
        versions=_versions(view, key, body),
        champion=_champion(view, key, body),
        deployments=deployments,
        pods=tuple(pods_of_deployments(view, body, deployments, labelled_pods)),
        labelled_pods=labelled_pods,
        service=service,
        configs=_belonging(view, CONFIG_MAPS, body),
        services=services,
        measured=_measured(view, key),
        trouble=view.fact(key, trouble(POD_COUNTS)),
        reports=view.fact(key, MONITOR_REPORTS),
        last_words=view.fact(key, LAST_WORDS) or {},
        serving=_version_of(view, key, status.stable),
        replaced=_version_of(view, key, status.retired),
        gateway=view.get(named),
        gateway_unseen=view.blindness(GATEWAYS, named.namespace),
        routes=_belonging(view, HTTP_ROUTES, body),
        routes_unseen=view.blindness(HTTP_ROUTES, key.namespace),
        alert_rules=_belonging(view, PROMETHEUS_RULES, body),
        alert_rules_unseen=view.blindness(PROMETHEUS_RULES, key.namespace),
        autoscalers=_belonging(view, AUTOSCALERS, body),
        autoscalers_unseen=view.blindness(AUTOSCALERS, key.namespace),
        disruption_budgets=_belonging(view, DISRUPTION_BUDGETS, body),
        disruption_budgets_unseen=view.blindness(DISRUPTION_BUDGETS, key.namespace),
        claims=_claims(view, deployments),
        adopted=stable is not None,
        refusals=refusals_of(view, key),
    )


def _belonging(view: View, resource: ResourceType, body: Body) -> tuple[Body, ...]:
    """The objects of a kind that belong to this InferenceService, also those without an owner reference."""
    return (*controlled(view, resource, body), *orphaned(view, resource, body, INFERENCE_SERVICE))


def _claims(view: View, deployments: Iterable[Body]) -> dict[str, Body]:
    """The claims that pods of these Deployments mount, as far as they are seen."""
    keys = {Key(CLAIMS, namespace(each), claim) for each in deployments for claim in claims_of(each)}
    return {key.name: found for key in keys if (found := view.get(key)) is not None}


def _measured(view: View, key: Key) -> StepCounts | None:
    """The pods' counts, joined with the answers of Prometheus if both are of the same step."""
    counts: StepCounts | None = view.fact(key, POD_COUNTS)
    results: QueryResults | None = view.fact(key, QUERY_RESULTS)
    if counts is None or results is None or results.since != counts.since:
        return counts
    return replace(counts, queries=results.readings)


def _gateway(key: Key, body: Body) -> Key:
    """The key of the Gateway in the spec; a key with an empty name, which no object has, if there is none."""
    named = body["spec"].get("gateway") or {}
    return Key(GATEWAYS, named.get("namespace") or key.namespace, named.get("name", ""))


def _versions(view: View, key: Key, body: Body) -> tuple[Body, ...]:
    """The version that the spec names, or all of the family that it follows."""
    model = body["spec"]["model"]
    if "version" in model:
        version = view.get(Key(MODEL_VERSIONS, key.namespace, model["version"]))
        return (version,) if version is not None else ()
    versions = family(view, key.namespace, str(model.get("name"))).versions
    retiring = [retiring_versions(job) for job in view.indexed(JOBS_RETIRING, key.namespace, YES)]
    if not retiring:
        return versions
    # A version is listed so before it is deleted, so that no service takes it up in the meantime.
    return tuple(version for version in versions if not any(name(version) in names for names in retiring))


def _champion(view: View, key: Key, body: Body) -> Body | None:
    """The version that the spec follows with track Champion; None if it does not, or nothing serves one."""
    if not follows_champion(body):
        return None
    return led_by(view, key.namespace, str(body["spec"]["model"].get("name")))


def _version_of(view: View, key: Key, revision: Revision | None) -> Body | None:
    """The ModelVersion of a revision; None if there is none or it was deleted."""
    return None if revision is None else view.get(Key(MODEL_VERSIONS, key.namespace, revision.version))
