"""The API server by HTTP: `Api` over the asynchronous Kubernetes client, with plain bodies in and out."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTClientObject

from modelwright.engine.api import Listing
from modelwright.engine.connector import Connector
from modelwright.engine.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NamespaceTerminating,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from modelwright.engine.lease import DEADLINE, DURATION
from modelwright.engine.objects import Body, Key, ResourceType

TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
# A write that is under way when the Lease runs out must not reach the API server after another process leads: it ends
# within what lies between `lease.DEADLINE` and `lease.DURATION`.
WRITE_TIMEOUT = aiohttp.ClientTimeout(total=DURATION - DEADLINE)
# The JSON of a page is parsed at once, without a pause of the event loop.
PAGE = 200
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

# What the API server writes of a ValidatingAdmissionPolicy and of a webhook; they choose the code themselves.
_DENIED = re.compile(
    r"ValidatingAdmissionPolicy '.*' denied request|admission webhook \".*\" denied the request"
)

Observer = Callable[[str, int], None]


@dataclass(frozen=True)
class _Request:
    """One request, before the client has put host and credentials to it."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Body | None = None
    content_type: str = "application/json"


class _Rest(RESTClientObject):
    """The sending part of the client, over connections that end with it."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return Connector(limit=self.maxsize, ssl=self.ssl_context)


class Client:
    """An API server that is reached by HTTP."""

    def __init__(self, configuration: Configuration, observe: Observer = lambda _verb, _code: None) -> None:
        self._client = ApiClient(configuration)
        self._client.rest_client = _Rest(configuration)
        self._client.user_agent = "modelwright-operator"
        self._observe = observe

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def create(self, key: Key, body: Body) -> Body:
        """Makes a new object; AlreadyExists when the name is taken."""
        path = key.resource.path(key.namespace)
        return await self._send(_Request("POST", path, {"fieldManager": "modelwright"}, body))

    async def apply(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply. A uid in the metadata is a precondition: Conflict when it is not that object.

        So is a version. With the version `ABSENT_VERSION` only a new object is made: Conflict when one exists.
        """
        return await self._apply(key.resource.path(key.namespace, key.name), body, manager)

    async def apply_status(self, key: Key, body: Body, *, manager: str) -> Body:
        """Server-side apply on the status; NotFound when there is no such object. A version in the metadata is a
        precondition: Conflict when the object has changed since."""
        return await self._apply(key.resource.path(key.namespace, key.name, "status"), body, manager)

    async def get(self, key: Key) -> Body:
        """The object as it is now; NotFound without one."""
        return await self._send(_Request("GET", key.resource.path(key.namespace, key.name), {}))

    async def delete(self, key: Key, *, uid: str, resource_version: str | None = None) -> Body | None:
        """Asks the object with this uid, and this version if one is given, to go, its dependents in the background.
        Returns the object while a finalizer holds it, None when it is gone; Conflict when it is another one."""
        version = {} if resource_version is None else {"resourceVersion": resource_version}
        options = {"preconditions": {"uid": uid, **version}, "propagationPolicy": "Background"}
        path = key.resource.path(key.namespace, key.name)
        answer = await self._send(_Request("DELETE", path, {}, options))
        return answer if "deletionTimestamp" in answer.get("metadata", {}) else None

    async def list(
        self, resource: ResourceType, namespace: str | None, *, selector: str = "", fields: str = ""
    ) -> Listing:
        """All objects of a kind, in one namespace or in all of them, that the label and field selectors pick."""
        items, version = [], 0
        async for page in self.pages(resource, namespace, selector=selector, fields=fields):
            items.extend(page.items)
            version = page.resource_version
        return Listing(items, version)

    async def pages(
        self, resource: ResourceType, namespace: str | None, *, selector: str = "", fields: str = ""
    ) -> AsyncIterator[Listing]:
        """The same, page by page: so only one page of a long list has to be held at a time."""
        selectors = {"labelSelector": selector, "fieldSelector": fields}
        query = {"limit": str(PAGE), **{name: text for name, text in selectors.items() if text}}
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        while True:
            page = await self._send(_Request("GET", resource.path(namespace), query))
            # Every page of a list shows the version of the first.
            version = int(page["metadata"]["resourceVersion"])
            yield Listing([{**named, **item} for item in page.get("items") or []], version)
            if not page["metadata"].get("continue"):
                return
            query = {**query, "continue": page["metadata"]["continue"]}

    async def replace(self, key: Key, body: Body) -> Body:
        """Puts a body in place of the version that it was made from; Conflict when that is not the newest."""
        path = key.resource.path(key.namespace, key.name)
        return await self._send(_Request("PUT", path, {"fieldManager": "modelwright"}, body))

    async def patch(self, key: Key, patch: Body) -> Body:
        """JSON merge patch."""
        return await self._patch(key.resource.path(key.namespace, key.name), patch)

    async def patch_status(self, key: Key, patch: Body) -> Body:
        """JSON merge patch of the status. Of Kubernetes' own kinds, it can change metadata too, and no spec."""
        return await self._patch(key.resource.path(key.namespace, key.name, "status"), patch)

    async def serves(self, resource: ResourceType, namespace: str | None = None) -> bool:
        """Whether the API server knows the kind."""
        try:
            await self._send(_Request("GET", resource.path(namespace), {"limit": "1"}))
        except NotFound:
            return False
        return True

    async def _patch(self, path: str, patch: Body) -> Body:
        return await self._send(_Request("PATCH", path, {"fieldManager": "modelwright"}, patch, MERGE))

    async def _apply(self, path: str, body: Body, manager: str) -> Body:
        query = {"fieldManager": manager, "force": "true"}
        return await self._send(_Request("PATCH", path, query, body, APPLY))

    async def _send(self, request: _Request) -> Body:
        try:
            status, headers, content = await self._exchange(request)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._observe(request.method, 0)
            what = f"{request.method} {request.path}: no answer from the API server ({type(error).__name__})"
            raise Unavailable(what) from error
        self._observe(request.method, status)
        if status >= 300:
            raise error_of(status, _refusal(content), headers)
        try:
            answer: Body = json.loads(content)
        except ValueError as error:
            what = f"{request.method} {request.path}: the answer ({status}) is no JSON"
            raise Unavailable(what) from error
        return answer

    async def _exchange(self, request: _Request) -> tuple[int, Mapping[str, str], bytes]:
        method, url, headers, body, _ = await self._client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": "application/json", "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(
            method, url, headers, body, _request_timeout=TIMEOUT if request.method == "GET" else WRITE_TIMEOUT
        )
        content: bytes = await response.read()  # type: ignore[no-untyped-call]
        return response.status, response.headers, content


def error_of(status: int, answer: Body, headers: Mapping[str, str]) -> ApiError:
    """The error that an answer of the API server stands for; its message is kept."""
    message = str(answer.get("message") or f"the API server answered {status} without a message")
    details = answer.get("details") or {}
    causes = details.get("causes") or []
    after = _seconds(headers.get("Retry-After") or details.get("retryAfterSeconds"))
    if status == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return NamespaceTerminating(message)
    if status == 422 and any(cause.get("field") == "metadata.uid" for cause in causes):
        return Conflict(message)  # another object of that name than the one that we applied to
    if status in {400, 403, 422} and _DENIED.search(message):
        return Denied(message)
    if status == 409:
        exists = answer.get("reason") == "AlreadyExists"
        return AlreadyExists(message) if exists else Conflict(message, retry_after=after)
    if status == 429:
        return TooManyRequests(message, retry_after=after)
    simple: dict[int, ApiError] = {
        400: Invalid(message),
        403: Forbidden(message),
        404: NotFound(message),
        413: Invalid(message),
        415: Invalid(message),
        422: Invalid(message),
    }
    # 401 among them: an API server that has lost its etcd cannot check a token.
    return simple.get(status) or Unavailable(message, retry_after=after)


def _refusal(content: bytes) -> Body:
    """The Status object of a refusal. A path that nobody serves, and what stands before an API server, answer in
    plain text."""
    try:
        answer = json.loads(content)
    except ValueError:
        return {"message": content[:300].decode(errors="replace").strip()}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: str | int | None) -> float:
    """Retry-After in seconds; its other form, a date, is not used by API servers."""
    try:
        return min(300.0, max(0.0, float(value or 0)))
    except (TypeError, ValueError):
        return 0.0
