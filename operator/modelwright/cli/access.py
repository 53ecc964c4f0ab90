"""Connects to the cluster: by a kubeconfig, with the rules of kubectl, else by the pod's service account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from kubernetes.config.config_exception import ConfigException

from modelwright.cli.errors import NoAccess
from modelwright.cli.options import Place

DEFAULT = "default"
MOST_CONTEXTS = 10
OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Access:
    """A client for the cluster, the namespace to use, and the name of the user in the kubeconfig."""

    client: ApiClient
    namespace: str
    user: str | None = None


def connect(place: Place) -> Access:
    """Returns access to the cluster that kubectl would use."""
    configuration = Configuration()
    configuration.retries = 0  # retries are decided where the request is made
    if _in_pod(place):
        namespace, user = _in_cluster(place, configuration), None
    else:
        namespace, user = _by_file(place, configuration)
    return Access(ApiClient(configuration), place.namespace or namespace, user)


def _in_pod(place: Place) -> bool:
    """True if only the pod's service account is left, by kubectl's rules."""
    kubeconfig = place.kubeconfig or place.context or os.environ.get("KUBECONFIG")
    return not kubeconfig and not default().exists() and "KUBERNETES_SERVICE_HOST" in os.environ


def default() -> Path:
    """Returns the path that kubectl uses by default."""
    return Path("~/.kube/config").expanduser()


def _in_cluster(place: Place, configuration: Configuration) -> str:
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return place.namespace or OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        raise NoAccess(f"this pod has no service account to use: {error}") from error


def _by_file(place: Place, configuration: Configuration) -> tuple[str, str | None]:
    path = str(place.kubeconfig) if place.kubeconfig else os.environ.get("KUBECONFIG") or str(default())
    try:
        contexts = _read(path)
        name = place.context or contexts.current
        if name not in contexts.namespaces:
            raise NoAccess(_unknown(path, place, contexts))
        config.load_kube_config(  # type: ignore[no-untyped-call]
            path, context=name, client_configuration=configuration
        )
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise NoAccess(f"the kubeconfig {path} cannot be used: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # it is YAML, but not a kubeconfig
        raise NoAccess(f"{path} is no kubeconfig: {type(error).__name__} {error}") from error
    return contexts.namespaces[name], contexts.users[name]


@dataclass(frozen=True)
class Contexts:
    """The namespace and the user of each context, and the name of the current one."""

    namespaces: Mapping[str, str]
    users: Mapping[str, str | None]
    current: str


def _read(path: str) -> Contexts:
    """Returns the contexts of all files of a path, merged as kubectl does: the first value of a name counts."""
    files = [Path(part).expanduser() for part in path.split(os.pathsep) if part]
    documents = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files if file.exists()]
    if not documents:
        raise NoAccess(f"there is no kubeconfig {path}: name one with --kubeconfig or $KUBECONFIG")
    contexts = [each for content in reversed(documents) for each in reversed(content.get("contexts") or [])]
    named = {each["name"]: each.get("context") or {} for each in contexts}
    namespaces = {name: context.get("namespace") or DEFAULT for name, context in named.items()}
    users = {name: context.get("user") for name, context in named.items()}
    current = [content["current-context"] for content in documents if content.get("current-context")]
    return Contexts(namespaces, users, current[0] if current else "")


def _unknown(path: str, place: Place, contexts: Contexts) -> str:
    known = ", ".join(sorted(contexts.namespaces)[:MOST_CONTEXTS]) or "none"
    if place.context:
        return f"the kubeconfig {path} has no context {place.context}; there are: {known}"
    return f"the kubeconfig {path} names no current context: choose one with --context. There are: {known}"
