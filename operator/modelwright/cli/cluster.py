"""Talks to the API server about one InferenceService: reads it, watches it, writes a request, reads its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, TypeVar, cast

from kubernetes.client import CoreV1Api, CustomObjectsApi
from kubernetes.client.exceptions import ApiException, OpenApiException
from kubernetes.watch import Watch
from urllib3.exceptions import HTTPError

from modelwright.api import GROUP, VERSION
from modelwright.cli.access import Access
from modelwright.cli.errors import Complaint, NoAccess, NotFound, Refused, Unreachable
from modelwright.cli.refusals import PLURAL, Attempt, complaint_of, not_there
from modelwright.view.model import InferenceService, Object, Unreadable, read

CONNECT, ANSWER = 5.0, 15.0
# A watch that goes silent is found out after so long: then the object is read anew.
WATCHED = 60
MOST_NAMES, MOST_EVENTS = 500, 200
MANAGER = "modelwright-cli"

Answer = TypeVar("Answer")


class Cluster:
    """The API server, as seen from one namespace. Every request ends in time; a refusal is a Complaint."""

    def __init__(self, access: Access) -> None:
        client = access.client
        self.namespace = access.namespace
        self._user = access.user
        self._objects = CustomObjectsApi(client)
        self._core = CoreV1Api(client)
        self._watch = Watch()  # type: ignore[no-untyped-call]
        self._host = str(client.configuration.host)

    def get(self, name: str) -> InferenceService:
        """The InferenceService as it is now; NotFound names those that are near."""
        try:
            return self._get(name)
        except NotFound as error:
            if "is not in namespace" not in str(error):  # the kind is not there
                raise
            raise not_there(name, self.namespace, self._names()) from error

    def _get(self, name: str) -> InferenceService:
        attempt = Attempt("get", self.namespace, name=name)
        where = (GROUP, VERSION, self.namespace, PLURAL, name)
        return _read(self._call(attempt, self._objects.get_namespaced_custom_object, *where))

    def _names(self) -> list[str] | None:
        """The InferenceServices of the namespace; None where they may not be listed."""
        where = (GROUP, VERSION, self.namespace, PLURAL)
        listing = self._objects.list_namespaced_custom_object
        try:
            found = self._call(Attempt("list", self.namespace), listing, *where, limit=MOST_NAMES)
        except Complaint:
            return None
        return [str(item["metadata"]["name"]) for item in cast("dict[str, Any]", found)["items"]]

    def patch(self, name: str, patch: Mapping[str, Any]) -> InferenceService:
        """Merges a patch into the InferenceService; Conflict when it has changed."""
        attempt = Attempt("patch", self.namespace, name=name)
        where = (GROUP, VERSION, self.namespace, PLURAL, name)
        write = self._objects.patch_namespaced_custom_object
        return _read(self._call(attempt, write, *where, dict(patch), field_manager=MANAGER))

    def user(self) -> str | None:
        """Who asks: as the API server knows the user, else by the kubeconfig; None where neither tells."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        where = ("authentication.k8s.io", "v1", "selfsubjectreviews")
        create = self._objects.create_cluster_custom_object
        try:
            found = self._call(Attempt("create", self.namespace), create, *where, review)
            return str(cast("dict[str, Any]", found)["status"]["userInfo"]["username"])
        except (Complaint, KeyError, TypeError):  # older clusters lack it, and it may be forbidden
            return self._user

    def events(self, seen: InferenceService) -> list[Object]:
        """What was told of the InferenceService."""
        selector = f"involvedObject.uid={seen.metadata.uid}"
        found = self._call(
            Attempt("list", self.namespace, "events"),
            self._core.list_namespaced_event,
            self.namespace,
            field_selector=selector,
            limit=MOST_EVENTS,
        )
        told: list[Object] = self._core.api_client.sanitize_for_serialization(found.items)
        return told

    def watch(self, seen: InferenceService) -> Iterator[InferenceService]:
        """What becomes of it, for a minute; NotFound when it goes, Expired when it has to be read anew."""
        events = self._watch.stream(  # type: ignore[no-untyped-call]
            self._objects.list_namespaced_custom_object,
            *(GROUP, VERSION, self.namespace, PLURAL),
            field_selector=f"metadata.name={seen.name}",
            resource_version=seen.metadata.resource_version,
            timeout_seconds=WATCHED,
            _request_timeout=(CONNECT, WATCHED + ANSWER),
        )
        with self._complaining(Attempt("watch", self.namespace, name=seen.name)), closing(events):
            for event in events:
                if event is not None and event["type"] == "DELETED":
                    raise NotFound(f"InferenceService {seen.name} was deleted")
                if event is not None and event["type"] in {"ADDED", "MODIFIED"}:
                    yield _read(event["object"])

    def stop(self) -> None:
        """Ends the watch, from another thread."""
        self._watch.stop()  # type: ignore[no-untyped-call]

    def _call(
        self, attempt: Attempt, request: Callable[..., Answer], *words: object, **options: object
    ) -> Answer:
        with self._complaining(attempt):
            return request(*words, **options, _request_timeout=(CONNECT, ANSWER))

    @contextmanager
    def _complaining(self, attempt: Attempt) -> Iterator[None]:
        """Whatever goes wrong inside becomes a Complaint."""
        try:
            yield
        except ApiException as error:
            raise complaint_of(attempt, error.status or 0, error.reason or "", error.body or "") from error
        except HTTPError as error:
            raise Unreachable(f"the cluster at {self._host} does not answer: {_innermost(error)}") from error
        except OpenApiException as error:
            raise NoAccess(f"the kubeconfig leads to no usable request: {error}") from error


def _innermost(error: HTTPError) -> str:
    """The reason without the layers around it."""
    reason = getattr(error, "reason", None)
    told = reason if isinstance(reason, Exception) else error
    return f"{type(told).__name__}: {str(told).rpartition('>: ')[2] or told}"


def _read(body: object) -> InferenceService:
    try:
        return read(body)
    except Unreadable as error:
        raise Refused(str(error)) from error
