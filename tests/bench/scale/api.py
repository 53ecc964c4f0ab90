"""The API server as the bench uses it: many objects at once, and cheap questions about how many are Ready."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from bench.generator import BenchError
from bench.scale.objects import Object

from modelwright.engine.connection import configure, session

AT_ONCE = 24
# Printer columns instead of whole objects: a list of thousands costs the API server little.
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
SERVICES = "modelwright.dev/v1alpha1/inferenceservices"
VERSIONS = "modelwright.dev/v1alpha1/modelversions"
_PLURALS = {
    "Node": "api/v1/nodes",
    "Namespace": "api/v1/namespaces",
    "PersistentVolume": "api/v1/persistentvolumes",
    "PersistentVolumeClaim": "api/v1/persistentvolumeclaims",
    "ModelVersion": f"apis/{VERSIONS}",
    "InferenceService": f"apis/{SERVICES}",
    "ClusterRoleBinding": "apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}


class Api:
    """The API server with an administrator's rights."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def create(self, body: Object) -> Object:
        """Makes an object."""
        made: Object = await self._ask("POST", _path(body), body)
        return made

    async def create_all(self, bodies: Iterable[Object]) -> None:
        """Makes many objects, some of them at the same time."""
        await together(self.create(body) for body in bodies)

    async def patch(self, path: str, patch: Object) -> Object:
        """Merges a patch into the object, or into its subresource, at a path below the resource's root."""
        changed: Object = await self._ask("PATCH", path, patch, content_type="application/merge-patch+json")
        return changed

    async def get(self, path: str, **query: str) -> Object:
        """What is at a path."""
        found: Object = await self._ask("GET", path, query=query)
        return found

    async def ready(self, resource: str) -> tuple[int, int]:
        """How many objects of a resource are Ready, and how many there are; as the API server's cache knows it."""
        table = await self._ask(
            "GET", f"apis/{resource}", accept=TABLE, query={"includeObject": "None", "resourceVersion": "0"}
        )
        column = [each["name"] for each in table["columnDefinitions"]].index("Ready")
        rows = table.get("rows") or []
        return sum(row["cells"][column] == "True" for row in rows), len(rows)

    async def _ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        headers = {"Content-Type": content_type, "Accept": accept}
        data = None if body is None else json.dumps(body)
        url = f"{self._url}/{path}"
        async with self._http.request(method, url, data=data, headers=headers, params=query) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise BenchError(f"{method} {path}: {answer.status} {text[:500]}")
            return json.loads(text)


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server of a kubeconfig."""
    configuration = await configure(kubeconfig)
    async with session(configuration) as http:
        yield Api(configuration.host, http)


async def together(work: Iterable[Awaitable[object]]) -> None:
    """Does all of it, some at the same time; ends with the first error."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[object]) -> None:
        async with places:
            await each

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


def definitions(folder: Path) -> list[Object]:
    """The CRDs of a folder."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def prepare(api: Api, bodies: list[Object], operator: str) -> None:
    """The resources of the operator, and its rights."""
    await api.create_all(bodies)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": operator},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": operator}],
    }
    await api.create(binding)
    deadline = time.monotonic() + 60
    for body in bodies:
        name, plural = body["metadata"]["name"], body["spec"]["names"]["plural"]
        while not await _served(api, f"apis/{body['spec']['group']}/v1alpha1/{plural}"):
            if time.monotonic() > deadline:
                raise BenchError(f"the API server does not serve {name}")
            await asyncio.sleep(0.2)


async def _served(api: Api, path: str) -> bool:
    try:
        await api.get(path, limit="1")
    except BenchError:
        return False
    return True


def _path(body: Object) -> str:
    """Where objects of this kind are made."""
    path, namespace = _PLURALS[body["kind"]], body["metadata"].get("namespace")
    if namespace is None:
        return path
    root, _, plural = path.rpartition("/")
    return f"{root}/namespaces/{namespace}/{plural}"
