"""Requests to the API server: about one InferenceService (get, watch, patch, Events), and about ModelVersions."""

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
from modelwright.cli.refusals import PLURAL, TRAINING_JOBS, VERSIONS, Attempt, complaint_of, not_there
from modelwright.view.model import InferenceService, Metric, Object, Unreadable, read, read_metrics

CONNECT, ANSWER = 5.0, 15.0
# The seconds of one watch. Then the object is read again, so a silent connection is not kept for longer.
WATCHED = 60
MOST_NAMES, MOST_EVENTS = 500, 200
# ModelVersions are large: they are listed in pages.
PAGE, MOST_VERSIONS = 100, 5000
MODEL_VERSIONS = "modelversions"
JOBS = "trainingjobs"
MANAGER = "modelwright-cli"

Answer = TypeVar("Answer")


class Cluster:
    """The API server, limited to one namespace. Every request has a timeout; every failure is a Complaint."""

    def __init__(self, access: Access) -> None:
        client = access.client
        self.namespace = access.namespace
        self._user = access.user
        self._objects = CustomObjectsApi(client)
        self._core = CoreV1Api(client)
        self._watch = Watch()  # type: ignore[no-untyped-call]
        self._metrics: dict[str, tuple[Metric, ...]] = {}
        self._host = str(client.configuration.host)

    def get(self, name: str) -> InferenceService:
        """Returns the InferenceService as it is now. NotFound names those with similar names."""
        try:
            return self._get(name)
        except NotFound as error:
            if "is not in namespace" not in str(error):  # the kind does not exist
                raise
            raise not_there(name, self.namespace, self._names()) from error

    def _get(self, name: str) -> InferenceService:
        attempt = Attempt("get", self.namespace, name=name)
        where = (GROUP, VERSION, self.namespace, PLURAL, name)
        return _read(self._call(attempt, self._objects.get_namespaced_custom_object, *where))

    def _names(self) -> list[str] | None:
        """The names of the InferenceServices in the namespace; None if the user may not list them."""
        where = (GROUP, VERSION, self.namespace, PLURAL)
        listing = self._objects.list_namespaced_custom_object
        try:
            answer = self._call(Attempt("list", self.namespace), listing, *where, limit=MOST_NAMES)
        except Complaint:
            return None
        return [str(item["metadata"]["name"]) for item in cast("dict[str, Any]", answer)["items"]]

    def patch(self, name: str, patch: Mapping[str, Any]) -> InferenceService:
        """Merges a patch into the InferenceService and returns the result; Conflict if it has changed."""
        attempt = Attempt("patch", self.namespace, name=name)
        where = (GROUP, VERSION, self.namespace, PLURAL, name)
        write = self._objects.patch_namespaced_custom_object
        return _read(self._call(attempt, write, *where, dict(patch), field_manager=MANAGER))

    def user(self) -> str | None:
        """Returns the name of the user: from the API server, else from the kubeconfig; None if neither has one."""
        try:
            return self.reviewed_user()
        except Complaint:  # older clusters lack the review, and it may be forbidden
            return self._user

    def reviewed_user(self) -> str:
        """Returns the name by which the API server knows the user."""
        status = self._review("authentication.k8s.io", "SelfSubjectReview", {})
        try:
            return str(status["userInfo"]["username"])
        except (KeyError, TypeError) as error:
            raise NoAccess("the cluster does not say by which name it knows you") from error

    def may_approve(self, name: str) -> bool:
        """True if the user has the verb approve on a ModelVersion, as the API server's authorizer says."""
        asked = {
            "group": GROUP,
            "resource": MODEL_VERSIONS,
            "verb": "approve",
            "namespace": self.namespace,
            "name": name,
        }
        spec = {"resourceAttributes": asked}
        return bool(
            self._review("authorization.k8s.io", "SelfSubjectAccessReview", {"spec": spec}).get("allowed")
        )

    def _review(self, group: str, kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The status of a review, which the API server answers at once and does not store."""
        attempt = Attempt("create", self.namespace, f"{kind.lower()}s.{group}")
        create = self._objects.create_cluster_custom_object
        review = {"apiVersion": f"{group}/v1", "kind": kind, **body}
        answer = self._call(attempt, create, group, "v1", f"{kind.lower()}s", review)
        return cast("dict[str, Any]", answer).get("status") or {}

    def events(self, service: InferenceService) -> list[Object]:
        """Returns the Events about the InferenceService."""
        selector = f"involvedObject.uid={service.metadata.uid}"
        answer = self._call(
            Attempt("list", self.namespace, "events"),
            self._core.list_namespaced_event,
            self.namespace,
            field_selector=selector,
            limit=MOST_EVENTS,
        )
        events: list[Object] = self._core.api_client.sanitize_for_serialization(answer.items)
        return events

    def metrics(self, service: InferenceService) -> dict[str, tuple[Metric, ...]]:
        """Returns the metrics of the versions that the rollout compares; nothing for one that cannot be read.

        Each version is read once, as its metrics never change.
        """
        for version in service.compared:
            if version in self._metrics:
                continue
            attempt = Attempt("get", self.namespace, VERSIONS, name=version)
            where = (GROUP, VERSION, self.namespace, MODEL_VERSIONS, version)
            try:
                body = self._call(attempt, self._objects.get_namespaced_custom_object, *where)
            except Unreachable:
                continue
            except Complaint:  # it was deleted, or the user may not read it
                body = {}
            self._metrics[version] = read_metrics(body)
        return {name: self._metrics[name] for name in service.compared if self._metrics.get(name)}

    def version(self, name: str) -> Object:
        """Returns the ModelVersion as it is now. NotFound names those with similar names."""
        attempt = Attempt("get", self.namespace, VERSIONS, name=name)
        where = (GROUP, VERSION, self.namespace, MODEL_VERSIONS, name)
        try:
            return cast("Object", self._call(attempt, self._objects.get_namespaced_custom_object, *where))
        except NotFound as error:
            if "is not in namespace" not in str(error):  # the kind does not exist
                raise
            raise not_there(name, self.namespace, self._version_names(), "ModelVersion") from error

    def _version_names(self) -> list[str] | None:
        """The names of some ModelVersions in the namespace; None if the user may not list them."""
        try:
            return [str(each["metadata"]["name"]) for each in self._page("")["items"]]
        except Complaint:
            return None

    def versions(self) -> list[Object]:
        """Returns the ModelVersions of the namespace; Refused if there are more than MOST_VERSIONS."""
        found: list[Object] = []
        more = ""
        while True:
            answer = self._page(more)
            found += answer["items"]
            more = str((answer.get("metadata") or {}).get("continue") or "")
            if not more:
                return found
            if len(found) >= MOST_VERSIONS:
                raise Refused(f"namespace {self.namespace} has more than {MOST_VERSIONS} ModelVersions")

    def _page(self, after: str) -> dict[str, Any]:
        """A page of the list of ModelVersions. `after`: what the page before it said; empty for the first one."""
        attempt, options = Attempt("list", self.namespace, VERSIONS), {"_continue": after} if after else {}
        where = (GROUP, VERSION, self.namespace, MODEL_VERSIONS)
        listing = self._objects.list_namespaced_custom_object
        return cast("dict[str, Any]", self._call(attempt, listing, *where, limit=PAGE, **options))

    def patch_version(self, name: str, patch: Mapping[str, Any]) -> None:
        """Merges a patch into a ModelVersion; Conflict if it has changed."""
        attempt = Attempt("patch", self.namespace, VERSIONS, name=name)
        where = (GROUP, VERSION, self.namespace, MODEL_VERSIONS, name)
        write = self._objects.patch_namespaced_custom_object
        self._call(attempt, write, *where, dict(patch), field_manager=MANAGER)

    def training_job(self, name: str) -> Object:
        """Returns the TrainingJob as it is now. NotFound names those with similar names."""
        attempt = Attempt("get", self.namespace, TRAINING_JOBS, name=name)
        where = (GROUP, VERSION, self.namespace, JOBS, name)
        try:
            return cast("Object", self._call(attempt, self._objects.get_namespaced_custom_object, *where))
        except NotFound as error:
            if "is not in namespace" not in str(error):  # the kind does not exist
                raise
            raise not_there(name, self.namespace, self._job_names(), "TrainingJob") from error

    def _job_names(self) -> list[str] | None:
        """The names of some TrainingJobs in the namespace; None if the user may not list them."""
        attempt, where = (
            Attempt("list", self.namespace, TRAINING_JOBS),
            (GROUP, VERSION, self.namespace, JOBS),
        )
        listing = self._objects.list_namespaced_custom_object
        try:
            answer = self._call(attempt, listing, *where, limit=MOST_NAMES)
        except Complaint:
            return None
        return [str(each["metadata"]["name"]) for each in cast("dict[str, Any]", answer)["items"]]

    def patch_training_job(self, name: str, patch: Mapping[str, Any]) -> None:
        """Merges a patch into a TrainingJob; Conflict if it has changed."""
        attempt = Attempt("patch", self.namespace, TRAINING_JOBS, name=name)
        where = (GROUP, VERSION, self.namespace, JOBS, name)
        write = self._objects.patch_namespaced_custom_object
        self._call(attempt, write, *where, dict(patch), field_manager=MANAGER)

    def watch(self, service: InferenceService) -> Iterator[InferenceService]:
        """Yields each change for a minute. NotFound if it is deleted, Expired if it has to be read again."""
        events = self._watch.stream(  # type: ignore[no-untyped-call]
            self._objects.list_namespaced_custom_object,
            *(GROUP, VERSION, self.namespace, PLURAL),
            field_selector=f"metadata.name={service.name}",
            resource_version=service.metadata.resource_version,
            timeout_seconds=WATCHED,
            _request_timeout=(CONNECT, WATCHED + ANSWER),
        )
        with self._complaining(Attempt("watch", self.namespace, name=service.name)), closing(events):
            for event in events:
                if event is not None and event["type"] == "DELETED":
                    raise NotFound(f"InferenceService {service.name} was deleted")
                if event is not None and event["type"] in {"ADDED", "MODIFIED"}:
                    yield _read(event["object"])

    def stop(self) -> None:
        """Ends the watch. May be called from another thread."""
        self._watch.stop()  # type: ignore[no-untyped-call]

    def _call(
        self, attempt: Attempt, request: Callable[..., Answer], *arguments: object, **options: object
    ) -> Answer:
        with self._complaining(attempt):
            return request(*arguments, **options, _request_timeout=(CONNECT, ANSWER))

    @contextmanager
    def _complaining(self, attempt: Attempt) -> Iterator[None]:
        """Turns the errors of the client into Complaints."""
        try:
            yield
        except ApiException as error:
            raise complaint_of(attempt, error.status or 0, error.reason or "", error.body or "") from error
        except HTTPError as error:
            raise Unreachable(f"the cluster at {self._host} does not answer: {_innermost(error)}") from error
        except OpenApiException as error:
            raise NoAccess(f"the kubeconfig leads to no usable request: {error}") from error


def _innermost(error: HTTPError) -> str:
    """The innermost reason, without the layers around it."""
    reason = getattr(error, "reason", None)
    innermost = reason if isinstance(reason, Exception) else error
    return f"{type(innermost).__name__}: {str(innermost).rpartition('>: ')[2] or innermost}"


def _read(body: object) -> InferenceService:
    try:
        return read(body)
    except Unreadable as error:
        raise Refused(str(error)) from error
