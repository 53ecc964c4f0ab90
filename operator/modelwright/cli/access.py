"""How the cluster is reached and as whom: from a kubeconfig, as kubectl does it, else from the pod's own account."""

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
    """A client for the cluster, the namespace to look in, and the kubeconfig's name for the user."""

    client: ApiClient
    namespace: str
    user: str | None = None


def connect(place: Place) -> Access:
    """Reaches the cluster as kubectl would."""
    configuration = Configuration()
    configuration.retries = 0  # what is worth trying again is tried again where that is known
    if _in_pod(place):
        namespace, user = _in_cluster(place, configuration), None
    else:
        namespace, user = _by_file(place, configuration)
    return Access(ApiClient(configuration), place.namespace or namespace, user)


def _in_pod(place: Place) -> bool:
    """Whether there is nothing but the pod's own account, as for kubectl."""
    told = place.kubeconfig or place.context or os.environ.get("KUBECONFIG")
    return not told and not default().exists() and "KUBERNETES_SERVICE_HOST" in os.environ


def default() -> Path:
    """Where kubectl looks if nobody says where."""
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # it is YAML, and no kubeconfig
        raise NoAccess(f"{path} is no kubeconfig: {type(error).__name__} {error}") from error
    return contexts.namespaces[name], contexts.users[name]


@dataclass(frozen=True)
class Contexts:
    """The namespace and the user of each context, and the name of the current one."""

    namespaces: Mapping[str, str]
    users: Mapping[str, str | None]
    current: str


def _read(path: str) -> Contexts:
    """The contexts of all files of a path, as kubectl merges them: what is said first holds."""
    files = [Path(part).expanduser() for part in path.split(os.pathsep) if part]
    found = [yaml.safe_load(file.read_text(encoding="utf-8")) or {} for file in files if file.exists()]
    if not found:
        raise NoAccess(f"there is no kubeconfig {path}: name one with --kubeconfig or $KUBECONFIG")
    contexts = [each for content in reversed(found) for each in reversed(content.get("contexts") or [])]
    named = {each["name"]: each.get("context") or {} for each in contexts}
    namespaces = {name: context.get("namespace") or DEFAULT for name, context in named.items()}
    users = {name: context.get("user") for name, context in named.items()}
    current = [content["current-context"] for content in found if content.get("current-context")]
    return Contexts(namespaces, users, current[0] if current else "")


def _unknown(path: str, place: Place, contexts: Contexts) -> str:
    known = ", ".join(sorted(contexts.namespaces)[:MOST_CONTEXTS]) or "none"
    if place.context:
        return f"the kubeconfig {path} has no context {place.context}; there are: {known}"
    return f"the kubeconfig {path} names no current context: choose one with --context. There are: {known}"
