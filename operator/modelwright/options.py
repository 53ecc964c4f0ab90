"""The operator's command line, which the chart sets."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from kubernetes.utils.quantity import parse_quantity
from pydantic import ValidationError

from modelwright.api.base import (
    ABOVE_LIMIT,
    DEVICE_LIMIT,
    RESOURCE,
    STANDARD,
    STORE_URI,
    UNKNOWN_RESOURCE,
    ResourceRequirements,
)
from modelwright.api.podtemplate import (
    MANAGED_BY_KEY,
    MOST,
    NO_KEY,
    OWN_KEY,
    OWN_KEYS,
    QUALIFIED,
    SECURITY_KEY,
    SECURITY_KEYS,
    PodMetadata,
    PodTemplate,
    PodTemplateSpec,
    Toleration,
)
from modelwright.api.stores import IDENTITY_OF, Store
from modelwright.common.settings import ClaimSettings, ImagePolicy, Prometheus, Settings, StoreDefault

MOST_HEADERS = 16
_PREFIX = re.compile(r"(s3|gs|az|https|oci)://[^\s?#@]+")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_OWN_HEADER = re.compile(
    "host|content-.*|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*|grpc-.*|modelwright-.*|"
    "inference-header-content-length"
)


@dataclass(frozen=True)
class Options:
    """The options of the process, and the settings for all objects."""

    settings: Settings
    namespaces: tuple[str, ...]
    lease_namespace: str
    lease_name: str
    health_port: int
    prometheus: Prometheus
    approvals_policy: str | None
    log_level: str


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Parses the command line; exits with a message if it is invalid."""
    parser = _parser()
    given = parser.parse_args(arguments)
    defaults = Settings(given.serving_image, given.training_image)
    settings = Settings(
        serving_image=given.serving_image,
        training_image=given.training_image,
        serving_image_policy=given.serving_image_policy,
        max_concurrent_rollouts=given.max_concurrent_rollouts,
        passed_headers=given.pass_headers,
        image_pull_policy=given.image_pull_policy,
        image_pull_secrets=tuple(given.image_pull_secret),
        pod_template=defaults.pod_template if given.pod_template is None else given.pod_template,
        training_pod_template=given.training_pod_template,
        serving_pod_template=given.serving_pod_template,
        artifacts_uri=given.artifacts_uri,
        claim=ClaimSettings(given.artifacts_size, given.artifacts_storage_class, given.artifacts_access_mode),
        stores=given.stores,
        allowed_networks=given.allowed_networks,
        alert_rules=None if given.no_alert_rules else given.alert_rule_labels,
        disruption_budgets=not given.no_disruption_budgets,
        training_resources=given.training_resources or defaults.training_resources,
        serving_resources=given.serving_resources or defaults.serving_resources,
    )
    return Options(
        settings=settings,
        namespaces=tuple(dict.fromkeys(given.namespace)),
        lease_namespace=given.lease_namespace,
        lease_name=given.lease_name,
        health_port=given.health_port,
        prometheus=_prometheus(parser, given),
        approvals_policy=given.approvals_policy,
        log_level=given.log_level,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("modelwright-operator", description="The Modelwright operator.")
    parser.add_argument("--version", action="version", version=version("modelwright"))
    parser.add_argument(
        "--namespace",
        action="append",
        default=[],
        help="watch this namespace only (default: all); may be given more than once",
    )
    parser.add_argument("--lease-namespace", required=True, help="namespace of the Lease of the leader")
    parser.add_argument("--lease-name", default="modelwright-operator", help="name of the Lease")
    parser.add_argument("--serving-image", required=True, help="image of the server")
    parser.add_argument(
        "--serving-image-policy",
        default="OnNextRollout",
        choices=get_args(ImagePolicy),
        help="when running services get another image of the server: with their next rollout, or now",
    )
    parser.add_argument(
        "--max-concurrent-rollouts",
        type=_at_least_one,
        default=5,
        help="with Now: so many services at once (default: 5)",
    )
    parser.add_argument(
        "--pass-headers",
        type=_header_names,
        default=(),
        metavar="NAME,NAME",
        help="headers of callers that a canary gets too, besides traceparent, tracestate and x-request-id",
    )
    parser.add_argument("--training-image", required=True, help="image of the training steps")
    parser.add_argument(
        "--image-pull-policy", default="IfNotPresent", choices=("Always", "IfNotPresent", "Never")
    )
    parser.add_argument(
        "--image-pull-secret", action="append", default=[], help="may be given more than once"
    )
    for kind, whose in (
        ("", "all pods (default: user and group 65532)"),
        ("training-", "pods of TrainingJobs and ModelVersions, over that of all"),
        ("serving-", "pods of InferenceServices, over that of all"),
    ):
        parser.add_argument(
            f"--{kind}pod-template",
            type=_pod_template,
            metavar="JSON",
            help=f"labels, placing and identity of {whose}, as spec.podTemplate",
        )
    parser.add_argument(
        "--artifacts-uri",
        type=_artifacts_uri,
        help="pvc://CLAIM[/PREFIX], s3://BUCKET[/PREFIX], oci://HOST/REPOSITORY, ... (default: a claim in each "
        "namespace)",
    )
    parser.add_argument("--artifacts-size", default="10Gi", help="size of the claim that is made")
    parser.add_argument("--artifacts-storage-class", help="storage class of the claim that is made")
    parser.add_argument("--artifacts-access-mode", default="ReadWriteOnce")
    parser.add_argument(
        "--stores",
        type=_stores,
        default=(),
        metavar="JSON",
        help='how stores are reached that no spec describes: [{"prefix": "s3://lake", "store": {...}}]',
    )
    parser.add_argument(
        "--allowed-networks",
        type=_networks,
        default=(),
        metavar="CIDR,CIDR",
        help="internal addresses that uris and endpoints of specs may lead to (default: none)",
    )
    parser.add_argument(
        "--training-resources", type=_resources, help="resources of each training step, as JSON"
    )
    parser.add_argument("--serving-resources", type=_resources, help="resources of a server, as JSON")
    parser.add_argument(
        "--prometheus-url",
        type=_address,
        help="Prometheus that answers the queries of rollouts (default: none)",
    )
    parser.add_argument(
        "--prometheus-ca-file", type=Path, help="certificates (PEM) to trust besides the system's"
    )
    parser.add_argument("--prometheus-token-file", type=Path, help="bearer token, sent over https only")
    parser.add_argument(
        "--prometheus-header",
        type=_header,
        action="append",
        default=[],
        metavar="NAME: VALUE",
        help="header of each query, no secret; may be given more than once",
    )
    parser.add_argument(
        "--alert-rule-labels",
        type=_labels,
        default=(),
        metavar="JSON",
        help="labels of the PrometheusRules that follow from spec.monitoring.slo of services (default: none)",
    )
    parser.add_argument("--no-alert-rules", action="store_true", help="make no PrometheusRules")
    parser.add_argument(
        "--no-disruption-budgets",
        action="store_true",
        help="make no PodDisruptionBudgets for services with several pods",
    )
    parser.add_argument(
        "--approvals-policy",
        help="ValidatingAdmissionPolicy, and its binding, that checks approvals (default: none)",
    )
    parser.add_argument("--health-port", type=int, default=8080, help="port of /livez, /readyz and /metrics")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


def _at_least_one(text: str) -> int:
    """A number that is 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it has to be 1 or more")
    return number


def _header_names(text: str) -> tuple[str, ...]:
    """Names of headers, in lower case; none that the server writes itself."""
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not _HEADER.fullmatch(name) or _OWN_HEADER.fullmatch(name):
            raise argparse.ArgumentTypeError(f"{name!r} is no header that can be passed on")
    if len(names) > MOST_HEADERS:
        raise argparse.ArgumentTypeError(f"it may hold at most {MOST_HEADERS} names")
    return names


def _address(text: str) -> str:
    """The URL of an HTTP server. It must not hold a secret, because command lines are not secret."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:  # an invalid port, or brackets that are not closed
        raise argparse.ArgumentTypeError(f"not an address: {error}") from error
    if not fits or parts.username is not None or parts.query or parts.fragment or not text.isprintable():
        raise argparse.ArgumentTypeError(
            "it has to be http[s]://HOST[:PORT][/PATH], without a user or a query"
        )
    return text.rstrip("/")


def _header(text: str) -> tuple[str, str]:
    """A header of a query. Tokens come in files: command lines are not secret."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not _HEADER.fullmatch(name.lower()) or not (value.isascii() and value.isprintable()):
        raise argparse.ArgumentTypeError("it has to be NAME: VALUE")
    if name.lower() == "authorization":
        raise argparse.ArgumentTypeError("a token belongs into --prometheus-token-file")
    if _OWN_HEADER.fullmatch(name.lower()):
        raise argparse.ArgumentTypeError(f"{name} is a header of the operator's own")
    return name, value


def _prometheus(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Prometheus:
    """How Prometheus is reached; exits with a message if the options do not go together."""
    url, headers = given.prometheus_url, dict(given.prometheus_header)
    if url is None and (given.prometheus_ca_file or given.prometheus_token_file or headers):
        parser.error("the options --prometheus-* need --prometheus-url")
    if given.prometheus_token_file and not url.startswith("https://"):
        parser.error("--prometheus-token-file: a token is sent to https:// only")
    if len({name.lower() for name in headers}) < len(given.prometheus_header):
        parser.error("--prometheus-header: a header is given twice")
    return Prometheus(url, given.prometheus_ca_file, given.prometheus_token_file, tuple(headers.items()))


def _artifacts_uri(text: str) -> str:
    """A folder or a repository that models are stored in."""
    if not re.fullmatch(STORE_URI, text):
        raise argparse.ArgumentTypeError(
            "it has to be pvc://CLAIM, s3://, gs://, az://BUCKET or oci://HOST/REPOSITORY"
        )
    return text


def _stores(text: str) -> tuple[StoreDefault, ...]:
    """The administrator's stores, from JSON; argparse shows the message of an error, which quotes no value."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("it is no JSON") from error
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise argparse.ArgumentTypeError('it has to be a list of {"prefix": ..., "store": {...}}')
    found = tuple(_store_default(each) for each in given)
    prefixes = [default.prefix for default in found]
    if len(set(prefixes)) < len(prefixes):
        raise argparse.ArgumentTypeError("it has a prefix twice")
    return found


def _store_default(given: Mapping[str, Any]) -> StoreDefault:
    prefix = str(given.get("prefix"))
    if given.keys() != {"prefix", "store"} or not _PREFIX.fullmatch(prefix):
        raise argparse.ArgumentTypeError(
            "each has a prefix (s3://, gs://, az://, https:// or oci://, and what follows it) and a store"
        )
    try:
        store = Store.model_validate(given["store"], extra="forbid", by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("store", *fault["loc"]))
        raise argparse.ArgumentTypeError(f"{prefix}: {where}: {fault['msg']}") from error
    if problem := _store_problem(prefix, store):
        raise argparse.ArgumentTypeError(f"{prefix}: {problem}")
    return StoreDefault(prefix.rstrip("/"), store)


def _store_problem(prefix: str, store: Store) -> str | None:
    """The rule of the API that a store breaks; None if it breaks none."""
    identity, scheme = store.identity, prefix.partition("://")[0]
    if identity is None:
        return None
    if store.secret_ref is not None:
        return "set at most one of secretRef and identity"
    kinds = {kind for kind in IDENTITY_OF.values() if identity.model_dump(by_alias=True)[kind] is not None}
    if kinds != {IDENTITY_OF.get(scheme)}:
        return "identity: roleArn is for s3://, clientId for az://, workloadIdentityProvider for gs://, and set one"
    if (identity.client_id is None) != (identity.tenant_id is None):
        return "identity: clientId and tenantId go together"
    if identity.service_account is not None and scheme != "gs":
        return "identity: serviceAccount goes with workloadIdentityProvider"
    return None


def _pod_template(text: str) -> PodTemplate:
    """What is said of pods, from JSON; argparse shows the message of an error, which quotes no value."""
    try:
        template = PodTemplate.model_validate(json.loads(text), extra="forbid", by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the template"
        raise argparse.ArgumentTypeError(f"{where}: {fault['msg']}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError("it is no JSON") from error
    if problem := _template_problem(template):
        raise argparse.ArgumentTypeError(problem)
    return template


def _template_problem(template: PodTemplate) -> str | None:
    """The rule of the API that a template breaks; None if it breaks none."""
    metadata, spec = template.metadata or PodMetadata(), template.spec or PodTemplateSpec()
    for field, keys in (("metadata.labels", metadata.labels), ("metadata.annotations", metadata.annotations)):
        if any(key == MANAGED_BY_KEY or re.search(OWN_KEY, key) for key in keys or ()):
            return f"{field}: {OWN_KEYS}"
    if any(re.search(SECURITY_KEY, key) for key in metadata.annotations or ()):
        return f"metadata.annotations: {SECURITY_KEYS}"
    given = {
        "metadata.labels": metadata.labels,
        "metadata.annotations": metadata.annotations,
        "spec.nodeSelector": spec.node_selector,
    }
    for field, keys in given.items():
        if not all(re.search(QUALIFIED, key) for key in keys or ()):
            return f"{field}: {NO_KEY}"
    sizes = {**given, "spec.tolerations": spec.tolerations, "spec.imagePullSecrets": spec.image_pull_secrets}
    for field, entries in sizes.items():
        if len(entries or ()) > MOST:
            return f"{field}: it may have at most {MOST} entries"
    return next((problem for each in spec.tolerations or () if (problem := _toleration_problem(each))), None)


def _toleration_problem(toleration: Toleration) -> str | None:
    """The rule of the API that a toleration breaks; None if it breaks none."""
    if toleration.operator == "Exists" and toleration.value:
        return "spec.tolerations: operator Exists has no value"
    if toleration.key is None and toleration.operator != "Exists":
        return "spec.tolerations: without a key the operator has to be Exists"
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        return "spec.tolerations: tolerationSeconds goes with effect NoExecute"
    return None


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    """Labels of an object, from JSON; argparse shows the message of an error."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("it is no JSON") from error
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise argparse.ArgumentTypeError('it has to be labels: {"release": "prometheus"}')
    return tuple(sorted(given.items()))


def _networks(text: str) -> tuple[str, ...]:
    """CIDRs, as Python writes them."""
    try:
        return tuple(str(ip_network(part.strip(), strict=False)) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not networks such as 10.0.0.0/8: {error}") from error


def _resources(text: str) -> Mapping[str, Any]:
    """The resources of a container, from JSON; argparse shows the message of an error."""
    try:
        resources = ResourceRequirements.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise argparse.ArgumentTypeError(f"not resource requirements: {error}") from error
    if problems := _problems(resources):
        raise argparse.ArgumentTypeError("; ".join(problems))
    return resources.model_dump(mode="json", exclude_none=True)


def _problems(resources: ResourceRequirements) -> list[str]:
    """The messages of the rules of `RequestedResources` that the resources violate."""
    requests, limits = resources.requests or {}, resources.limits or {}
    devices = [name for name in requests if re.search("/|^hugepages-", name)]
    violations = {
        UNKNOWN_RESOURCE: any(n not in STANDARD and not re.search(RESOURCE, n) for n in (*requests, *limits)),
        ABOVE_LIMIT: any(_amount(requests[n]) > _amount(limits[n]) for n in requests if n in limits),
        DEVICE_LIMIT: any(n not in limits or _amount(requests[n]) != _amount(limits[n]) for n in devices),
    }
    return [message for message, is_violated in violations.items() if is_violated]


def _amount(quantity: int | str) -> Decimal:
    """The value of a quantity."""
    number: Decimal = parse_quantity(str(quantity))  # type: ignore[no-untyped-call]
    return number
