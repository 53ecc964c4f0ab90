"""Reads objects from the API server over one connection.

A test that waits reads the same object again and again: a kubectl for each time costs a tenth of a second of a core.
"""

from __future__ import annotations

import base64
import json
import tempfile
import urllib.parse
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import urllib3
import yaml

Body = dict[str, Any]

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SECONDS = 30


class UnknownKindError(LookupError):
    """The API server serves no kind of this name."""


class ApiServer:
    """The cluster of a kubeconfig, with the rights of its first user."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = cluster["server"]
        self._files = tempfile.TemporaryDirectory()
        self._pool = urllib3.PoolManager(
            ca_certs=self._file(cluster, "certificate-authority-data"),
            cert_file=self._file(user, "client-certificate-data"),
            key_file=self._file(user, "client-key-data"),
            retries=urllib3.Retry(3, backoff_factor=0.2),
            timeout=SECONDS,
            maxsize=4,
        )
        self._kinds: dict[str, tuple[str, str, bool]] = {}

    def find(self, kind: str, namespace: str, name: str) -> Body | None:
        """An object, by any name that kubectl knows its kind by."""
        path = f"{self._path(kind, namespace)}/{urllib.parse.quote(name)}"
        return self._read(path)

    def all(self, kinds: str, namespace: str, selector: str = "") -> list[Body]:
        """All objects of these kinds (`pod,service`) that have these labels."""
        query = urllib.parse.urlencode({"labelSelector": selector})
        return [
            item
            for kind in kinds.split(",")
            for item in self._items(self._read(f"{self._path(kind, namespace)}?{query}") or {})
        ]

    def _items(self, listing: Body) -> Iterator[Body]:
        """The objects of a list, each with its kind, which a list of Kubernetes' own kinds names only once."""
        kind = str(listing.get("kind", "")).removesuffix("List")
        for item in listing.get("items", ()):
            yield {"apiVersion": listing["apiVersion"], "kind": kind, **item}

    def _read(self, path: str) -> Body | None:
        answer = self._pool.request("GET", f"{self._server}{path}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise AssertionError(f"GET {path}: {answer.status} {answer.data[:1000]!r}")
        found: Body = json.loads(answer.data)
        return found

    def _path(self, kind: str, namespace: str) -> str:
        prefix, plural, namespaced = self._resource(kind.lower())
        return f"{prefix}/namespaces/{namespace}/{plural}" if namespaced else f"{prefix}/{plural}"

    def _resource(self, name: str) -> tuple[str, str, bool]:
        """Where objects of a kind are; asked again for an unknown one, whose definition may be new."""
        if name not in self._kinds:
            self._kinds = dict(self._discovered())
        if name not in self._kinds:
            raise UnknownKindError(f"the API server does not know {name}")
        return self._kinds[name]

    def _discovered(self) -> Iterator[tuple[str, tuple[str, str, bool]]]:
        """All kinds by all their names; of two with the same name, Kubernetes' core has precedence, as with kubectl."""
        for root in ("/apis", "/api"):
            answer = self._pool.request("GET", f"{self._server}{root}", headers={"Accept": DISCOVERY})
            for group in reversed(json.loads(answer.data)["items"]):
                group_name = group["metadata"].get("name", "")
                version = group["versions"][0]
                prefix = f"{root}/{group_name}/{version['version']}".replace("//", "/")
                for resource in version["resources"]:
                    found = (prefix, resource["resource"], resource["scope"] == "Namespaced")
                    names = (resource["resource"], resource["singularResource"])
                    for name in (*names, *resource.get("shortNames", ())):
                        yield name, found
                        yield f"{name}.{group_name}", found

    def _file(self, holder: Body, field: str) -> str | None:
        """The path of a file with what the kubeconfig holds as base64."""
        if field not in holder:
            return None
        path = Path(self._files.name, field)
        path.write_bytes(base64.b64decode(holder[field]))
        return str(path)


@cache
def connected(kubeconfig: Path) -> ApiServer:
    """One connection for a process."""
    return ApiServer(kubeconfig)
